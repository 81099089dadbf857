"""Figure of the report's section on model observers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mammo_jax.observer.stage import BLIND, OBSERVER, RESIZED, STATISTICS
from mammo_jax.observer.summary import CHANCE, MATCHED, NETWORK, TRANSFER
from mammo_jax.ratios import ratio_text
from mammo_jax.report.plots import GREY, finish_ratio_axis

STYLES: dict[tuple[str, str], dict[str, Any]] = {
    (NETWORK, TRANSFER): {"color": "#0072B2", "marker": "o", "linestyle": "-", "label": "network, transfer"},
    (OBSERVER, TRANSFER): {"color": "#009E73", "marker": "^", "linestyle": "-.", "label": "observer, transfer"},
    (OBSERVER, MATCHED): {"color": "#D55E00", "marker": "s", "linestyle": "--", "label": "observer, matched"},
    (RESIZED, MATCHED): {
        "color": "#CC79A7", "marker": "D", "linestyle": ":", "label": "observer, matched; fewer pixels instead",
    },
    (STATISTICS, MATCHED): {
        "color": "#000000", "marker": "x", "linestyle": (0, (1, 3)), "label": "statistics of file and corners alone",
    },
    (BLIND, MATCHED): {"color": GREY, "marker": "_", "linestyle": "none", "label": "blind observer (permuted labels)"},
}  # fmt: skip
"""Arm and training → how its curve looks. Colours of Okabe and Ito; markers and lines differ in print."""


def observer_figure(summary: Mapping[str, Any]) -> Figure:
    """Draw the AUROC of the network and of every arm against the compression ratio, with 95 % intervals."""
    figure = Figure(figsize=(6.4, 5.6))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.34, 0.885, 0.645))
    drawn = curves(summary)
    for position, (curve, rows) in enumerate(drawn.items()):
        shift = 1 + 0.035 * (position - (len(drawn) - 1) / 2)  # so that intervals do not overlap
        means = [row["mean"] for row in rows]
        axes.errorbar(
            [row["ratio"] * shift for row in rows],
            means,
            yerr=[
                [max(row["mean"] - row["low"], 0.0) for row in rows],
                [max(row["high"] - row["mean"], 0.0) for row in rows],
            ],
            markersize=5,
            linewidth=1.5,
            elinewidth=0.9,
            capsize=2,
            **STYLES[curve],
        )
    axes.axhline(CHANCE, color=GREY, linewidth=0.8)
    axes.set_ylim(min([0.4, *(row["low"] for rows in drawn.values() for row in rows)]) - 0.02, 1.02)
    axes.set_ylabel("AUROC", fontsize=11)
    finish_ratio_axis(axes)
    figure.legend(loc="upper center", bbox_to_anchor=(0.52, 0.24), fontsize=9.5, frameon=False)
    return figure


def curves(summary: Mapping[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the rows of each curve that is drawn, in ascending ratios."""
    rows = {
        curve: sorted(
            (row for row in summary["curves"] if (row["arm"], row["training"]) == curve), key=lambda row: row["ratio"]
        )
        for curve in STYLES
    }
    return {curve: points for curve, points in rows.items() if points}


def describe_observers(summary: Mapping[str, Any]) -> str:
    """Describe the figure in words, for readers who cannot see it."""
    sentences = ["AUROC against the compression ratio on a log scale, with 95 % intervals."]
    for curve, rows in curves(summary).items():
        points = ", ".join(f"{row['mean']:.2f} at {ratio_text(row['ratio'])}" for row in rows)
        label = STYLES[curve]["label"]
        sentences.append(f"{label[0].upper()}{label[1:]}: {points}.")
    return " ".join(sentences)
