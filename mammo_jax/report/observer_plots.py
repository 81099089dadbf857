"""Figure of the report's section on model observers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.observer.stage import BLIND, OBSERVER, RESIZED, STATISTICS
from mammo_jax.observer.summary import CHANCE, MATCHED, NETWORK, TRANSFER
from mammo_jax.report.figures import CURVE_HEADER, ReportFigure, curve_rows, describe, keys
from mammo_jax.report.ratio_chart import Curve, Point, ratio_chart

STYLES: dict[tuple[str, str], dict[str, Any]] = {
    (NETWORK, TRANSFER): {"label": "network, transfer", "colour": "blue", "shape": "circle"},
    (OBSERVER, TRANSFER): {"label": "observer, transfer", "colour": "green", "shape": "triangle", "dash": (9, 3)},
    (OBSERVER, MATCHED): {"label": "observer, matched", "colour": "orange", "shape": "square", "dash": (6, 4)},
    (RESIZED, MATCHED): {
        "label": "observer, matched; fewer pixels instead", "colour": "purple", "shape": "diamond", "dash": (2, 3),
    },
    (STATISTICS, MATCHED): {
        "label": "statistics of file and corners alone", "colour": "ink", "shape": "cross", "dash": (1, 4),
    },
    (BLIND, MATCHED): {
        "label": "blind observer (permuted labels)", "colour": "published", "shape": "square", "joined": False,
    },
}  # fmt: skip
"""Arm and training → how its curve looks. Markers and dashes differ in print."""
CAPTION = (
    "AUROC per patch against the compression ratio. Bars: 95 % intervals. The network is the one trained on "
    "uncompressed images."
)


def observer_figure(summary: Mapping[str, Any]) -> ReportFigure:
    """Draw the AUROC of the network and of every arm against the compression ratio, with 95 % intervals."""
    drawn = curves(summary)
    lows = [point.low for curve in drawn for point in curve.points if point.low is not None]
    drawing = ratio_chart(
        drawn,
        title="AUROC per patch",
        description=f"{describe('AUROC', drawn)} Bars are 95 % intervals.",
        limits=(max(0.0, min([0.4, *lows]) - 0.02), 1.0),
        levels={"chance": CHANCE},
    )
    rows = curve_rows(drawn, "AUROC")
    return ReportFigure("observer", "Model observers", CAPTION, drawing, CURVE_HEADER, rows, keys(drawn))


def curves(summary: Mapping[str, Any]) -> list[Curve]:
    """Return each curve that has points."""
    found = []
    for (arm, training), style in STYLES.items():
        rows = [row for row in summary["curves"] if (row["arm"], row["training"]) == (arm, training)]
        points = [Point(row["ratio"], row["mean"], row["low"], row["high"]) for row in rows]
        if points:
            found.append(Curve(points=tuple(sorted(points, key=lambda point: point.ratio)), **style))
    return found
