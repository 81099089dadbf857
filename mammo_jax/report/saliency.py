"""The report's saliency section, from RUN/saliency/summary.json and panels/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.files import read_json
from mammo_jax.report.figures import ReportFigure
from mammo_jax.report.saliency_plots import SHOWN_MEASURES, drift_figures, faithfulness_figures, localisation_figures
from mammo_jax.report.sections import ReportError, example_rows
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.localisation import MEASURES, PRIMARY_MEASURE
from mammo_jax.saliency.methods import CONTROL, METHODS, TITLES
from mammo_jax.saliency.randomisation import MIN_MEMORISED_AUROC
from mammo_jax.saliency.stage import OTHER_SEED, RANDOM_LABELS, RANDOM_ORDER, TRAINED
from mammo_jax.saliency.summary import MANY_POSITIONS, RANDOM_WEIGHTS, SCHEMA

MIN_PATIENTS = 150
"""With fewer patients than this the report warns that they are few."""
CONTROLS = {
    "chance": "chance",
    RANDOM_WEIGHTS: "random weights",
    RANDOM_LABELS: "permuted labels",
    CONTROL: "plain intensity",
}


def load_summary(run: RunFolder) -> dict[str, Any] | None:
    """Read saliency/summary.json; None if the run has no saliency results.

    Raises
    ------
    ReportError
        If it is damaged or has another version.
    """
    path = run.saliency.summary
    if not path.exists():
        return None
    try:
        summary: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise ReportError(f"{path}: not readable JSON ({error}); remove it and run mammo-jax saliency") from error
    if summary.get("schema") != SCHEMA:
        raise ReportError(f"{path}: field schema is not {SCHEMA!r}; remove it and run mammo-jax saliency again")
    return summary


def saliency_figures(run: RunFolder) -> list[ReportFigure]:
    """Draw the section's figures; none if the run has no saliency results."""
    summary = load_summary(run)
    if summary is None:
        return []
    return [*localisation_figures(summary), *drift_figures(summary), *faithfulness_figures(summary)]


def saliency_section(run: RunFolder) -> dict[str, Any] | None:
    """Collect the section's template variables; None if the run has no saliency results."""
    summary = load_summary(run)
    if summary is None:
        return None
    panels, refused = example_rows(run.saliency.panels)
    return {
        "summary": summary,
        "primary": TITLES[summary["primary"]],
        "few": summary["counts"]["patients"] < MIN_PATIENTS,
        "localisation_figures": [figure.in_page() for figure in localisation_figures(summary)],
        "drift_figures": [figure.in_page() for figure in drift_figures(summary)],
        "faithfulness_figures": [figure.in_page() for figure in faithfulness_figures(summary)],
        "comparisons": _comparisons(summary),
        "primary_measure": MEASURES[summary["primary_measure"]],
        "with_many_positions": _with_many_positions(summary),
        "against_intensity": _against_intensity(summary),
        "controls": CONTROLS,
        "methods": _methods(summary),
        "memorised": MIN_MEMORISED_AUROC,
        "failed": [TITLES[row["method"]] for row in summary["sanity"] if row["passed"] is False],
        "has_floor": any(row["model"] == OTHER_SEED for row in summary["drift"]),
        "groups": _groups(summary),
        "measures": {measure: MEASURES[measure] for measure in SHOWN_MEASURES},
        "completeness": _completeness(summary),
        "faithfulness": _faithfulness(summary),
        "panels": panels,
        "refused": refused,
    }


def _select(rows: list[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def _comparisons(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the measures at CR 1: the primary method's value, its chance level, and its paired differences."""
    rows = []
    for measure, title in MEASURES.items():
        (own,) = _select(
            summary["localization"], model=TRAINED, ratio=1.0, method=summary["primary"], group="all", measure=measure
        )
        comparisons = _select(summary["comparisons"], method=summary["primary"], measure=measure)
        against = {row["against"]: row for row in comparisons}
        rows.append({"title": title, "value": own["value"], "chance": own["chance"], "against": against})
    return rows


def _with_many_positions(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List pointing game and energy at CR 1, for all images and for those whose lesion has many positions."""
    rows = []
    for measure in (PRIMARY_MEASURE, "pointing_game"):
        groups = _select(summary["localization"], model=TRAINED, ratio=1.0, method=summary["primary"], measure=measure)
        rows.append({"title": MEASURES[measure], **{row["group"]: row for row in groups}})
    return [row for row in rows if MANY_POSITIONS in row]


def _against_intensity(summary: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Group the primary method's differences from the plain image at CR 1 by the sign of their intervals."""
    better, worse, neither = "better in", "worse in", "neither shown better nor worse in"
    conclusions: dict[str, list[dict[str, Any]]] = {better: [], worse: [], neither: []}
    for row in _select(summary["comparisons"], method=summary["primary"], against=CONTROL):
        conclusion = better if row["better"] else worse if row["worse"] else neither
        conclusions[conclusion].append(row | {"title": MEASURES[row["measure"]]})
    return {conclusion: rows for conclusion, rows in conclusions.items() if rows}


def _methods(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the methods at CR 1: localisation, similarity to other models' maps, and result of the sanity check."""
    rows = []
    for method in (*METHODS, CONTROL):
        own = _select(summary["localization"], model=TRAINED, ratio=1.0, method=method, group="all")
        similarity = {
            model: _select(summary["drift"], model=model, method=method, measure="spearman")
            for model in (OTHER_SEED, RANDOM_LABELS, RANDOM_WEIGHTS)
        }
        sanity = _select(summary["sanity"], method=method)
        rows.append(
            {
                "title": TITLES[method],
                "control": method == CONTROL,
                "measures": {row["measure"]: row for row in own},
                "similarity": {model: cells[0] if cells else None for model, cells in similarity.items()},
                "passed": sanity[0]["passed"] if sanity else None,
            }
        )
    return rows


def _groups(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the measures by ratio and group of images: all, classified correctly, and classified wrongly."""
    rows = []
    own = _select(summary["localization"], model=TRAINED, method=summary["primary"])
    for ratio in sorted({row["ratio"] for row in own}):
        for group in ("all", "correct", "wrong"):
            measures = {row["measure"]: row for row in own if row["ratio"] == ratio and row["group"] == group}
            if measures:
                images = next(iter(measures.values()))["images"]
                rows.append({"ratio": ratio, "group": group, "images": images, "measures": measures})
    return rows


def _completeness(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the completeness at the lowest and the highest ratio; summary.json has all ratios."""
    ends = {pick(row["ratio"] for row in summary["completeness"]) for pick in (min, max)}
    rows = [row | {"title": TITLES[row["method"]]} for row in summary["completeness"] if row["ratio"] in ends]
    return sorted(rows, key=lambda row: row["ratio"])


def _faithfulness(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the pixel orders with the areas under both curves and their gain over a random order."""
    titles = {**TITLES, RANDOM_ORDER: "random order"}
    rows = []
    for method, title in titles.items():
        curves = {row["curve"]: row for row in _select(summary["faithfulness"], method=method)}
        if curves:
            rows.append({"title": title, "random": method == RANDOM_ORDER, **curves})
    return rows
