import pytest

from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.rule import Rule

MANY = [(80, 200)]


@pytest.mark.parametrize(("auroc", "needed"), [(0.72, 60), (0.80, 60), (0.85, 70), (0.90, 80), (0.97, 94), (1.0, 100)])
def test_ten_patients_are_hit_by_a_loss_of_the_margin(auroc, needed):
    assert Rule().needed_positive_patients(auroc) == needed
    assert needed * 0.05 / (auroc - 0.5) >= 10 - 1e-9


@pytest.mark.parametrize(("auroc", "alpha", "unseen"), [(0.85, 0.025, 24), (0.97, 0.025, 33), (0.85, 0.05, 20)])
def test_more_are_needed_than_to_see_the_loss_at_all(auroc, alpha, unseen):
    """With fewer than `unseen` patients a loss of the margin hits none of them more often than alpha."""
    share = 0.05 / (auroc - 0.5)
    assert (1 - share) ** unseen <= alpha < (1 - share) ** (unseen - 1)
    assert Rule(alpha=alpha, min_positive_patients=2).needed_positive_patients(auroc) > unseen


def test_a_smaller_margin_needs_more():
    assert Rule(margin=0.02).needed_positive_patients(0.85) == 175
    assert Rule(min_positive_patients=200).needed_positive_patients(0.85) == 200


def test_missing_patients_are_counted_over_all_folds():
    assert Rule().obstacles(0.85, [(40, 90), (30, 90)]) == ([], 0)
    (reason,), missing = Rule().obstacles(0.85, [(30, 90), (25, 90)])
    assert (reason, missing) == ("it needs 70 positive patients, and there are 55: 15 more", 15)


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
    assert Rule(margin=0.02).obstacles(0.54, MANY) == ([], 0)


@pytest.mark.parametrize(
    ("setting", "name"),
    [({"margin": 0.5}, "margin"), ({"margin": float("nan")}, "margin"), ({"alpha": 0.1}, "alpha"),
     ({"min_positive_patients": 1}, "min_positive_patients")],
)  # fmt: skip
def test_bad_rules_are_refused(setting, name):
    with pytest.raises(StatisticsError, match=f"^{name}:"):
        Rule(**setting)
