"""Figures of the report's saliency section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_jax.report.figures import CURVE_HEADER, ReportFigure, curve_rows, describe, keys
from mammo_jax.report.line_chart import ShareLine, line_chart
from mammo_jax.report.ratio_chart import Curve, Point, Span, ratio_chart
from mammo_jax.saliency.drift import SIMILARITIES
from mammo_jax.saliency.localisation import MEASURES
from mammo_jax.saliency.methods import CONTROL
from mammo_jax.saliency.stage import OTHER_SEED, RANDOM_LABELS, RANDOM_ORDER, TRAINED
from mammo_jax.saliency.summary import RANDOM_WEIGHTS

SHOWN_MEASURES = ("energy", "average_precision", "pointing_game", "dice_area")
LEVELS = {
    OTHER_SEED: "another training seed, CR 1",
    RANDOM_LABELS: "trained on permuted labels, CR 1",
    RANDOM_WEIGHTS: "random weights, CR 1",
}
DASHED = (7.0, 4.0)
DOTTED = (2.0, 3.0)


def localisation_figures(summary: Mapping[str, Any]) -> list[ReportFigure]:
    """Draw four measures against the compression ratio: the trained model, chance, and the plain image."""
    figures = []
    for measure in SHOWN_MEASURES:
        rows = _rows(summary["localization"], measure=measure, model=TRAINED, group="all")
        own, plain = (_by_ratio(rows, method) for method in (summary["primary"], CONTROL))
        drawn = [
            Curve("the trained model's maps", _points(own, "value"), "blue"),
            Curve("plain intensity, no network", _points(plain, "value"), "orange", "triangle", DOTTED),
            Curve("chance: the lesion elsewhere in the breast", _points(own, "chance"), "published", "square", DASHED),
        ]
        title = f"{MEASURES[measure][0].upper()}{MEASURES[measure][1:]}"
        highest = max(point.high or point.value for curve in drawn for point in curve.points)
        description = describe(title, drawn)
        drawing = ratio_chart(drawn, title=title, description=description, limits=(0.0, min(1.0, 1.05 * highest)))
        caption = f"{title}. Bars: 95 % intervals; the table has the paired differences."
        rows_of_table = curve_rows(drawn, title)
        name = f"localization_{measure}"
        figures.append(ReportFigure(name, title, caption, drawing, CURVE_HEADER, rows_of_table, keys(drawn)))
    return figures


def drift_figures(summary: Mapping[str, Any]) -> list[ReportFigure]:
    """Draw the maps' similarity to those at CR 1, with the levels of another seed and of the controls."""
    figures = []
    for measure, title in SIMILARITIES.items():
        rows = _rows(summary["drift"], measure=measure, method=summary["primary"])
        own = sorted((row for row in rows if row["model"] == TRAINED), key=lambda row: row["ratio"])
        drawn = [Curve("the same model at this ratio", _points(own, None), "blue")]
        others = [row for row in rows if row["model"] in LEVELS]
        lowest = min([0.0, *(row["low"] for row in rows)])
        drawing = ratio_chart(
            drawn,
            title=f"{title} with the map at CR 1",
            description=_with_levels(describe(f"{title} with the map at CR 1", drawn), others),
            limits=(lowest - 0.05, 1.0),
            levels={LEVELS[row["model"]]: row["mean"] for row in others},
            spans=[Span(_level_text(row), row["low"], row["high"], "") for row in others],
        )
        caption = f"{title} of the maps with those of the same model at CR 1. Bars and bands: 95 % intervals."
        values = curve_rows(drawn, title)
        values += [[LEVELS[row["model"]], title, 1.0, row["mean"], row["low"], row["high"]] for row in others]
        figures.append(ReportFigure(f"drift_{measure}", title, caption, drawing, CURVE_HEADER, values, keys(drawn)))
    return figures


def faithfulness_figures(summary: Mapping[str, Any]) -> list[ReportFigure]:
    """Draw the insertion and deletion curves at CR 1 of the primary method, the plain image and a random order."""
    styles = {
        summary["primary"]: ("blue", None, "the trained model's maps"),
        CONTROL: ("orange", DOTTED, "plain intensity, no network"),
        RANDOM_ORDER: ("published", DASHED, "random order"),
    }
    figures = []
    for kind, verb in (("insertion", "inserted"), ("deletion", "blurred")):
        rows = [row for row in _rows(summary["faithfulness"], curve=kind) if row["method"] in styles]
        lines = []
        for row in rows:
            colour, dash, label = styles[row["method"]]
            area = f"{label} (area {row['area']['mean']:.2f})"
            lines.append(ShareLine(area, row["fractions"], row["points"], colour, dash))
        drawing, legend = line_chart(
            lines,
            x_title=f"fraction of the breast's pixels {verb}",
            y_title="mean probability of a finding",
            description=f"{kind.capitalize()} at CR 1: {'; '.join(line.label for line in lines)}.",
        )
        values = [[line.label, x, y] for line in lines for x, y in zip(line.xs, line.ys)]
        header = ("order", "fraction", "probability")
        caption = f"{kind.capitalize()} at CR 1, mean over the images."
        figures.append(ReportFigure(kind, kind.capitalize(), caption, drawing, header, values, legend))
    return figures


def _rows(rows: Sequence[Mapping[str, Any]], **values: Any) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def _by_ratio(rows: Sequence[Mapping[str, Any]], method: str) -> list[Mapping[str, Any]]:
    return sorted((row for row in rows if row["method"] == method), key=lambda row: row["ratio"])


def _points(rows: Sequence[Mapping[str, Any]], key: str | None) -> tuple[Point, ...]:
    """Return points with their intervals; the estimates are the rows themselves, or their values at `key`."""
    estimates = [(row["ratio"], row if key is None else row[key]) for row in rows]
    return tuple(Point(ratio, estimate["mean"], estimate["low"], estimate["high"]) for ratio, estimate in estimates)


def _level_text(row: Mapping[str, Any]) -> str:
    return f"{LEVELS[row['model']]}: {row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def _with_levels(description: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return " ".join([description, *(f"Level of {_level_text(row)}." for row in rows)])
