"""The transfer matrix as a figure: every training ratio against every test ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mammo_jax.ratios import ratio_text

MATCHED_EDGE = "#D55E00"
MATRIX_CAPTION = (
    "AUROC of models trained at one ratio (rows; mixed: on all of them) and tested at another (columns). Framed: "
    "matched. The first row is the transfer that the verdict is about."
)


def is_matrix(model: Mapping[str, Any]) -> bool:
    """Return whether a model has results besides transfer and matched."""
    return any(not (result["transfer"] or result["matched"]) for result in model["results"])


def matrix_figure(model: Mapping[str, Any]) -> Figure:
    """Draw the AUROC of every training ratio (rows, in the order of the metrics) at every test ratio (columns).

    Parameters
    ----------
    model : mapping
        One of the models of metrics.json.

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to pyplot. Cells without a result are empty; matched ones have a frame.
    """
    results = model["results"]
    rows = list(dict.fromkeys(result["train_ratio"] for result in results))
    columns = sorted({result["test_ratio"] for result in results})
    grid = [[float("nan")] * len(columns) for _ in rows]
    for result in results:
        grid[rows.index(result["train_ratio"])][columns.index(result["test_ratio"])] = result["auroc"]["mean"]
    lowest = min(0.5, *(result["auroc"]["mean"] for result in results))
    width, height = 2.0 + 0.62 * len(columns), 0.75 + 0.42 * len(rows)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    bottom, high = 0.6 / height, 0.42 * len(rows) / height
    axes = figure.add_axes((0.95 / width, bottom, 0.62 * len(columns) / width, high))
    image = axes.imshow(grid, cmap="cividis", vmin=lowest, vmax=1.0, aspect="auto")
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            if value == value:
                ink = "#000000" if value > (lowest + 1) / 2 + 0.05 else "#FFFFFF"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=ink)
            if rows[row] == ratio_text(columns[column]):
                frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=MATCHED_EDGE, linewidth=2)
                axes.add_patch(frame)
    axes.set_xticks(range(len(columns)), [_short(ratio_text(ratio)) for ratio in columns])
    axes.set_yticks(range(len(rows)), [_short(ratio) for ratio in rows])
    axes.set_xlabel("tested at compression ratio (1: uncompressed)", fontsize=11)
    axes.set_ylabel("trained at", fontsize=11)
    axes.tick_params(labelsize=10, length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, cax=figure.add_axes((1 - 0.85 / width, bottom, 0.15 / width, high)))
    bar.outline.set_visible(False)
    bar.set_label("AUROC", fontsize=11)
    return figure


def describe_matrix(model: Mapping[str, Any]) -> str:
    """Describe the figure in words, for readers who cannot see it."""
    sentences = ["AUROC of every training ratio at every test ratio."]
    for train in dict.fromkeys(result["train_ratio"] for result in model["results"]):
        points = [result for result in model["results"] if result["train_ratio"] == train]
        listed = ", ".join(f"{p['auroc']['mean']:.2f} at {ratio_text(p['test_ratio'])}" for p in points)
        sentences.append(f"Trained {'on all ratios' if train == 'mixed' else f'at {train}'}: {listed}.")
    return " ".join(sentences)


def matrix_csv(model: Mapping[str, Any]) -> str:
    """Return the values as CSV."""
    lines = ["trained_at,tested_at,auroc,low,high"]
    for result in model["results"]:
        values = ",".join(str(result["auroc"][name]) for name in ("mean", "low", "high"))
        lines.append(f"{result['train_ratio']},{ratio_text(result['test_ratio'])},{values}")
    return "\n".join(lines) + "\n"


def _short(ratio: str) -> str:
    """Abbreviate 11000 as 11k, so that labels don't overlap."""
    return f"{ratio[:-3]}k" if ratio.endswith("000") else ratio
