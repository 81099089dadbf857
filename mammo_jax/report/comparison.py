"""One page about several studies: their verdicts, their curves in one figure, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_jax.files import display_bytes, read_json, sha256_file, write_text
from mammo_jax.report.build import load_metrics, page_environment, page_script
from mammo_jax.report.drawing import Shape
from mammo_jax.report.figures import CURVE_HEADER, ReportFigure, curve_rows, describe, keys
from mammo_jax.report.plots import QUALITY, curves, quality_points
from mammo_jax.report.ratio_chart import Curve, Point, ratio_chart
from mammo_jax.report.sections import ReportError, audit_summary
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.comparison import paired_differences
from mammo_jax.statistics.metrics import primary_model
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import read_predictions

STYLES: tuple[tuple[str, Shape, tuple[float, float] | None], ...] = (
    ("blue", "circle", None),
    ("orange", "square", (7, 4)),
    ("green", "triangle", (2, 3)),
    ("purple", "diamond", (9, 3)),
    ("gold", "cross", None),
    ("ink", "circle", (4, 4)),
)
"""Colour, marker and dash of each study; so many can be told from each other."""


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes
    ----------
    name : str
    run : RunFolder
    metrics : dict
    audit : list of dict or None
    settings : dict
        Its configuration; empty where scores came from outside.
    """

    name: str
    run: RunFolder
    metrics: dict[str, Any]
    audit: list[dict[str, Any]] | None
    settings: dict[str, Any]

    @property
    def model(self) -> dict[str, Any]:
        """The primary model's metrics."""
        return primary_model(self.metrics)


def build_comparison(runs: Sequence[Path], out: Path) -> Path:
    """Write one self-contained page about several runs.

    Parameters
    ----------
    runs : sequence of Path
        Run folders with metrics.json, at least two; the others are compared with the first.
    out : Path

    Raises
    ------
    ReportError
        If there are too few or too many runs, a run is given twice, or its metrics cannot be used.
    """
    if len(runs) < 2 or len(runs) > len(STYLES):
        raise ReportError(f"compare takes 2 to {len(STYLES)} run folders, and there are {len(runs)}")
    if len({run.resolve() for run in runs}) < len(runs):
        raise ReportError("the same run folder is given twice; name each once")
    studies = _studies(runs)
    page = (
        page_environment()
        .get_template("comparison.html")
        .render(
            studies=[_card(study) for study in studies],
            figures=[figure.in_page() for figure in comparison_figures(studies)],
            pairs=[_pair(studies[0], other) for other in studies[1:]],
            first=studies[0].name,
            script=page_script(),
        )
    )
    write_text(out, page)
    return out


def _studies(runs: Sequence[Path]) -> list[Study]:
    names = [run.resolve().name for run in runs]
    studies = []
    for number, path in enumerate(runs):
        run = RunFolder(path)
        name = names[number] if names.count(names[number]) == 1 else f"{names[number]} ({number + 1})"
        settings = read_json(run.config)["config"] if run.config.exists() else {}
        studies.append(Study(name, run, load_metrics(run), audit_summary(run), settings))
    return studies


def _card(study: Study) -> dict[str, Any]:
    """Return what is said of a study by itself."""
    model, verdict = study.model, study.model["verdicts"]["transfer"]
    row = next((row for row in study.audit or [] if row["ratio"] == verdict["ratio"]), None)
    auroc = verdict["auroc_uncompressed"]
    facts = {
        "model": model["name"],
        "codec": study.audit[0]["codec"] if study.audit else None,
        "source": study.settings.get("source"),
        "images": model["counts"]["images"],
        "positive patients": model["counts"]["positive_patients"],
        "training seeds": None if study.metrics["frozen"] else len(model["seeds"]),
        "AUROC uncompressed": f"{auroc['value']:.3f}" if auroc else None,
        "size of an image at this ratio": display_bytes(row["mean_bytes"]) if row else None,
    }
    return {
        "name": study.name,
        "verdict": verdict,
        "sentence": study.metrics["sentence"],
        "scored": study.metrics.get("scored"),
        "demonstration": study.metrics["demonstration"],
        "facts": {name: value for name, value in facts.items() if value is not None},
    }


def comparison_figures(studies: Sequence[Study]) -> list[ReportFigure]:
    """Draw the AUROC of all studies in one figure, and the image quality of those with an audit."""
    transfer = []
    for study, (colour, shape, dash) in zip(studies, STYLES):
        points = [curve.points for curve in curves(study.model, "auroc") if curve.label.startswith("transfer")]
        if points:
            transfer.append(Curve(study.name, points[0], colour, shape, dash))
    figures = [_figure("auroc", "AUROC", transfer, 3)] if transfer else []
    for name, (title, digits) in QUALITY.items():
        medians = [[Point(point.ratio, point.value) for point in quality_points(s.audit or (), name)] for s in studies]
        drawn = [
            Curve(study.name, tuple(points), colour, shape, dash)
            for study, points, (colour, shape, dash) in zip(studies, medians, STYLES)
            if points
        ]
        if drawn:
            figures.append(_figure(name, title, drawn, digits))
    return figures


def _figure(name: str, title: str, drawn: Sequence[Curve], digits: int) -> ReportFigure:
    values = [end for curve in drawn for point in curve.points for end in (point.value, point.low) if end is not None]
    highest = 1.0 if name != "psnr" else max(values) * 1.03
    lowest = max(0.0, min(values) - 0.05 * (highest - min(values)))
    drawing = ratio_chart(
        drawn, title=title, description=describe(title, drawn), limits=(lowest, highest), digits=digits
    )
    caption = f"{title} of each study{'. Bars: 95 % intervals' if name == 'auroc' else ', median of its images'}."
    return ReportFigure(name, title, caption, drawing, CURVE_HEADER, curve_rows(drawn, title), keys(drawn))


def _pair(first: Study, other: Study) -> dict[str, Any]:
    """Compare a study with the first, or say why they cannot be paired."""
    pair: dict[str, Any] = {"name": other.name, "rows": [], "reason": None}
    try:
        pair["rows"] = _differences(first, other)
    except StatisticsError as error:
        pair["reason"] = str(error)
    return pair


def _differences(first: Study, other: Study) -> list[dict[str, Any]]:
    levels = [study.metrics["analysis_levels"] for study in (first, other)]
    if levels[0]["primary"] != levels[1]["primary"] or levels[0]["pooling"] != levels[1]["pooling"]:
        raise StatisticsError("their verdicts count other things: one image, breast or woman, or maximum or mean")
    tables = [_predictions(study) for study in (first, other)]
    return paired_differences(
        *tables,
        level=levels[0]["primary"],
        pooling=levels[0]["pooling"],
        resamples=first.metrics["resamples"],
        seed=first.metrics["seed"],
    )


def _predictions(study: Study) -> Any:
    path = study.run.predictions
    if not path.exists():
        raise StatisticsError(f"{study.name} has no predictions.parquet, since its scores came from outside")
    if study.metrics.get("predictions_sha256") not in (None, sha256_file(path)):
        raise StatisticsError(f"the predictions of {study.name} have changed since its evaluation; evaluate it again")
    table = read_predictions(path)
    return table[table["model"] == study.metrics["primary_model"]]
