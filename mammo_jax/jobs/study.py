"""How far can mammograms be compressed before a classifier gets worse? From images to a verdict and a report.

Compresses every image at every ratio, trains one network a ratio and fold, scores the held-out folds, and writes
RUN/report.html. Interrupted, it goes on where it was; finished, it only prints the verdict again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mammo_jax.errors import UserError
from mammo_jax.files import read_json, sha256_file, write_json
from mammo_jax.jobs.config import BOOTSTRAP_SEED, StudyConfig, parse
from mammo_jax.jobs.plan import make_plan, plan_event, plan_lines
from mammo_jax.jobs.prepare import prepare
from mammo_jax.jobs.protocol import protocol_of_run
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.saliency import measure
from mammo_jax.jobs.scored import scored_text
from mammo_jax.jobs.study_run import as_json, run_started
from mammo_jax.jobs.train import train
from mammo_jax.provenance import log_event
from mammo_jax.report.build import build_report
from mammo_jax.report.protocol import protocol_status, protocol_text
from mammo_jax.report.sections import lossy_notice
from mammo_jax.statistics.evaluation import SCHEMA, evaluate, verdict_text
from mammo_jax.statistics.metrics import primary_model
from mammo_jax.statistics.pilot import planned
from mammo_jax.statistics.predictions import read_predictions
from mammo_jax.statistics.subgroups import read_subgroups


def study(config: StudyConfig) -> None:
    """Run every stage that is not done yet, and print the verdict and the report's path before saliency is begun.

    The plan comes first, so that what cannot work is refused before anything is compressed.
    """
    if not config.run.dataset_complete.exists():
        plan = make_plan(config)
        print("\n".join(plan_lines(plan, config)), file=sys.stderr, flush=True)  # the verdict alone goes to stdout
        log_event(config.run, "plan", **plan_event(plan))
    prepare(config)
    train(config)
    metrics = evaluate_run(config)
    if not config.run.report.exists():
        build_report(config.run)
        log_event(config.run, "reported")
    print(verdict_text(metrics))
    if notice := lossy_notice(config.run):
        print(notice)
    print(protocol_text(protocol_status(config.run, metrics)))
    print(f"report: {config.run.report}", flush=True)
    if config.saliency and measure(config):
        build_report(config.run)
        log_event(config.run, "reported")


def evaluate_run(config: StudyConfig) -> dict[str, Any]:
    """Metrics of the run's own predictions and settings; any others are made anew, and the report with them.

    `mammo-jax evaluate` may have left metrics of the same predictions with another margin or level.
    """
    path, predictions = config.run.metrics, config.run.predictions
    table_hash = sha256_file(predictions)
    if path.exists():
        metrics: dict[str, Any] = read_json(path)
        current = metrics.get("predictions_sha256") == table_hash and metrics.get("schema") == SCHEMA
        if current and _settings_of(metrics) == _own_settings(config):
            return metrics
    validation = config.run.validation
    table = read_predictions(predictions)
    metrics = evaluate(
        table,
        rule=config.rule,
        levels=config.levels,
        resamples=config.resamples,
        seed=BOOTSTRAP_SEED,
        target=config.units.target,
        point=config.operating_point,
        validation=read_predictions(validation, validation=True) if validation.exists() else None,
        subgroups=read_subgroups(config.run.subgroups) if config.run.subgroups.exists() else None,
    )
    metrics |= {"predictions_sha256": table_hash, "protocol": protocol_of_run(config.run)}
    metrics |= {"power": planned(table, metrics), "scored": scored_text(as_json(config))}
    config.run.report.unlink(missing_ok=True)
    write_json(path, metrics)
    return metrics


def _own_settings(config: StudyConfig) -> dict[str, Any]:
    """Return everything that the study's own verdict depends on beside the predictions."""
    return {
        "margin": config.margin,
        "alpha": config.alpha,
        "minimum_positive_patients": config.min_positive_patients,
        "levels": asdict(config.levels),
        "resamples": config.resamples,
        "seed": BOOTSTRAP_SEED,
        "frozen": False,
        "target": config.units.target,
        "protocol": protocol_of_run(config.run),
        "sensitivity": config.sensitivity,
        "prevalence": config.prevalence,
        "threshold_from": "validation patients" if config.run.validation.exists() else "every resample",
    }


def _settings_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same of metrics that are there."""
    model = primary_model(metrics)
    levels = {name: value for name, value in metrics["analysis_levels"].items() if name != "noun"}
    names = ("margin", "alpha", "minimum_positive_patients", "resamples", "seed", "frozen", "target")
    point = {name: model["operating_point"][name] for name in ("sensitivity", "prevalence", "threshold_from")}
    return {name: metrics[name] for name in names} | point | {"levels": levels, "protocol": metrics.get("protocol")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(start_study, parse, arguments, networks=True)


def start_study(config: StudyConfig, flags: list[str]) -> None:
    """Run a study in its run folder, which remembers the flags it comes from.

    Raises
    ------
    UserError
        The folder holds a run with other settings, or what a stage refuses.
    """
    if config.distributed:
        raise UserError("distributed is for training; run mammo-jax prepare, then train, then study without it")
    with run_started(config, "study", flags):
        study(config)
