"""Statistics, verdict and report from a predictions table alone: of a study, or of a model that this project never saw.

A frozen model needs one row for each image and ratio, uncompressed (ratio 1) included; `mammo-jax scores-template` lays
them out. With --frozen the verdict is about that one model:

    mammo-jax evaluate --predictions mine.csv --out runs/mine --frozen

A study's own predictions, with --out its folder, are judged by the settings of that study, but for the flags given.

Cost: seconds. Writes OUT/metrics.json, OUT/report.html and OUT/figures/.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro

from mammo_jax.files import read_json, sha256_file, write_json
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.protocol import protocol_of_run, protocol_of_scores
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.run_lock import locked
from mammo_jax.jobs.scored import declared_text, scored_text, scored_unit
from mammo_jax.report import build_report
from mammo_jax.report.protocol import protocol_status, protocol_text
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import AnalysisLevels, Level, Pooling
from mammo_jax.statistics.evaluation import RESAMPLES, evaluate, verdict_text
from mammo_jax.statistics.marks import read_lesions, read_marks
from mammo_jax.statistics.operating_point import SENSITIVITY, OperatingPoint
from mammo_jax.statistics.pilot import planned
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import read_predictions
from mammo_jax.statistics.rule import ALPHAS, MARGIN, MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.statistics.subgroups import read_subgroups
from mammo_jax.statistics.wafroc import localisation


@dataclass(frozen=True)
class EvaluateConfig:
    """What is evaluated, and how.

    Attributes
    ----------
    predictions : Path
        Parquet or CSV with the columns model, train_ratio, test_ratio, fold, seed, patient_id, image_id, label (0 or 1)
        and score (higher is more positive); and breast if it is known, any text that tells a patient's two apart. With
        --frozen patient_id, image_id, ratio, label and score are enough.
    out : Path
        Folder for metrics.json and report.html.
    margin : float
        Largest loss of AUROC that passes. Choose it, and alpha, before you look.
    alpha : float
        One-sided level of the test: 0.025 or 0.05. The other one's result is shown too.
    min_positive_patients : int
        With fewer patients with a positive image no ratio is given; a model with an AUROC above 0.8 needs more, see
        docs/EVIDENCE.md.
    analysis_level : str
        What the verdict counts: each row's image by itself, each breast, or each woman. Choose image where the rows are
        patches. The other levels are shown beside it.
    level_score : str
        The score of a breast or a woman: the maximum or the mean over its images.
    resamples : int
        Bootstrap resamples.
    bootstrap_seed : int
        Of the resamples; another one moves the bounds a little.
    primary_model : str or None
        The model that the verdict is about; needed where the table has several.
    target : str
        What label 1 stands for, for the report.
    scored : str
        What was scored, in words, for scores from outside: which images, which crop, how many mm a pixel. A study's own
        configuration says it where it is evaluated again.
    frozen : bool
        The table holds one finished model and the verdict is about that one alone, so one seed is all there can be.
    sensitivity : float
        A ratio must not harm sensitivity or specificity at the threshold that has this sensitivity uncompressed.
    threshold : float or None
        The threshold of a frozen model: images with this score or a higher one are recalled.
    validation : Path or None
        Scores of the patients that each model was validated with, at CR 1, from which its threshold is found; a study's
        own are taken where it is evaluated again. Without them, and without a threshold, it is found from the test
        scores at CR 1.
    marks : Path or None
        CSV file of places that the model, trained at CR 1, marked on whole views: test_ratio, image_id, row, column,
        rating, and seed where there are several. With them the localisation (wAFROC) is given at each ratio.
    lesions : Path or None
        CSV file of the lesions that the marks should hit: image_id, row, column, radius, in the same pixels.
    prevalence : float or None
        Share of positives where the model is to be used, such as 0.006; then recalls and missed positives per 1000 are
        given.
    protocol : Path or None
        What was fixed before the scores existed (mammo-jax protocol); the report names every field that the evaluation
        does not keep to. A study has its own.
    subgroups : Path or None
        CSV or Parquet with image_id and one column for each division of the images, such as density or lesion_kind; a
        study's own is taken where it is evaluated again.
    """

    predictions: Path
    out: Path
    margin: float = MARGIN
    alpha: float = ALPHAS[0]
    min_positive_patients: int = MIN_POSITIVE_PATIENTS
    analysis_level: Level = "woman"
    level_score: Pooling = "max"
    resamples: int = RESAMPLES
    bootstrap_seed: int = 0
    primary_model: str | None = None
    target: str = ""
    scored: str = ""
    frozen: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    sensitivity: float = SENSITIVITY
    threshold: float | None = None
    validation: Path | None = None
    marks: Path | None = None
    lesions: Path | None = None
    prevalence: float | None = None
    protocol: Path | None = None
    subgroups: Path | None = None


def evaluate_predictions(config: EvaluateConfig, command: str) -> dict[str, Any]:
    """Read a predictions table, write metrics.json with the table's hash and the command, and return the metrics.

    Raises
    ------
    PredictionsError, StatisticsError
        If the table cannot be used, or `out` holds a run with predictions of its own.
    """
    run = RunFolder(config.out)
    check_folder(config, run)
    predictions = read_predictions(config.predictions, frozen=config.frozen)
    validation, subgroups = _tables_beside(config, run)
    protocol = _protocol(config, predictions)
    fixed = _unit_and_target(run, protocol)
    metrics = evaluate(
        predictions,
        rule=Rule(config.margin, config.alpha, config.min_positive_patients),
        levels=AnalysisLevels(config.analysis_level, config.level_score, fixed["unit"]),
        resamples=config.resamples,
        seed=config.bootstrap_seed,
        primary_model=config.primary_model,
        target=config.target or fixed["target"],
        frozen=config.frozen,
        point=OperatingPoint(config.sensitivity, config.threshold, config.prevalence),
        validation=None if validation is None else read_predictions(validation, validation=True, frozen=config.frozen),
        subgroups=None if subgroups is None else read_subgroups(subgroups),
    )
    metrics |= {"protocol": protocol, "power": planned(predictions, metrics)} | _found_lesions(
        config, predictions, metrics["primary_model"]
    )
    scored = scored_text(read_json(run.config)["config"]) if run.config.exists() else declared_text(config.scored)
    metrics |= {"scored": scored, "command": command, "predictions_sha256": sha256_file(config.predictions)}
    write_json(run.metrics, metrics)
    return metrics


def check_folder(config: EvaluateConfig, run: RunFolder) -> None:
    """Refuse a folder that is another study's, tables that a study has itself, and marks without lesions."""
    own = run.predictions
    if (own.exists() or run.config.exists()) and own.resolve() != config.predictions.resolve():
        raise StatisticsError(f"out: {config.out} is a study, which has its own predictions; choose another folder")
    for name, given, of_study in (
        ("validation", config.validation, run.validation),
        ("subgroups", config.subgroups, run.subgroups),
    ):
        if own.exists() and given is not None and of_study.exists() and given.resolve() != of_study.resolve():
            raise StatisticsError(f"{name}: {config.out} is a study, which has {of_study.name}; leave --{name} out")
    if (config.marks is None) != (config.lesions is None):
        raise StatisticsError("marks and lesions belong together: give both --marks and --lesions, or neither")


def _tables_beside(config: EvaluateConfig, run: RunFolder) -> tuple[Path | None, Path | None]:
    """Return the validation scores and the subgroups: as given, else a study's own where it is evaluated again."""
    study = run.predictions.exists()
    given = ((config.validation, run.validation), (config.subgroups, run.subgroups))
    validation, subgroups = (own if path is None and study and own.exists() else path for path, own in given)
    return validation, subgroups


def _unit_and_target(run: RunFolder, protocol: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a score is about and what label 1 stands for: of the protocol, else of the study's configuration."""
    if protocol:
        fixed: dict[str, Any] = protocol["document"]["protocol"]
        return fixed
    if run.config.exists():
        units = read_json(run.config)["config"]["units"]
        return {"unit": scored_unit(units["unit"]), "target": units["target"]}
    return {"unit": "image", "target": ""}


def _found_lesions(config: EvaluateConfig, predictions: pd.DataFrame, model: str) -> dict[str, Any]:
    """Return the wAFROC at each ratio, where marks are given."""
    if config.marks is None or config.lesions is None:
        return {}
    found = localisation(
        predictions[predictions["model"] == model],
        read_marks(config.marks),
        read_lesions(config.lesions),
        resamples=config.resamples,
        seed=config.bootstrap_seed,
    )
    return {"localisation": found}


def _protocol(config: EvaluateConfig, predictions: pd.DataFrame) -> dict[str, Any] | None:
    """Return the protocol of a study whose own predictions these are, else the one that was given, if any."""
    run = RunFolder(config.out)
    if not run.predictions.exists():
        return None if config.protocol is None else protocol_of_scores(config.protocol, predictions)
    if config.protocol is not None:
        raise StatisticsError(f"protocol: {config.out} is a study, which has its own or none; leave --protocol out")
    return protocol_of_run(run)


def evaluate_and_report(config: EvaluateConfig, flags: Sequence[str]) -> dict[str, Any]:
    """Evaluate, build the report, and return the metrics."""
    with locked(config.out):
        metrics = evaluate_predictions(config, shlex.join(["mammo-jax", "evaluate", *flags]))
        build_report(RunFolder(config.out))
    return metrics


def _evaluate_and_print(config: EvaluateConfig, flags: Sequence[str]) -> None:
    metrics = evaluate_and_report(config, flags)
    print(verdict_text(metrics))
    print(protocol_text(protocol_status(RunFolder(config.out), metrics)))
    print(f"report: {RunFolder(config.out).report}")


def parse(flags: list[str]) -> EvaluateConfig:
    """Read the job's flags, on top of a study's own settings where it is evaluated again."""
    config = read_flags("evaluate", EvaluateConfig, flags)
    run = RunFolder(config.out)
    if not (run.config.exists() and run.predictions.exists()):
        return config
    return read_flags("evaluate", EvaluateConfig, flags, default=replace(config, **_settings_of_study(run)))


def _settings_of_study(run: RunFolder) -> dict[str, Any]:
    """Return what a study's configuration says of its evaluation."""
    study = read_json(run.config)["config"]
    wanted = {field.name for field in fields(EvaluateConfig)} - {"out"}
    return {name: value for name, value in study.items() if name in wanted}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(_evaluate_and_print, parse, arguments, networks=False)
