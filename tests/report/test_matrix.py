"""The transfer matrix: every result in its cell, and empty cells without a result."""

import numpy as np
import pytest
from prediction_tables import predictions_table

from mammo_jax.ratios import ratio_text
from mammo_jax.report.matrix import describe_matrix, is_matrix, matrix_figure
from mammo_jax.report.plots import figure_bytes
from mammo_jax.statistics.evaluation import evaluate

RATIOS = (1.0, 15.0, 1000.0)
LOSSES = {
    (ratio_text(train), test): abs(i - j) + 0.1 for i, train in enumerate(RATIOS) for j, test in enumerate(RATIOS)
}
LOSSES |= {("mixed", 15.0): 0.3}


@pytest.fixture(scope="module")
def model() -> dict:
    return evaluate(predictions_table(LOSSES), resamples=100)["models"][0]


def test_every_result_is_in_its_cell(model):
    axes = matrix_figure(model).axes[0]
    grid = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert grid.shape == (4, 3)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "15", "1k", "mixed"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "15", "1k"]
    rows = ["1", "15", "1000", "mixed"]
    for result in model["results"]:
        row, column = rows.index(result["train_ratio"]), RATIOS.index(result["test_ratio"])
        assert grid[row, column] == result["auroc"]["mean"]
    assert np.isnan(grid).sum() == 2
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written[1, 3] == f"{grid[3, 1]:.2f}"
    assert len(written) == 10
    assert [frame.get_xy() for frame in axes.patches] == [(-0.5, -0.5), (0.5, 0.5), (1.5, 1.5)]


def test_transfer_and_matched_results_only_are_no_matrix(model):
    assert is_matrix(model)
    results = [result for result in model["results"] if result["transfer"] or result["matched"]]
    assert not is_matrix({"results": results})


def test_description_and_file(model):
    (point,) = [r for r in model["results"] if r["train_ratio"] == "mixed"]
    assert f"Trained on all ratios: {point['auroc']['mean']:.2f} at 15." in describe_matrix(model)
    assert figure_bytes(matrix_figure(model), "svg") == figure_bytes(matrix_figure(model), "svg")
