"""The transfer matrix as a figure: every training ratio against every test ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.ratios import ratio_text
from mammo_jax.report.drawing import Area, Drawing, Item, Label, Line, Position
from mammo_jax.report.figures import ReportFigure
from mammo_jax.report.ratio_chart import MEDIUM, SMALL, short

CAPTION = (
    "AUROC of models trained at one ratio (rows; mixed: on all of them) and tested at another (columns): the darker, "
    "the higher. Framed: matched. The first row is the transfer that the verdict is about."
)
HEADER = ("trained_at", "tested_at", "auroc", "low", "high")
LEFT, TOP, CELL_WIDTH, CELL_HEIGHT = 76.0, 12.0, 52.0, 34.0
PALEST, DARKEST = 0.05, 0.55
"""Opacity of the cells of the lowest AUROC, at most 0.5, and of 1; figures can be read on each."""


def is_matrix(model: Mapping[str, Any]) -> bool:
    """Return whether a model has results besides transfer and matched."""
    return any(not (result["transfer"] or result["matched"]) for result in model["results"])


def matrix_figure(model: Mapping[str, Any]) -> ReportFigure:
    """Draw the AUROC of every training ratio (rows, in the order of the metrics) at every test ratio (columns).

    Parameters
    ----------
    model : mapping
        One of the models of metrics.json. Cells without a result are empty; matched ones have a frame.
    """
    results = model["results"]
    rows = list(dict.fromkeys(result["train_ratio"] for result in results))
    columns = sorted({result["test_ratio"] for result in results})
    lowest = min(0.5, *(result["auroc"]["mean"] for result in results))
    items: list[Item] = []
    frames: list[Item] = []
    for result in results:
        row, column = rows.index(result["train_ratio"]), columns.index(result["test_ratio"])
        corners = _corners(row, column)
        value = result["auroc"]["mean"]
        opacity = PALEST + (DARKEST - PALEST) * (value - lowest) / (1 - lowest)
        items.append(Area(corners, "blue", opacity, tip=_tip(result)))
        middle = (corners[0][0] + CELL_WIDTH / 2, corners[0][1] + CELL_HEIGHT / 2 + 5)
        items.append(Label(middle, f"{value:.2f}", "ink", SMALL, "middle"))
        if result["matched"]:
            frames.append(Line((*corners, corners[0]), "orange", 2.5))
    width, bottom = LEFT + CELL_WIDTH * len(columns), TOP + CELL_HEIGHT * len(rows)
    for index, ratio in enumerate(columns):
        frames.append(Label((LEFT + CELL_WIDTH * (index + 0.5), bottom + 18), short(ratio), "ink", SMALL, "middle"))
    for index, train in enumerate(rows):
        name = train if train == "mixed" else short(float(train))
        frames.append(Label((LEFT - 7, TOP + CELL_HEIGHT * (index + 0.5) + 5), name, "ink", SMALL, "end"))
    across = "tested at compression ratio (1: uncompressed)"
    frames.append(Label(((LEFT + width) / 2, bottom + 40), across, "ink", SMALL, "middle"))
    frames.append(Label((15, (TOP + bottom) / 2), "trained at", "ink", MEDIUM, "middle", turned=True))
    drawing = Drawing(max(width + 8, 420.0), bottom + 52, (*items, *frames), describe_matrix(model))
    values = [
        [r["train_ratio"], r["test_ratio"], *(r["auroc"][end] for end in ("mean", "low", "high"))] for r in results
    ]
    return ReportFigure("matrix", "Transfer matrix", CAPTION, drawing, HEADER, values)


def _corners(row: int, column: int) -> tuple[Position, ...]:
    left, top = LEFT + CELL_WIDTH * column, TOP + CELL_HEIGHT * row
    right, bottom = left + CELL_WIDTH, top + CELL_HEIGHT
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _tip(result: Mapping[str, Any]) -> str:
    auroc, train = result["auroc"], result["train_ratio"]
    trained = "on all ratios" if train == "mixed" else f"at {train}"
    interval = f"({auroc['low']:.3f} to {auroc['high']:.3f})"
    return f"trained {trained}, tested at {ratio_text(result['test_ratio'])}: AUROC {auroc['mean']:.3f} {interval}"


def describe_matrix(model: Mapping[str, Any]) -> str:
    """Describe the figure in words, for readers who cannot see it."""
    sentences = ["AUROC of every training ratio at every test ratio."]
    for train in dict.fromkeys(result["train_ratio"] for result in model["results"]):
        points = [result for result in model["results"] if result["train_ratio"] == train]
        listed = ", ".join(f"{p['auroc']['mean']:.2f} at {ratio_text(p['test_ratio'])}" for p in points)
        sentences.append(f"Trained {'on all ratios' if train == 'mixed' else f'at {train}'}: {listed}.")
    return " ".join(sentences)
