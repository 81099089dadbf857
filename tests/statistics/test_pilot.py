import numpy as np
import pytest
from prediction_tables import predictions_table as made_table
from prediction_tables import transfer_losses

from experiments.statistics_check.studies import Scenario, predictions_table, simulated_scores
from mammo_jax.statistics.analysis_levels import at_level
from mammo_jax.statistics.evaluation import evaluate, verdict_text
from mammo_jax.statistics.pilot import estimated_design, planned, power_sentences, representative_ratio
from mammo_jax.statistics.power import MAX_POSITIVES
from mammo_jax.statistics.prediction_grid import StatisticsError, prediction_grid
from mammo_jax.statistics.predictions import check_predictions


def table_of(scenario: Scenario, loss: float = 0.0):
    scores = simulated_scores(scenario, loss, 1, np.random.default_rng(1))[0]
    return check_predictions(predictions_table(scenario, scores), "simulated")


@pytest.fixture(scope="module")
def small():
    table = table_of(Scenario(160, 40))
    return table, evaluate(table, resamples=200)


@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_a_large_pilot_gives_back_what_it_was_drawn_with(correlation):
    scenario = Scenario(1200, 400, folds=3, correlation=correlation)
    table = table_of(scenario)
    design = estimated_design(prediction_grid(table), 100.0)
    assert design.auroc == pytest.approx(0.85, abs=0.025)
    assert design.correlation == pytest.approx(correlation, abs=0.02)
    assert design.woman_share == pytest.approx(0.3, abs=0.04)
    assert (design.views, design.lesion_views, design.positive_share) == (4, 2, 400 / 1200)
    ranks = table.assign(score=np.exp(3 * table["score"].rank(pct=True)))
    again = estimated_design(prediction_grid(ranks), 100.0)  # no scale counts
    assert (again.correlation, again.woman_share) == pytest.approx((design.correlation, design.woman_share), abs=0.02)


def test_of_a_woman_with_one_score_nothing_is_shared():
    grid = prediction_grid(at_level(table_of(Scenario(160, 40)), "woman", "max"))
    design = estimated_design(grid, 100.0)
    assert (design.views, design.lesion_views, design.woman_share) == (1, 1, 0)
    with pytest.raises(StatisticsError, match="tested at CR 15; name a ratio"):
        estimated_design(grid, 15.0)


def test_a_study_that_cannot_tell_ends_with_what_it_takes(small):
    table, metrics = small
    assert metrics["verdict"]["outcome"] == "cannot tell"
    found = planned(table, metrics)
    assert (found["ratio"], found["loss"], found["power"], found["positives"]) == (100.0, 0.025, 0.8, 40)
    assert 60 <= found["needed"]["fading"] < found["needed"]["drowning"] < 600
    assert 0.02 < found["detectable"]["fading"] < found["detectable"]["drowning"] < 0.15
    text = power_sentences(found)
    assert f"about {found['needed']['fading']} positive patients if every lesion fades alike" in text
    assert f"about {found['needed']['drowning']} if some patients' lesions vanish whole; this one has 40" in text
    assert f"is {found['detectable']['fading']:.3f} if lesions fade" in text
    assert text in verdict_text(metrics | {"power": found})
    assert text not in verdict_text(metrics)
    beyond = found | {"needed": dict.fromkeys(found["needed"]), "detectable": dict.fromkeys(found["detectable"])}
    assert f"more than {MAX_POSITIVES} positive patients" in power_sentences(beyond)
    assert "It would have shown no loss, however large, with as much power, whether" in power_sentences(beyond)
    half = found | {"detectable": found["detectable"] | {"drowning": None}}
    assert "no loss, however large, with as much power if they vanish." in power_sentences(half)


def test_the_largest_ratio_that_lost_little_stands_for_compression():
    losses = transfer_losses({1.0: 0.0, 15.0: 0.05, 50.0: 0.1, 100.0: 3.0})
    grid = prediction_grid(made_table(losses, patients=200, folds=2))
    assert representative_ratio(grid, 0.05) == 50
    assert representative_ratio(grid, 0.9) == 100
    assert representative_ratio(grid, -0.9) == 15


def test_with_a_verdict_or_without_skill_nothing_is_planned(small):
    table, metrics = small
    assert planned(table, metrics | {"verdict": metrics["verdict"] | {"outcome": "ratio"}}) is None
    for value in (0.54, 1.0):
        verdict = metrics["verdict"] | {"auroc_uncompressed": {"value": value, "lower_bound": value}}
        assert planned(table, metrics | {"verdict": verdict}) is None
