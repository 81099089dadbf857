"""Figures of the report's saliency section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mammo_jax.report.matplotlib_axes import GREY, finish_ratio_axis
from mammo_jax.saliency.drift import SIMILARITIES
from mammo_jax.saliency.localisation import MEASURES
from mammo_jax.saliency.methods import CONTROL
from mammo_jax.saliency.stage import OTHER_SEED, RANDOM_LABELS, RANDOM_ORDER, TRAINED
from mammo_jax.saliency.summary import RANDOM_WEIGHTS

SHOWN_MEASURES = ("energy", "average_precision", "pointing_game", "dice_area")
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
BANDS = {
    OTHER_SEED: (GREEN, "another training seed, CR 1"),
    RANDOM_LABELS: (PURPLE, "trained on permuted labels, CR 1"),
    RANDOM_WEIGHTS: (ORANGE, "random weights, CR 1"),
}


def localisation_figure(summary: Mapping[str, Any]) -> Figure:
    """Draw four measures against the compression ratio: the trained model, chance, and the plain image."""
    figure, grid = _grid(2, 2, (9.6, 7.0))
    for axes, measure in zip(grid, SHOWN_MEASURES):
        rows = _rows(summary["localization"], measure=measure, model=TRAINED, group="all")
        own, plain = (
            sorted((row for row in rows if row["method"] == method), key=lambda row: row["ratio"])
            for method in (summary["primary"], CONTROL)
        )
        ratios = [row["ratio"] for row in own]
        chance = [row["chance"] for row in own]
        axes.fill_between(
            ratios, [c["low"] for c in chance], [c["high"] for c in chance], color="#BDBDBD", alpha=0.6, linewidth=0,
            label="chance: the lesion at other positions in the breast",
        )  # fmt: skip
        axes.plot(ratios, [c["mean"] for c in chance], color=GREY, linewidth=1)
        _line(axes, plain, "value", color=ORANGE, marker="^", linestyle=":", label="plain intensity, no network")
        _line(axes, own, "value", color=BLUE, marker="o", linestyle="-", label="the trained model's maps")
        axes.set_title(MEASURES[measure][0].upper() + MEASURES[measure][1:], fontsize=11)
        axes.set_ylim(bottom=0)
        finish_ratio_axis(axes)
    return _with_legend(figure, grid[0])


def drift_figure(summary: Mapping[str, Any]) -> Figure:
    """Draw the maps' similarity to those at CR 1, with the levels of another seed and of the controls."""
    figure, grid = _grid(1, 2, (9.6, 4.2))
    for axes, (measure, title) in zip(grid, SIMILARITIES.items()):
        rows = _rows(summary["drift"], measure=measure, method=summary["primary"])
        for model, (colour, label) in BANDS.items():
            for row in (row for row in rows if row["model"] == model):
                axes.axhspan(row["low"], row["high"], color=colour, alpha=0.18, linewidth=0)
                axes.axhline(row["mean"], color=colour, linewidth=1.2, label=label)
        own = sorted((row for row in rows if row["model"] == TRAINED), key=lambda row: row["ratio"])
        _line(axes, own, None, color=BLUE, marker="o", linestyle="-", label="the same model at this ratio")
        axes.set_title(f"{title} with the map at CR 1", fontsize=11)
        axes.set_ylim(min(-0.05, *(row["low"] - 0.02 for row in rows)), 1.03)
        finish_ratio_axis(axes)
    return _with_legend(figure, grid[0])


def faithfulness_figure(summary: Mapping[str, Any]) -> Figure:
    """Draw the insertion and deletion curves at CR 1 of the primary method, the plain image and a random order."""
    figure, grid = _grid(1, 2, (9.6, 4.2))
    styles = {
        summary["primary"]: (BLUE, "-", "the trained model's maps"),
        CONTROL: (ORANGE, ":", "plain intensity, no network"),
        RANDOM_ORDER: (GREY, "--", "random order"),
    }
    for axes, kind in zip(grid, ("insertion", "deletion")):
        for row in _rows(summary["faithfulness"], curve=kind):
            if row["method"] in styles:
                colour, line, label = styles[row["method"]]
                axes.plot(row["fractions"], row["points"], color=colour, linestyle=line, linewidth=1.6, label=label)
        axes.set_title(f"{kind.capitalize()}", fontsize=11)
        verb = "inserted" if kind == "insertion" else "blurred"
        axes.set_xlabel(f"fraction of the breast's pixels {verb}", fontsize=10.5)
        axes.set_ylabel("mean probability of a finding", fontsize=10.5)
        axes.grid(color="#E4E4E4", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    return _with_legend(figure, grid[0])


def _grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _rows(rows: Sequence[Mapping[str, Any]], **values: Any) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def _line(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str | None, **style: Any) -> None:
    """Draw means with their intervals; the estimates are the rows themselves, or their values at `key`."""
    estimates = [row if key is None else row[key] for row in rows]
    means = [estimate["mean"] for estimate in estimates]
    below = [max(0.0, estimate["mean"] - estimate["low"]) for estimate in estimates]  # may be negative by rounding
    above = [max(0.0, estimate["high"] - estimate["mean"]) for estimate in estimates]
    axes.errorbar(
        [row["ratio"] for row in rows], means, yerr=[below, above],
        markersize=4.5, linewidth=1.5, elinewidth=1, capsize=2, **style,
    )  # fmt: skip


def _with_legend(figure: Figure, axes: Axes) -> Figure:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=10, frameon=False)
    return figure
