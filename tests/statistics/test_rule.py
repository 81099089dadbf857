import pytest

from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.rule import Rule

MANY = [(80, 200)]


@pytest.mark.parametrize(("auroc", "alpha", "needed"), [(0.85, 0.025, 24), (0.97, 0.025, 33), (0.85, 0.05, 20)])
def test_unseen_drowning_is_less_likely_than_alpha(auroc, alpha, needed):
    assert Rule(alpha=alpha, min_positive_patients=2).needed_positive_patients(auroc) == needed
    share = 0.05 / (auroc - 0.5)
    assert (1 - share) ** needed <= alpha < (1 - share) ** (needed - 1)


def test_the_floor_is_sixty_unless_more_are_needed():
    assert Rule().needed_positive_patients(0.85) == 60
    assert Rule(margin=0.01).needed_positive_patients(0.85) > 60


def test_missing_patients_are_counted_over_all_folds():
    assert Rule().obstacles(0.85, [(30, 90), (30, 90)]) == ([], 0)
    (reason,), missing = Rule().obstacles(0.85, [(30, 90), (25, 90)])
    assert (reason, missing) == ("it needs 60 positive patients, and there are 55: 5 more", 5)


@pytest.mark.parametrize(("patients", "which"), [([(80, 9), (1, 9)], "positive"), ([(40, 1), (40, 9)], "negative")])
def test_a_patient_alone_in_a_stratum_forbids_a_verdict(patients, which):
    (reason,), missing = Rule().obstacles(0.85, patients)
    assert f"single {which} patient" in reason
    assert missing == 0


def test_a_model_within_the_margin_of_chance_has_no_verdict():
    (reason,), missing = Rule().obstacles(0.54, MANY)
    assert "chance itself is within the margin" in reason
    assert missing == 0
    assert Rule().obstacles(0.40, MANY)[0]
    assert Rule(margin=0.02).obstacles(0.55, MANY) == ([], 0)


@pytest.mark.parametrize(
    ("setting", "name"),
    [({"margin": 0.5}, "margin"), ({"margin": float("nan")}, "margin"), ({"alpha": 0.1}, "alpha"),
     ({"min_positive_patients": 1}, "min_positive_patients")],
)  # fmt: skip
def test_bad_rules_are_refused(setting, name):
    with pytest.raises(StatisticsError, match=f"^{name}:"):
        Rule(**setting)
