"""Build a run's report.html and figures/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mammo_jax.files import PAGE_STYLE, atomic_path, display_bytes, read_json, write_text
from mammo_jax.ratios import ratio_text
from mammo_jax.report import published, sections
from mammo_jax.report.checklists import checklist_section, filled_items, read_authors, write_checklist
from mammo_jax.report.matrix import describe_matrix, is_matrix, matrix_figure
from mammo_jax.report.observer import observer_figures, observer_section
from mammo_jax.report.plots import NAMES, describe_figure, figure_bytes, performance_figure, prevalence
from mammo_jax.report.protocol import protocol_status, protocol_text
from mammo_jax.report.provenance import provenance
from mammo_jax.report.run_facts import methods_paragraph, run_facts
from mammo_jax.report.saliency import saliency_figures, saliency_section
from mammo_jax.report.sections import ReportError
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import disagreement, outcome_text
from mammo_jax.statistics.evaluation import SCHEMA
from mammo_jax.statistics.pilot import power_sentences
from mammo_jax.statistics.verdict import verdict_sentence


def build_report(run: RunFolder) -> Path:
    """Write `report.html`, a self-contained file without network access, and `figures/` and `checklist.csv` for papers.

    Parameters
    ----------
    run : RunFolder
        Has metrics.json. audit.csv, folds.csv, images.csv, left_out.csv, examples/, saliency/, observer/, config.json
        and log.jsonl are used if they exist; the report lists what is missing.

    Returns
    -------
    Path
        The report's path.

    Raises
    ------
    ReportError
        If metrics.json is missing or has another version, or another file is damaged.
    """
    metrics = load_metrics(run)
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, PAGE_STYLE.parent]),
        autoescape=True,  # ids and names are untrusted text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ratio": display_ratio, "bytes": display_bytes, "signed": display_signed}
    environment.filters["outcome"] = outcome_text
    environment.filters["p_value"] = display_p_value
    facts = run_facts(run, metrics)
    items = filled_items(facts, read_authors(run))
    papers = {"checklists": checklist_section(items), "methods": methods_paragraph(facts)}
    page = environment.get_template("template.html").render(**_context(run, metrics), **papers)
    write_checklist(run, items)
    _write_figures(run, metrics)
    write_text(run.report, page)
    return run.report


def load_metrics(run: RunFolder) -> dict[str, Any]:
    """Read metrics.json.

    Raises
    ------
    ReportError
        If it is missing or damaged, or has another version.
    """
    path = run.metrics
    if not path.exists():
        raise ReportError(f"{path}: no such file; mammo-jax evaluate writes it from a predictions table")
    try:
        metrics: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise ReportError(f"{path}: not readable JSON ({error}); write it again with mammo-jax evaluate") from error
    if metrics.get("schema") != SCHEMA:
        raise ReportError(
            f"{path}: field schema is {metrics.get('schema')!r}, not {SCHEMA!r}; write it again with mammo-jax evaluate"
        )
    return metrics


def _context(run: RunFolder, metrics: dict[str, Any]) -> dict[str, Any]:
    """Collect the template's variables."""
    audit = sections.audit_summary(run)
    examples, refused = sections.example_rows(run.examples)
    saliency = saliency_section(run)
    classes = sections.classes_by_fold(run)
    origin = provenance(run, metrics)
    status = protocol_status(run, metrics)
    missing = {
        "the compression audit (audit.csv)": audit is None,
        "example crops (examples/)": not examples,
        "the classes of each fold (folds.csv and images.csv)": classes is None,
        "the configuration (config.json)": origin["settings"] is None,
    }
    models = sorted(metrics["models"], key=lambda model: (model["name"] != metrics["primary_model"], model["name"]))
    return {
        "metrics": metrics,
        "storage": storage_sentence(metrics["verdict"], audit),
        "models": [_model_context(model, metrics) for model in models],
        "audit": audit,
        "left_out": sections.left_out(run),
        "lossy": sections.lossy_notice(run),
        "saliency": saliency,
        "observers": observer_section(run),
        "examples": examples,
        "refused_crops": refused,
        "classes": classes,
        "provenance": origin,
        "protocol": status | {"text": protocol_text(status)},
        "power": power_sentences(metrics["power"]) if metrics.get("power") else None,
        "missing": [name for name, is_missing in missing.items() if is_missing],
        "published": published,
    }


def _model_context(model: dict[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    figures = [
        {
            "uri": sections.data_uri(figure_bytes(performance_figure(model, metric), "svg"), "image/svg+xml"),
            "name": NAMES[metric],
            "description": describe_figure(model, metric),
        }
        for metric in ("auroc", "auprc")
    ]
    tables = [_kind_table(model, kind) for kind in ("transfer", "matched")]
    words = {"noun": metrics["analysis_levels"]["noun"], "frozen": metrics["frozen"]}
    return model | {
        "figures": figures,
        "tables": [table for table in tables if any(row["test_ratio"] > 1 for row in table["rows"])],
        "matrix": _matrix_context(model) if is_matrix(model) else None,
        "others": [result for result in model["results"] if not (result["transfer"] or result["matched"])],
        "sentences": {kind: verdict_sentence(verdict, **words) for kind, verdict in model["verdicts"].items()},
        "disagreement": disagreement(model["levels"], metrics["analysis_levels"]["pooling"]),
        "prevalence": prevalence(model),
    }


def _matrix_context(model: Mapping[str, Any]) -> dict[str, str]:
    figure = figure_bytes(matrix_figure(model), "svg")
    return {"uri": sections.data_uri(figure, "image/svg+xml"), "description": describe_matrix(model)}


def _kind_table(model: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the results of one kind, each with its step of the verdict's sequence (None at CR 1)."""
    steps = {step["ratio"]: step for step in model["verdicts"][kind]["steps"]}
    rows = [
        result
        | {
            "step": steps.get(result["test_ratio"]),
            "published": [published.cnn_mean(metric, result["test_ratio"]) for metric in ("auroc", "auprc")],
        }
        for result in sorted(model["results"], key=lambda result: result["test_ratio"])
        if result[kind]
    ]
    return {"kind": kind, "rows": rows}


def storage_sentence(verdict: Mapping[str, Any], audit: list[dict[str, Any]] | None) -> str:
    """Return what the verdict means for storage, and what it does not."""
    if verdict["outcome"] != "ratio":
        return "So nothing can be said about the storage that compression would save without a loss for the model."
    ratio = verdict["ratio"]
    terabyte = f"1 TB of uncompressed images becomes {display_bytes(1e12 / ratio)}"
    row = next((row for row in audit or [] if row["ratio"] == ratio), None)
    if row is None:
        return f"In storage: at this ratio {terabyte}. {published.RETENTION}"
    sizes = f"{display_bytes(row['mean_bytes'])} instead of {display_bytes(row['mean_uncompressed_bytes'])}"
    saved = f"In storage: at this ratio an image of this study takes {sizes} on average, and {terabyte}."
    return f"{saved} {published.RETENTION}"


def _write_figures(run: RunFolder, metrics: Mapping[str, Any]) -> None:
    """Write the figures of the primary model, of saliency and of observers as figures/auroc.svg, .png and so on."""
    model = next(model for model in metrics["models"] if model["name"] == metrics["primary_model"])
    figures = {metric: performance_figure(model, metric) for metric in ("auroc", "auprc")}
    if is_matrix(model):
        figures["matrix"] = matrix_figure(model)
    for name, figure in (figures | saliency_figures(run) | observer_figures(run)).items():
        for kind in ("svg", "png"):
            with atomic_path(run.figure(name, kind)) as temporary:
                temporary.write_bytes(figure_bytes(figure, kind))


def display_ratio(ratio: float) -> str:
    """Format a ratio: 11000.0 becomes "11 000" with a narrow no-break space."""
    return f"{ratio:,.0f}".replace(",", "\u202f") if float(ratio).is_integer() else ratio_text(ratio)


def display_signed(value: float) -> str:
    """Format a difference with its sign, a true minus and three decimals; what rounds to nothing has no sign."""
    text = f"{value:+.3f}".replace("-", "\u2212")
    return text if float(f"{value:.3f}") else text[1:]


def display_p_value(value: float) -> str:
    """Format a p-value with four decimals; none is 0."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


__all__ = ["ReportError", "build_report", "load_metrics"]
