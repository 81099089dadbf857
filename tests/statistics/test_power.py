import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from experiments.statistics_check.areas import bootstrap_draws, study_estimates
from experiments.statistics_check.studies import LESION_VIEWS, VIEWS, WOMAN_VARIANCE, Scenario, simulated_scores
from mammo_jax.statistics.power import (
    MAX_POSITIVES,
    Design,
    Studies,
    detectable_loss,
    influences,
    needed_positives,
    power,
    simulated_studies,
)
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.rule import Rule
from mammo_jax.statistics.verdict import verdict


def design_of(scenario: Scenario) -> Design:
    return Design(
        scenario.auroc,
        scenario.correlation,
        VIEWS,
        LESION_VIEWS,
        WOMAN_VARIANCE,
        scenario.positives / scenario.women,
        scenario.harm,
    )


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(240, 80),
        Scenario(300, 100, auroc=0.97, harm="drowning"),
        Scenario(200, 60, auroc=0.75, correlation=0.5),
    ],
)
def test_predicted_studies_are_spread_as_simulated_ones(scenario):
    studies, draws = 300, bootstrap_draws(scenario, 2, 0)
    rows = []
    for scores in simulated_scores(scenario, 0.025, studies, np.random.default_rng(5)):
        found = study_estimates(scores, draws)
        difference = found[100.0] - found[1.0]
        squares = [((len(left) - 1) * (left.mean() - left)) ** 2 / len(left) ** 2 for left in difference.left_out]
        rows.append([found[1.0].value, difference.value, np.sqrt(np.concatenate(squares).sum())])
    auroc, difference, spread = np.array(rows).T
    ours, change = simulated_studies(design_of(scenario), scenario.positives, 0.025)
    error = 1 / np.sqrt(studies)
    assert ours.value.mean() == pytest.approx(auroc.mean(), abs=4 * error * auroc.std())
    assert change.value.mean() == pytest.approx(difference.mean(), abs=4 * error * difference.std())
    assert ours.value.std() == pytest.approx(auroc.std(), rel=4 * error / np.sqrt(2))
    assert change.value.std() == pytest.approx(difference.std(), rel=4 * error / np.sqrt(2))
    assert change.spread.mean() == pytest.approx(spread.mean(), rel=0.03)


def test_the_power_is_that_of_studies_judged_by_the_bootstrap():
    """250 studies that share their draws: a standard error of 3.5 points; `check-power` has more."""
    scenario = Scenario(240, 80)
    draws = bootstrap_draws(scenario, 1000, 3)
    patients = [(fold.positives, len(fold.women) - fold.positives) for fold in draws.folds]
    passed = 0
    for scores in simulated_scores(scenario, 0.025, 250, np.random.default_rng(9)):
        found = study_estimates(scores, draws)
        passed += verdict("transfer", found, seeds=1, patients=patients, rule=Rule())["outcome"] == "ratio"
    assert power(design_of(scenario), 80, 0.025) == pytest.approx(passed / 250, abs=0.09)


def test_influences_have_the_variance_of_placement_values():
    """One image a woman: the variance of Φ(x + d) is that of Bamber's Q1 − A²."""
    design = Design(0.85, 1.0, 1, 1, 0.0, 0.5, "fading")
    found = influences(design, 0.0, 40_000, 0)
    x = np.linspace(-9, 9, 20_001)
    shifted = norm.cdf(x + np.sqrt(2) * norm.ppf(0.85))
    q1 = np.trapezoid(shifted**2 * norm.pdf(x), x)
    assert found.positive[0].var() == pytest.approx(q1 - 0.85**2, rel=0.03)
    assert found.negative[0].var() == pytest.approx(q1 - 0.85**2, rel=0.03)  # by symmetry
    np.testing.assert_allclose(found.positive[1], 0, atol=1e-12)  # nothing differs between the ratios


def test_without_skewness_the_bound_is_the_normal_one():
    studies = Studies(np.array([0.1]), np.array([0.02]), np.zeros(1))
    assert studies.bound(0.025) == pytest.approx(0.1 - 1.959964 * 0.02)
    assert studies.bound(0.975) == pytest.approx(0.1 + 1.959964 * 0.02)
    left_skewed = dataclasses.replace(studies, skewness=np.array([-0.3]))
    assert left_skewed.bound(0.025) < studies.bound(0.025)


def test_power_falls_with_the_loss_and_grows_with_the_women_and_the_floor_stops_it():
    design = Design(harm="fading")
    losses = [power(design, 100, loss, studies=2000) for loss in (0.0, 0.02, 0.03, 0.05)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0.025, abs=0.012)  # at the margin it is the level
    women = [power(design, positives, 0.025, studies=2000) for positives in (80, 120, 200)]
    assert women == sorted(women)
    assert power(design, 59, 0.0, studies=500) == 0
    assert power(design, 50, 0.0, Rule(min_positive_patients=20), studies=500) < 0.02  # 70 are needed at 0.85
    assert power(Design(0.6, harm="fading"), 300, 0.0, studies=500) < 0.05  # AUROC(1) is below 0.70


def test_the_needed_women_have_the_power_and_fewer_do_not():
    design = Design(harm="drowning")
    needed = needed_positives(design, 0.025, studies=2000)
    assert power(design, needed, 0.025, studies=2000) == pytest.approx(0.8, abs=0.02)
    assert power(design, round(0.85 * needed), 0.025, studies=2000) < 0.8
    assert needed_positives(dataclasses.replace(design, auroc=0.65), 0.025, studies=200) is None
    assert needed_positives(Design(0.75, 0.99, harm="fading"), 0.0, Rule(0.2), wanted=0.05, studies=200) == 60
    assert MAX_POSITIVES > 1000


def test_the_smallest_loss_is_shown_in_four_of_five_studies():
    design = Design(harm="fading")
    smallest = detectable_loss(design, 100, studies=1000)
    _, difference = simulated_studies(design, 100, smallest, studies=2000)
    assert (difference.bound(0.975) < 0).mean() == pytest.approx(0.8, abs=0.03)
    assert detectable_loss(design, 400, studies=200) < 0.6 * smallest
    assert detectable_loss(Design(0.55, 0.0), 3, studies=500) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"auroc": 0.5}, "auroc"),
        ({"positive_share": 1.0}, "positive_share"),
        ({"correlation": 1.2}, "correlation"),
        ({"woman_share": -0.1}, "woman_share"),
        ({"lesion_views": 5}, "lesion_views"),
    ],
)
def test_what_cannot_be_is_refused(change, named):
    with pytest.raises(StatisticsError, match=f"^{named}: "):
        Design(**change)
    with pytest.raises(StatisticsError, match=r"^loss: 0\.4 "):
        power(Design(), 100, 0.4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("positives", [0, 1])
def test_fewer_than_two_positive_women_show_no_loss(positives):
    assert detectable_loss(Design(), positives, studies=100) is None
