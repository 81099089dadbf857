"""Calibration at each ratio: do the scores, as probabilities, say how many are positive?

Compression can shift or spread scores and leave their order, so that AUROC sees nothing and a threshold or a stated
risk is wrong. Definitions after Van Calster et al., BMC Med 2019;17:230.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from mammo_jax.statistics.bootstrap import CONFIDENCE
from mammo_jax.statistics.prediction_grid import Fold, PredictionGrid

MEASURES = ("brier", "slope", "intercept")
GROUPS = 5
"""Of patients, for a recalibration that is fitted to the others."""
SMALLEST = 1e-9
"""Probabilities nearer to 0 or 1 are taken as this far away, since their logit is infinite."""
MAX_STEPS = 100
LEAST_INFORMATION = 1e-9
"""Of an intercept; scores of a large scale can leave none, and then it has no finite interval."""
MAX_CONDITION = 1e15
"""Of a Hessian; above it a slope has no interval."""

Line = tuple[float, float]
"""Intercept and slope of a recalibration: new logit = intercept + slope × logit."""


def calibration(grid: PredictionGrid, validation: pd.DataFrame | None, seed: int = 0) -> dict[str, Any] | None:
    """Measure the calibration of the models trained at CR 1, at every ratio, as they are and recalibrated at CR 1.

    The recalibration is one logistic regression for each model (fold and training seed) on the logits of its validation
    patients; without them on the held-out patients of other groups of the same fold. It is the same for all ratios, so
    what remains is what compression does.

    Parameters
    ----------
    grid : PredictionGrid
    validation : DataFrame or None
        See `mammo_jax.statistics.operating_point.validated_thresholds`; at the analysis level of the grid.
    seed : int
        Of the groups.

    Returns
    -------
    dict, ready for JSON, or None without predictions at CR 1
        scale: "probability" where all scores are from 0 to 1, else "logit"; recalibrated_on: "validation patients" or
        "other patients of the fold"; results: one for each ratio, CR 1 first: test_ratio, and raw and recalibrated,
        each with brier, slope and intercept. These are value, low and high, means over folds and seeds; or None where
        a fold has none, since its classes do not overlap or the scores are so large that its interval is not finite.
    """
    cells = {test: scores for (train, test), scores in sorted(grid.scores.items()) if train == "1"}
    if 1.0 not in cells:
        return None
    every = [scores for folds in grid.scores.values() for scores in folds]
    every += [] if validation is None else [validation["score"].to_numpy(float)]
    probabilities = all(scores.min() >= 0 and scores.max() <= 1 for scores in every)
    logits = {
        ratio: tuple(_logits(scores) if probabilities else scores for scores in folds) for ratio, folds in cells.items()
    }
    if validation is not None and probabilities:
        validation = validation.assign(score=_logits(validation["score"].to_numpy(float)))
    lines = _recalibrations(grid, logits[1.0], validation, seed)
    results = []
    for ratio, raw in logits.items():
        moved = None if lines is None else tuple(line[0] + line[1] * scores for line, scores in zip(lines, raw))
        recalibrated = None if moved is None else measured(grid.folds, moved)
        results.append({"test_ratio": ratio, "raw": measured(grid.folds, raw), "recalibrated": recalibrated})
    return {
        "scale": "probability" if probabilities else "logit",
        "recalibrated_on": "other patients of the fold" if validation is None else "validation patients",
        "results": results,
    }


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return logit(np.clip(probabilities, SMALLEST, 1 - SMALLEST))


def recalibration(logits: np.ndarray, labels: np.ndarray) -> Line | None:
    """Fit a logistic regression of the label on the logit, by Newton's method.

    Parameters
    ----------
    logits : float64 [images]
    labels : bool [images]

    Returns
    -------
    intercept, slope : float
        None where the classes do not overlap, or all logits are equal: then no finite slope is the best.
    """
    positive, negative = logits[labels], logits[~labels]
    if not len(positive) or not len(negative) or np.ptp(logits) == 0:
        return None
    if positive.min() >= negative.max() or negative.min() >= positive.max():
        return None
    centre, scale = logits.mean(), logits.std()
    design = np.stack([np.ones_like(logits), (logits - centre) / scale], axis=1)
    parameters = np.zeros(2)
    for _ in range(MAX_STEPS):
        step = np.linalg.solve(*_newton(design, labels, parameters))
        size = 1.0
        while _deviance(design, labels, parameters + size * step) > _deviance(design, labels, parameters) + 1e-12:
            size /= 2
        parameters = parameters + size * step
        if np.abs(step).max() < 1e-10 * max(1.0, np.abs(parameters).max()):
            break
    slope = parameters[1] / scale
    return float(parameters[0] - slope * centre), float(slope)


def _newton(design: np.ndarray, labels: np.ndarray, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the negative Hessian and the gradient of the log-likelihood."""
    probabilities = expit(design @ parameters)
    weighted = design * (probabilities * (1 - probabilities))[:, None]
    return weighted.T @ design, design.T @ (labels - probabilities)


def _deviance(design: np.ndarray, labels: np.ndarray, parameters: np.ndarray) -> float:
    return float(np.logaddexp(0, np.where(labels, -1, 1) * (design @ parameters)).sum())


def _recalibrations(
    grid: PredictionGrid, logits: Sequence[np.ndarray], validation: pd.DataFrame | None, seed: int
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return intercepts and slopes of each fold, each float64 [seeds, images]; None where one cannot be fitted."""
    lines = []
    for position, (fold, scores) in enumerate(zip(grid.folds, logits)):
        of_fold = []
        for training, own in zip(grid.seeds, scores):
            if validation is None:
                line = _cross_fitted(fold, own, np.random.default_rng([seed, position]))
            else:
                rows = validation[(validation["fold"] == fold.number) & (validation["seed"] == training)]
                fitted = recalibration(rows["score"].to_numpy(float), rows["label"].to_numpy() == 1)
                line = None if fitted is None else np.tile(np.array(fitted)[:, None], len(own))
            if line is None:
                return None
            of_fold.append(line)
        intercepts, slopes = np.stack(of_fold, axis=1)
        lines.append((intercepts, slopes))
    return lines


def _cross_fitted(fold: Fold, logits: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Return each image's intercept and slope, from the patients of the other groups, float64 [2, images]."""
    group = np.empty(len(fold.positive_patients), int)
    for positive in (True, False):  # each group gets its share of both
        members = rng.permutation(np.flatnonzero(fold.positive_patients == positive))
        group[members] = np.arange(len(members)) % GROUPS
    lines = np.empty((2, len(logits)))
    for number in range(GROUPS):
        own = group[fold.patients] == number
        fitted = recalibration(logits[~own], fold.labels[~own])
        if fitted is None:
            return None
        lines[:, own] = np.array(fitted)[:, None]
    return lines


def measured(folds: Sequence[Fold], logits: Sequence[np.ndarray]) -> dict[str, Mapping[str, float] | None]:
    """Compute Brier score, slope and intercept, means over folds and seeds, with cluster-robust 95 % intervals.

    The intercept is that of a slope of 1: 0 where the mean probability is right. The interval is the estimate ± 1.96
    standard errors, from the influence of each patient (the sandwich variance with patients as clusters, in strata of
    fold and outcome), and from the spread between training seeds. The recalibration is taken as given.

    Parameters
    ----------
    folds : sequence of Fold
    logits : sequence of float64 [seeds, images], one array per fold
    """
    found = [[_measured_once(fold, own) for own in scores] for fold, scores in zip(folds, logits)]
    figures: dict[str, Mapping[str, float] | None] = {}
    for name in MEASURES:
        values = [[value for once in of_fold if (value := once[name]) is not None] for of_fold in found]
        complete = all(len(row) == len(of_fold) for row, of_fold in zip(values, found))
        figures[name] = _interval(folds, values) if complete else None
    return figures


def _measured_once(fold: Fold, logits: np.ndarray) -> dict[str, tuple[float, np.ndarray] | None]:
    """Return each measure with the influence of each patient; None where it is not finite."""
    probabilities = expit(logits)
    squares = (probabilities - fold.labels) ** 2
    brier = float(squares.mean())
    measures: dict[str, tuple[float, np.ndarray] | None] = dict.fromkeys(MEASURES)
    measures["brier"] = brier, _by_patient(fold, (squares - brier) / len(squares))
    reach = float(np.abs(logits).max()) + 2 * np.log(len(logits)) + 1  # where the sum is surely on the other side
    intercept = float(brentq(lambda moved: (expit(logits + moved) - fold.labels).sum(), -reach, reach, xtol=1e-12))
    moved = expit(logits + intercept)
    if (information := float((moved * (1 - moved)).sum())) > LEAST_INFORMATION:
        measures["intercept"] = intercept, _by_patient(fold, (fold.labels - moved) / information)
    if fitted := recalibration(logits, fold.labels):
        design = np.stack([np.ones_like(logits), logits], axis=1)
        hessian, _ = _newton(design, fold.labels, np.array(fitted))
        residuals = fold.labels - expit(design @ fitted)
        if np.linalg.cond(hessian) < MAX_CONDITION:
            measures["slope"] = fitted[1], _by_patient(fold, np.linalg.solve(hessian, design.T * residuals)[1])
    return measures


def _by_patient(fold: Fold, influence: np.ndarray) -> np.ndarray:
    return np.bincount(fold.patients, influence, len(fold.positive_patients))


def _interval(folds: Sequence[Fold], values: Sequence[Sequence[tuple[float, np.ndarray]]]) -> dict[str, float]:
    by_fold = np.array([[value for value, _ in row] for row in values])
    variance = 0.0
    for fold, row in zip(folds, values):
        influence = np.mean([own for _, own in row], axis=0) / len(folds)
        for positive in (True, False):
            members = influence[fold.positive_patients == positive]
            if len(members) > 1:
                variance += len(members) * members.var(ddof=1)
    if by_fold.shape[1] > 1:
        variance += by_fold.mean(axis=0).var(ddof=1) / by_fold.shape[1]
    value, half = float(by_fold.mean()), float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance))
    return {"value": value, "low": value - half, "high": value + half}
