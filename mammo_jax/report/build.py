"""Build a run's report.html and figures/."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mammo_jax.files import PAGE_STYLE, read_json, write_text
from mammo_jax.report import published, sections
from mammo_jax.report.cases import cases_section
from mammo_jax.report.checklists import checklist_section, filled_items, read_authors, write_checklist
from mammo_jax.report.figures import ReportFigure
from mammo_jax.report.matrix import is_matrix, matrix_figure
from mammo_jax.report.observer import observer_figures, observer_section
from mammo_jax.report.plots import performance_figure, prevalence, quality_figures, roc_figure
from mammo_jax.report.protocol import protocol_status, protocol_text
from mammo_jax.report.provenance import provenance
from mammo_jax.report.run_facts import methods_paragraph, run_facts
from mammo_jax.report.saliency import saliency_figures, saliency_section
from mammo_jax.report.sections import ReportError
from mammo_jax.report.texts import FILTERS, harm_sentence, storage_sentence
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import disagreement
from mammo_jax.statistics.evaluation import SCHEMA
from mammo_jax.statistics.metrics import primary_model
from mammo_jax.statistics.pilot import power_sentences
from mammo_jax.statistics.verdict import verdict_sentence

SCRIPT = Path(__file__).with_name("report.js")
SECTIONS = {
    "result": "Result",
    "meaning": "What it means",
    "look": "Look at the images",
    "saliency": "Where the model looks",
    "numbers": "All numbers",
    "wafroc": "Are the lesions found?",
    "observers": "A loss in the images, or in the network?",
    "methods": "Methods",
    "guidelines": "Reporting guidelines",
    "audit": "Audit of the compression",
    "folds": "Folds and classes",
    "provenance": "Reproducing this run",
}
"""Id → title in the contents, in the order of the page."""


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
    environment = page_environment()
    facts = run_facts(run, metrics)
    items = filled_items(facts, read_authors(run))
    papers = {"checklists": checklist_section(items), "methods": methods_paragraph(facts)}
    page = environment.get_template("template.html").render(**_context(run, metrics), **papers)
    write_checklist(run, items)
    _write_figures(run, metrics)
    write_text(run.report, page)
    return run.report


def page_environment() -> Environment:
    """Return where the templates of the report are, and of pages like it."""
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, PAGE_STYLE.parent]),
        autoescape=True,  # ids and names are untrusted text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


def load_metrics(run: RunFolder) -> dict[str, Any]:
    """Read metrics.json.

    Raises
    ------
    ReportError
        If it is missing or damaged, or has another version.
    """
    path = run.metrics
    if not path.exists():
        raise ReportError(f"{path}: no such file; mammo-jax study or mammo-jax evaluate writes it")
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
    cases, refused = cases_section(run, metrics)
    classes = sections.classes_by_fold(run)
    origin = provenance(run, metrics)
    status = protocol_status(run, metrics)
    missing = {
        "the compression audit (audit.csv)": audit is None,
        "example crops (examples/)": cases is None,
        "the classes of each fold (folds.csv and images.csv)": classes is None,
        "the configuration (config.json)": origin["settings"] is None,
    }
    models = sorted(metrics["models"], key=lambda model: (model["name"] != metrics["primary_model"], model["name"]))
    context = {
        "metrics": metrics,
        "storage": storage_sentence(metrics["verdict"], audit),
        "harm": harm_sentence(models[0]),
        "models": [_model_context(index, model, metrics) for index, model in enumerate(models)],
        "audit": audit,
        "quality": [figure.in_page() for figure in quality_figures(audit)] if audit else [],
        "left_out": sections.left_out(run),
        "lossy": sections.lossy_notice(run),
        "saliency": saliency_section(run),
        "observers": observer_section(run),
        "cases": cases,
        "refused_crops": refused,
        "classes": classes,
        "provenance": origin,
        "protocol": status | {"text": protocol_text(status)},
        "power": power_sentences(metrics["power"]) if metrics.get("power") else None,
        "missing": [name for name, is_missing in missing.items() if is_missing],
        "published": published,
        "script": page_script(),
    }
    return context | {"contents": _contents(context)}


def _contents(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the sections that there are, as ids and titles."""
    optional = {
        "look": context["cases"],
        "saliency": context["saliency"],
        "wafroc": context["metrics"].get("localisation"),
        "observers": context["observers"],
        "audit": context["audit"],
        "folds": context["classes"],
    }
    return [(name, title) for name, title in SECTIONS.items() if optional.get(name, True)]


def page_script() -> dict[str, str]:
    """Return the page's script, and its hash for the content security policy, so that no other script can run."""
    text = SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"text": Markup(text), "hash": f"sha256-{digest}"}


def _model_context(index: int, model: dict[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{index}-" if index else ""
    tables = [_kind_table(model, kind) for kind in ("transfer", "matched")]
    words = {"noun": metrics["analysis_levels"]["noun"], "frozen": metrics["frozen"]}
    return model | {
        "figures": [figure.in_page(prefix) for figure in model_figures(model, metrics)],
        "tables": [table for table in tables if any(row["test_ratio"] > 1 for row in table["rows"])],
        "matrix": matrix_figure(model).in_page(prefix) if is_matrix(model) else None,
        "others": [result for result in model["results"] if not (result["transfer"] or result["matched"])],
        "sentences": {kind: verdict_sentence(verdict, **words) for kind, verdict in model["verdicts"].items()},
        "disagreement": disagreement(model["levels"], metrics["analysis_levels"]["pooling"]),
        "prevalence": prevalence(model),
    }


def model_figures(model: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[ReportFigure]:
    """Draw AUROC, AUPRC and, where the metrics have them, ROC curves of a model."""
    noun, frozen = metrics["analysis_levels"]["noun"], metrics["frozen"]
    figures = [performance_figure(model, metric, noun, frozen=frozen) for metric in ("auroc", "auprc")]
    return [*figures, *filter(None, [roc_figure(model)])]


def _kind_table(model: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the results of one kind, each with its step of the verdict's sequence (None at CR 1)."""
    steps = {step["ratio"]: step for step in model["verdicts"][kind]["steps"]}
    rows = [
        result | {"step": steps.get(result["test_ratio"])}
        for result in sorted(model["results"], key=lambda result: result["test_ratio"])
        if result[kind]
    ]
    return {"kind": kind, "rows": rows}


def _write_figures(run: RunFolder, metrics: Mapping[str, Any]) -> None:
    """Write the figures of the primary model, of the audit, of saliency and of observers as files."""
    model = primary_model(metrics)
    audit = sections.audit_summary(run)
    quality = quality_figures(audit) if audit else []
    matrix = [matrix_figure(model)] if is_matrix(model) else []
    for figure in [*model_figures(model, metrics), *matrix, *quality, *saliency_figures(run), *observer_figures(run)]:
        figure.write(run)


__all__ = ["ReportError", "build_report", "load_metrics"]
