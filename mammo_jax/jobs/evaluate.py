"""Statistics, verdict and report from a predictions table alone: of a study, or of a model that this project never saw.

A frozen model needs one row for each image and ratio, uncompressed (test_ratio 1) included, with train_ratio 1, fold 0
and seed 0; with --frozen the verdict is about that one model:

    mammo-jax evaluate --predictions mine.csv --out runs/mine --frozen

Cost: seconds. Writes OUT/metrics.json, OUT/report.html and OUT/figures/.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from mammo_jax.files import sha256_file, write_json
from mammo_jax.jobs.run_job import run_job
from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import AnalysisLevels, Level, Pooling
from mammo_jax.statistics.evaluation import RESAMPLES, evaluate, verdict_text
from mammo_jax.statistics.operating_point import SENSITIVITY, OperatingPoint
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import read_predictions
from mammo_jax.statistics.rule import ALPHAS, MARGIN, MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.statistics.subgroups import read_subgroups


@dataclass(frozen=True)
class EvaluateConfig:
    """What is evaluated, and how.

    Attributes
    ----------
    predictions : Path
        Parquet or CSV with the columns model, train_ratio, test_ratio, fold, seed, patient_id, image_id, label (0 or 1)
        and score (higher is more positive); and breast if it is known, any text that tells a patient's two apart.
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
    primary_model : str or None
        The model that the verdict is about; needed where the table has several.
    target : str
        What label 1 stands for, for the report.
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
    prevalence : float or None
        Share of positives where the model is to be used, such as 0.006; then recalls and missed positives per 1000 are
        given.
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
    frozen: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    sensitivity: float = SENSITIVITY
    threshold: float | None = None
    validation: Path | None = None
    prevalence: float | None = None
    subgroups: Path | None = None


def evaluate_predictions(config: EvaluateConfig, command: str) -> dict[str, Any]:
    """Read a predictions table, write metrics.json with the table's hash and the command, and return the metrics.

    Raises
    ------
    PredictionsError, StatisticsError
        If the table cannot be used, or `out` holds a run with predictions of its own.
    """
    run = RunFolder(config.out)
    own = run.predictions
    if (own.exists() or run.config.exists()) and own.resolve() != config.predictions.resolve():
        raise StatisticsError(f"out: {config.out} is a study, which has its own predictions; choose another folder")
    validation = config.validation
    if validation is None and own.exists() and run.validation.exists():
        validation = run.validation
    subgroups = config.subgroups
    if subgroups is None and own.exists() and run.subgroups.exists():
        subgroups = run.subgroups
    metrics = evaluate(
        read_predictions(config.predictions),
        rule=Rule(config.margin, config.alpha, config.min_positive_patients),
        levels=AnalysisLevels(config.analysis_level, config.level_score),
        resamples=config.resamples,
        seed=config.bootstrap_seed,
        primary_model=config.primary_model,
        target=config.target,
        frozen=config.frozen,
        point=OperatingPoint(config.sensitivity, config.threshold, config.prevalence),
        validation=None if validation is None else read_predictions(validation, validation=True),
        subgroups=None if subgroups is None else read_subgroups(subgroups),
    )
    metrics |= {"command": command, "predictions_sha256": sha256_file(config.predictions)}
    write_json(run.metrics, metrics)
    return metrics


def evaluate_and_report(config: EvaluateConfig, flags: Sequence[str]) -> None:
    """Evaluate, build the report, and print the verdict and the report's path."""
    metrics = evaluate_predictions(config, shlex.join(["mammo-jax", "evaluate", *flags]))
    report = build_report(RunFolder(config.out))
    print(verdict_text(metrics))
    print(f"report: {report}")


def _parse(flags: list[str]) -> EvaluateConfig:
    return tyro.cli(EvaluateConfig, args=flags, description=__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(evaluate_and_report, _parse, arguments, networks=False)
