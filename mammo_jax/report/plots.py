"""Figures of the report: AUROC and AUPRC against the compression ratio."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mammo_jax.ratios import LADDER, ratio_text
from mammo_jax.report.published import CITATION, RESNET18_RANGE, cnn_mean

Metric = Literal["auroc", "auprc"]
NAMES = {"auroc": "AUROC", "auprc": "AUPRC"}
TICKS = (1, 15, 50, 100, 500, 1000, 5000, 10000)
# Okabe and Ito's colour-blind safe palette; markers and line styles distinguish the curves in print.
STYLES: dict[str, dict[str, Any]] = {
    "transfer": {"color": "#0072B2", "marker": "o", "linestyle": "-", "label": "transfer: trained uncompressed"},
    "matched": {"color": "#D55E00", "marker": "s", "linestyle": "--", "label": "matched: trained at the same ratio"},
    "mixed": {"color": "#009E73", "marker": "^", "linestyle": "-.", "label": "mixed: trained on all ratios"},
}
GREY = "#5F5F5F"


@dataclass(frozen=True)
class Curve:
    """One curve: ascending ratios, each with mean and 95 % interval; for AUPRC the mean corrected for small folds."""

    kind: str
    ratios: tuple[float, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


def curves(results: Sequence[Mapping[str, Any]], metric: Metric) -> list[Curve]:
    """Collect the transfer, matched and mixed curves of one model's results; curves without points are left out."""
    members = {
        "transfer": [result for result in results if result["transfer"]],
        "matched": [result for result in results if result["matched"]],
        "mixed": [result for result in results if result["train_ratio"] == "mixed"],
    }
    collected = []
    for kind, points in members.items():
        points = sorted(points, key=lambda result: result["test_ratio"])
        if not points or (kind == "matched" and [point["test_ratio"] for point in points] == [1.0]):
            continue
        columns = zip(*((point["test_ratio"], *_value_and_interval(point[metric])) for point in points))
        collected.append(Curve(kind, *(tuple(column) for column in columns)))
    return collected


def _value_and_interval(figure: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return what is drawn: AUPRC as it is corrected, around which its interval is; NaN where there is no interval."""
    if figure["low"] is None:
        return figure["mean"], float("nan"), float("nan")
    return figure.get("corrected", figure["mean"]), figure["low"], figure["high"]


def performance_figure(model: Mapping[str, Any], metric: Metric) -> Figure:
    """Draw one metric of one model against the compression ratio, with intervals and the published means.

    Parameters
    ----------
    model : mapping
        One of the models of metrics.json.
    metric : {"auroc", "auprc"}

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to pyplot.
    """
    figure = Figure(figsize=(5.6, 4.8))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.115, 0.385, 0.87, 0.6))  # fixed, so that the figures of both metrics are aligned
    drawn = curves(model["results"], metric)
    for position, curve in enumerate(drawn):
        _draw_curve(axes, curve, shift=1 + 0.05 * (position - (len(drawn) - 1) / 2))
    _draw_levels(axes, model, metric)
    _draw_published(axes, metric)
    _finish_axes(axes, drawn, metric)
    handles, labels = axes.get_legend_handles_labels()
    own_first = sorted(zip(handles, labels), key=lambda entry: not isinstance(entry[0], ErrorbarContainer))
    figure.legend(*zip(*own_first), loc="upper center", bbox_to_anchor=(0.5, 0.265), fontsize=10, frameon=False)
    return figure


def _draw_curve(axes: Axes, curve: Curve, shift: float) -> None:
    """Draw points with error bars, with x multiplied by `shift`, so that intervals do not overlap."""
    # Percentiles of a small bootstrap need not include the mean.
    below = [max(mean - low, 0.0) for mean, low in zip(curve.means, curve.lows)]
    above = [max(high - mean, 0.0) for mean, high in zip(curve.means, curve.highs)]
    axes.errorbar(
        [ratio * shift for ratio in curve.ratios],
        curve.means,
        yerr=[below, above],
        markersize=5.5,
        linewidth=1.6,
        elinewidth=1.1,
        capsize=2.5,
        **STYLES[curve.kind],
    )


def _draw_published(axes: Axes, metric: Metric) -> None:
    low, high = RESNET18_RANGE[metric]
    axes.fill_between(
        [min(LADDER), max(LADDER)],
        low,
        high,
        color="#BDBDBD",
        alpha=0.35,
        linewidth=0,
        zorder=0.5,
        label="Jo et al., ResNet18: range (other data)",
    )
    axes.plot(
        LADDER,
        [cnn_mean(metric, ratio) or float("nan") for ratio in LADDER],
        color=GREY,
        marker="D",
        markersize=3.5,
        linewidth=1,
        linestyle=":",
        zorder=1.5,
        label="Jo et al., CNN: means (other data)",
    )


def _draw_levels(axes: Axes, model: Mapping[str, Any], metric: Metric) -> None:
    """Draw the chance level and, for AUROC, the margin of the transfer verdict."""
    chance = 0.5 if metric == "auroc" else prevalence(model)
    axes.axhline(chance, color=GREY, linewidth=0.8)
    axes.annotate(
        "chance", (0, chance), xycoords=("axes fraction", "data"), xytext=(4, 2), textcoords="offset points",
        ha="left", va="bottom", fontsize=9.5, color=GREY,
    )  # fmt: skip
    verdict = model["verdicts"]["transfer"]
    if metric == "auroc" and verdict["auroc_uncompressed"] is not None:
        level = verdict["auroc_uncompressed"]["value"] - verdict["margin"]
        label = f"uncompressed AUROC − margin of {verdict['margin']:g}"
        axes.axhline(level, color="#000000", linewidth=1, linestyle=(0, (4, 3)), label=label)


def prevalence(model: Mapping[str, Any]) -> float:
    """Return the share of positives at the primary analysis level, on which AUPRC depends."""
    primary = next((row for row in model["levels"] if row["primary"]), None)
    return primary["positive_units"] / primary["units"] if primary else model["counts"]["prevalence"]


def _finish_axes(axes: Axes, drawn: Sequence[Curve], metric: Metric) -> None:
    lowest = min([0.45, *(low for curve in drawn for low in curve.lows)]) if metric == "auroc" else 0.0
    axes.set_ylim(max(0.0, lowest - 0.03), 1.02)
    axes.set_ylabel(NAMES[metric], fontsize=11)
    finish_ratio_axis(axes)


def finish_ratio_axis(axes: Axes) -> None:
    """Set up the x axis for the compression ratio on a log scale, and draw a grid."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick // 1000}k" if tick >= 1000 else ratio_text(tick) for tick in TICKS])
    axes.set_xlabel("compression ratio (1: uncompressed; log scale)", fontsize=11)
    axes.tick_params(labelsize=10.5)
    axes.grid(color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def describe_figure(model: Mapping[str, Any], metric: Metric) -> str:
    """Describe a figure in words, for readers who cannot see it."""
    sentences = [f"{NAMES[metric]} against the compression ratio on a log scale, with 95 % intervals."]
    for curve in curves(model["results"], metric):
        points = ", ".join(f"{mean:.2f} at {ratio_text(ratio)}" for ratio, mean in zip(curve.ratios, curve.means))
        sentences.append(f"{STYLES[curve.kind]['label'].capitalize()}: {points}.")
    sentences.append(f"In grey the published means of {CITATION}.")
    return " ".join(sentences)


def figure_bytes(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """Render a figure reproducibly: without date and with fixed ids, so that equal figures give equal bytes.

    Text is converted to outlines, so that an SVG does not depend on installed fonts.
    """
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mammo_jax", "svg.fonttype": "path"}):
        if kind == "svg":
            figure.savefig(stream, format="svg", metadata={"Date": None})
        else:
            figure.savefig(stream, format="png", dpi=160)
    return stream.getvalue()
