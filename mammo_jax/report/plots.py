"""AUROC, AUPRC and ROC curves, and image quality, against the compression ratio."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from mammo_jax.ratios import LADDER, ratio_name, ratio_text
from mammo_jax.report.drawing import Shape
from mammo_jax.report.figures import CURVE_HEADER, ReportFigure, curve_rows, describe, keys
from mammo_jax.report.line_chart import ShareLine, line_chart
from mammo_jax.report.published import RECOMMENDATIONS, RESNET18_RANGE, cnn_mean
from mammo_jax.report.ratio_chart import PUBLISHED, Curve, Point, Reference, Span, Verdict, ratio_chart

Metric = Literal["auroc", "auprc"]
NAMES = {"auroc": "AUROC", "auprc": "AUPRC"}
STYLES: dict[str, dict[str, Any]] = {
    "transfer": {"label": "transfer: trained uncompressed", "colour": "blue", "shape": "circle"},
    "matched": {
        "label": "matched: trained at the same ratio", "colour": "orange", "shape": "square", "dash": (7, 4),
        "layer": "matched",
    },
    "mixed": {
        "label": "mixed: trained on all ratios", "colour": "green", "shape": "triangle", "dash": (2, 3),
        "layer": "mixed",
    },
}  # fmt: skip
QUALITY = {"psnr": ("PSNR in dB", 1), "ssim": ("SSIM", 3)}
ROC_CURVES = 5
"""More would lie on each other."""
ROC_COLOURS = ("blue", "sky", "green", "gold", "broken")


def curves(model: Mapping[str, Any], metric: Metric, *, frozen: bool = False) -> list[Curve]:
    """Collect the transfer, matched and mixed curves of one model; curves without points are left out."""
    results = model["results"]
    members = {
        "transfer": [result for result in results if result["transfer"]],
        "matched": [result for result in results if result["matched"]],
        "mixed": [result for result in results if result["train_ratio"] == "mixed"],
    }
    collected = []
    for kind, found in members.items():
        if not found or (kind == "matched" and [result["test_ratio"] for result in found] == [1.0]):
            continue
        points = (Point(result["test_ratio"], *_value_and_interval(result[metric])) for result in found)
        style = STYLES[kind] | ({"label": "the frozen model"} if frozen and kind == "transfer" else {})
        collected.append(Curve(points=tuple(sorted(points, key=lambda point: point.ratio)), **style))
    return collected


def _value_and_interval(figure: Mapping[str, Any]) -> tuple[float, float | None, float | None]:
    """Return what is drawn: AUPRC as it is corrected, around which its interval is."""
    if figure["low"] is None:
        return figure["mean"], None, None
    return figure.get("corrected", figure["mean"]), figure["low"], figure["high"]


def performance_figure(model: Mapping[str, Any], metric: Metric, noun: str, *, frozen: bool = False) -> ReportFigure:
    """Draw one metric of one model against the compression ratio, with intervals, verdict and what others found.

    Parameters
    ----------
    model : mapping
        One of the models of metrics.json.
    metric : {"auroc", "auprc"}
    noun : str
        What is counted: "image".
    frozen : bool
        Whether the model is a finished one.
    """
    drawn = curves(model, metric, frozen=frozen)
    verdict = model["verdicts"]["transfer"]
    judged = verdict["outcome"] in ("ratio", "no ratio passed")
    marks = Verdict(verdict["ratio"], verdict["first_failed"]) if judged else Verdict()
    levels = {"chance": 0.5 if metric == "auroc" else prevalence(model)}
    if metric == "auroc" and verdict["auroc_uncompressed"] is not None:
        level = verdict["auroc_uncompressed"]["value"] - verdict["margin"]
        levels |= {f"uncompressed − margin of {verdict['margin']:g}": level}
    others = _published(metric, max((point.ratio for curve in drawn for point in curve.points), default=1.0))
    low, high = RESNET18_RANGE[metric]
    description = f"{describe(NAMES[metric], drawn)}{_verdict_words(marks)} Bars are 95 % intervals."
    drawing = ratio_chart(
        [*drawn, others],
        title=f"{NAMES[metric]} per {noun}",
        description=description,
        limits=_limits(drawn, levels),
        verdict=marks,
        levels=levels,
        spans=[Span(f"Jo et al., ResNet18: {low:.2f} to {high:.2f} over the ratios", low, high, PUBLISHED)],
        references=_references(),
    )
    corrected = metric == "auprc" and not model["results"][0]["auprc"]["no_interval"]
    caption = f"{NAMES[metric]} per {noun}{', corrected for the size of the folds' if corrected else ''}"
    rows = curve_rows(drawn, NAMES[metric])
    legend = keys([*drawn, others])
    return ReportFigure(metric, NAMES[metric], f"{caption}. Bars: 95 % intervals.", drawing, CURVE_HEADER, rows, legend)


def _verdict_words(marks: Verdict) -> str:
    passed = f" Up to CR {ratio_text(marks.passed)} the ratios passed." if marks.passed else ""
    return passed + (f" The break is at CR {ratio_text(marks.broken)}." if marks.broken else "")


def _limits(drawn: Sequence[Curve], levels: Mapping[str, float]) -> tuple[float, float]:
    values = [value for curve in drawn for point in curve.points for value in (point.value, point.low) if value]
    lowest = min([*values, *levels.values()])
    return max(0.0, (int(lowest * 20) - 1) / 20), 1.0


def _published(metric: Metric, highest: float) -> Curve:
    """Return the published means up to a ratio."""
    means = ((ratio, cnn_mean(metric, ratio)) for ratio in LADDER if ratio <= highest)
    points = tuple(Point(ratio, mean) for ratio, mean in means if mean is not None)
    return Curve("Jo et al., CNN: means up to CR 5000 and above", points, "published", "diamond", (2, 3), PUBLISHED)


def _references() -> list[Reference]:
    return [Reference(entry.ratio, entry.short, entry.text) for entry in RECOMMENDATIONS]


def prevalence(model: Mapping[str, Any]) -> float:
    """Return the share of positives at the primary analysis level, on which AUPRC depends."""
    primary = next((row for row in model["levels"] if row["primary"]), None)
    return primary["positive_units"] / primary["units"] if primary else model["counts"]["prevalence"]


def quality_figures(audit: Sequence[Mapping[str, Any]]) -> list[ReportFigure]:
    """Draw the image quality at each ratio, of the whole image and of the breast: medians, and 5 to 95 % of the images.

    Parameters
    ----------
    audit : sequence of mapping
        See `mammo_jax.report.sections.audit_summary`.
    """
    parts: tuple[tuple[str, str, str, Shape, tuple[float, float] | None], ...] = (
        ("whole image", "", "blue", "circle", None),
        ("breast", "_breast", "orange", "square", (7, 4)),
    )
    figures = []
    for name, (title, digits) in QUALITY.items():
        drawn = [
            Curve(label, tuple(quality_points(audit, name + ending)), colour, shape, dash)
            for label, ending, colour, shape, dash in parts
        ]
        points = [point for curve in drawn for point in curve.points]
        if not points:
            continue
        ends = [end for point in points for end in (point.low, point.value, point.high) if end is not None]
        limits = (max(0.0, min(ends) * 0.97), 1.0 if name == "ssim" else max(ends) * 1.03)
        drawing = ratio_chart(
            drawn, title=title, description=describe(title, drawn, digits), limits=limits, digits=digits
        )
        caption = f"{title}: median of the images; bars: from 5 % to 95 % of them."
        rows = curve_rows(drawn, title)
        figures.append(ReportFigure(name, title, caption, drawing, CURVE_HEADER, rows, keys(drawn)))
    return figures


def quality_points(audit: Sequence[Mapping[str, Any]], column: str) -> Iterator[Point]:
    """Yield the medians that can be drawn; images that are equal have a PSNR of infinity."""
    for row in audit:
        low, high = row["spread"][column]
        if math.isfinite(row[column]):
            spread = (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)
            yield Point(row["ratio"], row[column], *spread)


def roc_figure(model: Mapping[str, Any]) -> ReportFigure | None:
    """Draw the mean ROC curves at some ratios; None for metrics of an older version, which have none."""
    found = model.get("roc")
    if not found:
        return None
    shown = _some(found["curves"], model["verdicts"]["transfer"])
    rates = found["false_positive_rates"]

    lines = []
    for index, curve in enumerate(shown):
        label = f"{ratio_name(curve['test_ratio'])} (AUROC {curve['auroc']:.3f})"
        dash = None if index % 2 == 0 else (7.0, 3.0)
        lines.append(ShareLine(label, rates, curve["sensitivities"], ROC_COLOURS[index], dash))
    description = f"ROC curves of the transfer: {'; '.join(line.label for line in lines)}."
    titles = {"x_title": "false-positive rate (1 − specificity)", "y_title": "sensitivity"}
    drawing, legend = line_chart(lines, **titles, description=description, diagonal=True)
    caption = "ROC curves, averaged over folds and training seeds at each false-positive rate. The file has all ratios."
    rows = [
        [curve["test_ratio"], x, y] for curve in found["curves"] for x, y in zip(rates, curve["sensitivities"])
    ]  # fmt: skip
    header = ("compression_ratio", "false_positive_rate", "sensitivity")
    return ReportFigure("roc", "ROC curves", caption, drawing, header, rows, legend)


def _some(found: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Choose uncompressed, the ratio that passed, the break, the largest, and then every other one."""
    ratios = [curve["test_ratio"] for curve in found]
    wanted = [1.0, verdict["ratio"], verdict["first_failed"], max(ratios), *ratios[1::2]]
    chosen = list(dict.fromkeys(ratio for ratio in wanted if ratio in ratios))[:ROC_CURVES]
    return [curve for curve in found if curve["test_ratio"] in chosen]
