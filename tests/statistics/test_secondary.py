import json
from itertools import combinations

import numpy as np
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.statistics.bootstrap import estimates
from mammo_jax.statistics.delong import delong
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.prediction_grid import prediction_grid
from mammo_jax.statistics.secondary import holm, secondary_figures

LOSSES = {1.0: 0.0, 15.0: 0.3, 100.0: 0.7, 1000.0: 1.2}


def by_closed_testing(p_values):
    """Return the largest Bonferroni p-value of any intersection that a hypothesis is part of, which is Holm's."""
    places = range(len(p_values))
    groups = [group for size in range(1, len(p_values) + 1) for group in combinations(places, size)]
    return [
        max(min(1, len(group) * min(p_values[place] for place in group)) for group in groups if place in group)
        for place in places
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_holm_equals_closed_testing(count):
    rng = np.random.default_rng(count)
    for _ in range(20):
        p_values = (rng.random(count) ** 3).round(2).tolist()  # with ties
        assert holm(p_values) == pytest.approx(by_closed_testing(p_values), abs=1e-12)


def test_holm_of_the_textbook_example():
    """After p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_p_value_is_below_alpha_exactly_where_the_verdicts_bound_passes():
    table = predictions_table(transfer_losses(LOSSES), patients=400, folds=2)
    model = evaluate(table, resamples=1000)["models"][0]
    verdict, rows = model["verdicts"]["transfer"], model["secondary"]
    assert [row["ratio"] for row in rows] == [15.0, 100.0, 1000.0]
    for row, step in zip(rows, verdict["steps"], strict=True):
        assert (row["p_value"] < verdict["alpha"]) == step["passed"]
        assert (row["p_value"] < verdict["other_alpha"]) == (step["lower_bound_at_other_alpha"] > -0.05)
        assert row["delong"]["difference"] == pytest.approx(step["difference"], abs=1e-12)
    assert {step["passed"] for step in verdict["steps"]} == {True, False}
    assert [row["holm"] for row in rows] == holm([row["p_value"] for row in rows])
    json.dumps(rows, allow_nan=False)


def test_delong_compares_with_cr_1():
    grid = prediction_grid(predictions_table(transfer_losses(LOSSES), patients=120, folds=2, seeds=2, seed_noise=0.1))
    rows = secondary_figures(grid, estimates(grid, 100, 0)[0], 0.05)
    expected = delong(grid.folds, grid.scores["1", 100.0], grid.scores["1", 1.0])
    assert rows[1]["delong"] == expected._asdict()
    assert rows[1]["delong"]["difference"] < 0


@pytest.mark.parametrize("losses", [{("1", 1.0): 0.0}, {("1", 15.0): 0.0}, {("mixed", 1.0): 0.0, ("mixed", 15.0): 0}])
def test_without_something_to_compare_there_are_none(losses):
    grid = prediction_grid(predictions_table(losses, patients=60, folds=1))
    assert secondary_figures(grid, estimates(grid, 100, 0)[0], 0.05) == []


def test_a_single_positive_image_has_no_delong():
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}), patients=40, images_per_patient=1, folds=1)
    positive = table.loc[table["label"] == 1, "image_id"].unique()
    grid = prediction_grid(table[~table["image_id"].isin(positive[1:])])
    (row,) = secondary_figures(grid, estimates(grid, 100, 0)[0], 0.05)
    assert row["delong"] is None
    assert 0 < row["p_value"] <= 1
