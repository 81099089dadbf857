"""The transfer matrix: every result in its cell, and empty cells without a result."""

import pytest
from prediction_tables import predictions_table

from mammo_jax.ratios import ratio_text
from mammo_jax.report.drawing import Area, Label, Line
from mammo_jax.report.matrix import CELL_HEIGHT, CELL_WIDTH, LEFT, TOP, describe_matrix, is_matrix, matrix_figure
from mammo_jax.statistics.evaluation import evaluate

RATIOS = (1.0, 15.0, 1000.0)
LOSSES = {
    (ratio_text(train), test): abs(i - j) + 0.1 for i, train in enumerate(RATIOS) for j, test in enumerate(RATIOS)
}
LOSSES |= {("mixed", 15.0): 0.3}


@pytest.fixture(scope="module")
def model() -> dict:
    return evaluate(predictions_table(LOSSES), resamples=100)["models"][0]


def cell(position: tuple[float, float]) -> tuple[int, int]:
    return int((position[1] - TOP) // CELL_HEIGHT), int((position[0] - LEFT) // CELL_WIDTH)


def test_every_result_is_in_its_cell(model):
    figure = matrix_figure(model)
    inside = [item for item in figure.drawing.items if isinstance(item, Label) and item.text.startswith("0.")]
    written = {cell(item.at): item.text for item in inside}
    rows = ["1", "15", "1000", "mixed"]
    expected = {
        (rows.index(r["train_ratio"]), RATIOS.index(r["test_ratio"])): f"{r['auroc']['mean']:.2f}"
        for r in model["results"]
    }
    assert written == expected
    assert len(written) == 10
    frames = [item for item in figure.drawing.items if isinstance(item, Line)]
    assert [cell(frame.points[0]) for frame in frames] == [(0, 0), (1, 1), (2, 2)]
    cells = {cell(item.points[0]): item.opacity for item in figure.drawing.items if isinstance(item, Area)}
    best = max(model["results"], key=lambda result: result["auroc"]["mean"])
    assert max(cells, key=cells.get) == (rows.index(best["train_ratio"]), RATIOS.index(best["test_ratio"]))
    assert [row[:2] for row in figure.rows] == [[r["train_ratio"], r["test_ratio"]] for r in model["results"]]


def test_transfer_and_matched_results_only_are_no_matrix(model):
    assert is_matrix(model)
    results = [result for result in model["results"] if result["transfer"] or result["matched"]]
    assert not is_matrix({"results": results})


def test_description(model):
    (point,) = [r for r in model["results"] if r["train_ratio"] == "mixed"]
    assert f"Trained on all ratios: {point['auroc']['mean']:.2f} at 15." in describe_matrix(model)
