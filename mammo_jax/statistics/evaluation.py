"""Evaluation of a predictions table: AUROC and AUPRC of every ratio, intervals, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.analysis_levels import (
    AnalysisLevels,
    Judge,
    disagreement,
    level_lines,
    level_rows,
    tables_at_level,
)
from mammo_jax.statistics.bootstrap import CONFIDENCE, Estimate, Estimates, estimates
from mammo_jax.statistics.harm import at_operating_point, vetoes
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.prediction_grid import Cell, Fold, PredictionGrid, StatisticsError, prediction_grid
from mammo_jax.statistics.predictions import check_predictions
from mammo_jax.statistics.rule import MIN_HIT_PATIENTS, MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.statistics.secondary import secondary_figures
from mammo_jax.statistics.verdict import MIN_AUROC, verdict, verdict_sentence

SCHEMA = "mammo_jax metrics 4"
RESAMPLES = 2000


def evaluate(
    predictions: pd.DataFrame,
    *,
    rule: Rule = Rule(),
    levels: AnalysisLevels = AnalysisLevels(),
    resamples: int = RESAMPLES,
    seed: int = 0,
    primary_model: str | None = None,
    target: str = "",
    frozen: bool = False,
    point: OperatingPoint = OperatingPoint(),
    validation: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Compute all metrics and verdicts from a predictions table.

    The AUROC of a ratio is the mean of the within-fold AUROCs, first over the folds, then over the training seeds.
    Scores of different folds come from different models and are never ranked together. Intervals are BCa
    intervals of a bootstrap that resamples patients within folds, stratified by outcome, and training seeds.

    Parameters
    ----------
    predictions : DataFrame
        Columns model, train_ratio, test_ratio, fold, seed, patient_id, image_id, label, score, and breast if known.
    rule : Rule
        The verdict's margin, level and smallest number of positive patients.
    levels : AnalysisLevels
        The level that all results and the verdict are about; the others are shown beside it.
    resamples : int
        Number of bootstrap resamples.
    seed : int
        Seed of the bootstrap; the same seed gives the same results.
    primary_model : str, optional
        The model that the verdict is about, fixed before the run; required if the table has several models.
    target : str
        Meaning of label 1, such as "malignant"; only recorded.
    frozen : bool
        True if the predictions come from one finished model and the verdict is about that model only, so that there is
        only one seed. Otherwise a single seed makes the result a demonstration.
    point : OperatingPoint
        Where sensitivity and specificity are measured; a loss of them can forbid a ratio.
    validation : DataFrame, optional
        Scores of each model's validation patients at CR 1, from which its threshold is found.

    Returns
    -------
    dict, ready for JSON (metrics.json)

    Raises
    ------
    PredictionsError
        If the table breaks a rule of `check_predictions`.
    StatisticsError
        If a ratio is incomplete, a fold has one class only, or the primary model is not in the table.
    """
    predictions = check_predictions(predictions, "predictions")
    check_resamples(resamples)
    names = sorted(str(name) for name in predictions["model"].unique())
    primary = _primary(primary_model, names)
    if point.threshold is not None and not frozen:
        raise StatisticsError("threshold: only a frozen model has one threshold; leave it out, or add --frozen")
    judge = partial(_judge, point=point, rule=rule, resamples=resamples, seed=seed)
    models = [_evaluate_model(name, predictions, validation, levels, judge, frozen) for name in names]
    primary_metrics = models[names.index(primary)]
    transfer, noun = primary_metrics["verdicts"]["transfer"], levels.noun(levels.primary)
    sentences = [verdict_sentence(transfer, noun=noun, frozen=frozen)]
    disagreeing = disagreement(primary_metrics["levels"], levels.pooling)
    return {
        "schema": SCHEMA,
        "primary_model": primary,
        "target": target,
        **_thresholds(rule),
        "analysis_levels": asdict(levels) | {"noun": noun},
        "confidence": CONFIDENCE,
        "resamples": resamples,
        "seed": seed,
        "frozen": frozen,
        "demonstration": primary_metrics["demonstration"],
        "verdict": transfer,
        "sentence": " ".join(sentences + ([disagreeing] if disagreeing else [])),
        "models": models,
    }


def _primary(name: str | None, names: list[str]) -> str:
    """Return the model that the verdict is about."""
    if name is None and len(names) > 1:
        raise StatisticsError(f"primary_model: choose which of the models {names} the verdict is about")
    if name is not None and name not in names:
        raise StatisticsError(f"primary_model: {name!r} is not in the table, which has {names}")
    return names[0] if name is None else name


def verdict_text(metrics: Mapping[str, Any]) -> str:
    """Return the verdict and what every analysis level says, for a terminal."""
    model = next(model for model in metrics["models"] if model["name"] == metrics["primary_model"])
    demonstration = "Demonstration (one training seed). " if metrics["demonstration"] else ""
    return "\n".join([demonstration + metrics["sentence"], *level_lines(model["levels"])])


def _thresholds(rule: Rule) -> dict[str, float]:
    """Return what a verdict depends on."""
    return {
        "margin": rule.margin,
        "alpha": rule.alpha,
        "other_alpha": rule.other_alpha,
        "minimum_positive_patients": rule.min_positive_patients,
        "default_minimum_positive_patients": MIN_POSITIVE_PATIENTS,
        "minimum_hit_patients": MIN_HIT_PATIENTS,
        "minimum_auroc": MIN_AUROC,
    }


def check_resamples(resamples: int) -> None:
    """Raise StatisticsError if there are too few resamples for an interval."""
    if resamples < 100:
        raise StatisticsError(f"resamples: {resamples} are too few for a 95 % interval; use 2000")


def _evaluate_model(
    name: str,
    predictions: pd.DataFrame,
    validation: pd.DataFrame | None,
    levels: AnalysisLevels,
    judge: Judge,
    frozen: bool,
) -> dict[str, Any]:
    """Evaluate a model at the primary level, with the counts of its images, and judge it at every level."""
    table = predictions[predictions["model"] == name]
    validation = None if validation is None else validation[validation["model"] == name]
    try:
        images = prediction_grid(table)  # first of all: a missing image would not be missed in a maximum
        if frozen:
            _check_frozen(images)
        primary = judge(*_primary_tables(table, validation, levels))
    except StatisticsError as error:
        raise StatisticsError(f"model {name!r}: {error}") from None
    return {
        "name": name,
        "seeds": list(images.seeds),
        "demonstration": len(images.seeds) == 1 and not frozen,
        **primary,
        "counts": _counts(images),
        "levels": level_rows(table, validation, levels, primary, judge),
    }


def _primary_tables(
    table: pd.DataFrame, validation: pd.DataFrame | None, levels: AnalysisLevels
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    try:
        return tables_at_level(table, validation, levels.primary, levels.pooling)
    except StatisticsError as error:
        raise StatisticsError(f"analysis level {levels.primary}: {error}; choose another --analysis-level") from None


def _judge(
    table: pd.DataFrame,
    validation: pd.DataFrame | None,
    *,
    point: OperatingPoint,
    rule: Rule,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Compute a model's results, counts and verdicts from the tables of one level."""
    grid = prediction_grid(table)
    cells, redrawn = estimates(grid, resamples, seed)
    bootstrap = {"resamples": resamples, "seed": seed}
    operating = at_operating_point(grid, table, point, margin=rule.margin, validation=validation, **bootstrap)
    transfer = {test: cell.auroc for (train, test), cell in cells.items() if train == "1"}
    matched = {test: cell.auroc for (train, test), cell in cells.items() if train == ratio_text(test)}
    judged: dict[str, Any] = {"seeds": len(grid.seeds), "rule": rule}
    judged["patients"] = [fold.patients_by_class for fold in grid.folds]
    return {
        "counts": _counts(grid),
        "secondary": secondary_figures(grid, cells, rule.margin),
        "redrawn_resamples": redrawn,
        "results": [_result(cell, cells[cell]) for cell in sorted(cells, key=_reading_order)],
        "seed_null": _seed_null(grid, cells),
        "operating_point": operating,
        "verdicts": {
            "transfer": verdict("transfer", transfer, harms=vetoes(operating), **judged),
            "matched": verdict("matched", matched, **judged),
        },
    }


def _check_frozen(grid: PredictionGrid) -> None:
    """Raise StatisticsError if the table of a frozen model contains several models."""
    if len(grid.seeds) > 1:
        raise StatisticsError(f"column seed: a frozen model has one seed, and the table has {len(grid.seeds)}")
    if len(grid.folds) > 1:
        raise StatisticsError(
            f"column fold: one frozen model scored every image, so there is one fold, and the table has "
            f"{len(grid.folds)}; write 0 in every row, or leave --frozen out if each fold has its own model"
        )
    others = sorted({train for train, _ in grid.scores} - {"1"})
    if others:
        raise StatisticsError(f"column train_ratio: {others[0]!r}; write 1 in every row of a frozen model")


def _reading_order(cell: Cell) -> tuple[float, str, float]:
    """Sort key: numeric training ratios in ascending order, then names such as "mixed"."""
    train, test = cell
    try:
        return float(train), "", test
    except ValueError:
        return float("inf"), train, test


def _result(cell: Cell, areas: Estimates) -> dict[str, Any]:
    train, test = cell
    return {
        "train_ratio": train,
        "test_ratio": test,
        "matched": train == ratio_text(test),
        "transfer": train == "1",
        "auroc": _with_interval(areas.auroc, areas.auroc_by_fold),
        "auprc": _with_interval(areas.auprc, areas.auprc_by_fold),
    }


def _with_interval(estimate: Estimate, by_fold: np.ndarray) -> dict[str, Any]:
    low, high = estimate.interval()
    return {"mean": estimate.value, "low": low, "high": high, "by_seed_and_fold": by_fold.tolist()}


def _counts(grid: PredictionGrid) -> dict[str, Any]:
    folds = [{"fold": fold.number} | _fold_counts(fold) for fold in grid.folds]
    total: dict[str, Any] = {key: sum(fold[key] for fold in folds) for key in folds[0] if key != "fold"}
    return total | {"prevalence": total["positive_images"] / total["images"], "folds": folds}


def _fold_counts(fold: Fold) -> dict[str, int]:
    return {
        "patients": len(fold.positive_patients),
        "positive_patients": int(fold.positive_patients.sum()),
        "images": len(fold.labels),
        "positive_images": int(fold.labels.sum()),
    }


def _seed_null(grid: PredictionGrid, cells: Mapping[Cell, Estimates]) -> dict[str, Any] | None:
    """Compute the AUROC differences between training seeds at CR 1, for the same patients (null distribution).

    The matched comparison is between a model trained at a ratio and another model trained at CR 1, so a loss smaller
    than these differences is no evidence. None if there is only one seed, or no CR 1.
    """
    reference = cells.get(("1", 1.0))
    if reference is None or len(grid.seeds) < 2:
        return None
    by_seed = reference.auroc_by_fold.mean(axis=1)
    differences = [abs(float(a - b)) for a, b in combinations(by_seed, 2)]
    return {
        "auroc_by_seed": by_seed.tolist(),
        "standard_deviation": float(np.std(by_seed, ddof=1)),
        "mean_difference": float(np.mean(differences)),
        "largest_difference": max(differences),
    }
