"""Evaluation of a predictions table: AUROC and AUPRC of every ratio, intervals, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import pandas as pd

from mammo_jax.statistics.analysis_levels import AnalysisLevels, disagreement, level_lines
from mammo_jax.statistics.bootstrap import CONFIDENCE
from mammo_jax.statistics.metrics import primary_model
from mammo_jax.statistics.model_evaluation import evaluate_model, judge_tables
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.pilot import power_sentences
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import check_predictions
from mammo_jax.statistics.rule import MIN_HIT_PATIENTS, MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.statistics.subgroups import subgroup_rows
from mammo_jax.statistics.verdict import MIN_AUROC, verdict_sentence

SCHEMA = "mammo_jax metrics 5"
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
    subgroups: pd.DataFrame | None = None,
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
    subgroups : DataFrame, optional
        See `mammo_jax.statistics.subgroups.read_subgroups`.

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
    judge = partial(judge_tables, point=point, rule=rule, resamples=resamples, seed=seed)
    fixed = (predictions, validation, levels, judge, frozen, _in_subgroups(subgroups, levels, rule, resamples, seed))
    models = [evaluate_model(name, *fixed) for name in names]
    primary_metrics = models[names.index(primary)]
    transfer, noun = primary_metrics["verdicts"]["transfer"], levels.noun(levels.primary)
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
        "sentence": _headline(primary_metrics, levels, noun, frozen),
        "models": models,
    }


def _headline(model: Mapping[str, Any], levels: AnalysisLevels, noun: str, frozen: bool) -> str:
    """Return the verdict as a sentence, and one more where the analysis levels disagree."""
    sentence = verdict_sentence(model["verdicts"]["transfer"], noun=noun, frozen=frozen)
    return " ".join(filter(None, [sentence, disagreement(model["levels"], levels.pooling)]))


def _in_subgroups(
    subgroups: pd.DataFrame | None, levels: AnalysisLevels, rule: Rule, resamples: int, seed: int
) -> Callable[[pd.DataFrame], list[dict[str, Any]]] | None:
    """Return what evaluates one model's predictions in every subgroup."""
    if subgroups is None:
        return None
    return partial(subgroup_rows, subgroups=subgroups, levels=levels, rule=rule, resamples=resamples, seed=seed)


def _primary(name: str | None, names: list[str]) -> str:
    """Return the model that the verdict is about."""
    if name is None and len(names) > 1:
        raise StatisticsError(f"primary_model: choose which of the models {names} the verdict is about")
    if name is not None and name not in names:
        raise StatisticsError(f"primary_model: {name!r} is not in the table, which has {names}")
    return names[0] if name is None else name


def verdict_text(metrics: Mapping[str, Any]) -> str:
    """Return the verdict, what was scored where that is recorded, and every analysis level, for a terminal."""
    model = primary_model(metrics)
    demonstration = "Demonstration (one training seed). " if metrics["demonstration"] else ""
    scored = [f"Scored: {metrics['scored']}."] if "scored" in metrics else []
    planned = [power_sentences(metrics["power"])] if metrics.get("power") else []
    return "\n".join([demonstration + metrics["sentence"], *scored, *planned, *level_lines(model["levels"])])


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
