"""Sensitivity and specificity of each ratio, at one threshold for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammo_jax.statistics.bootstrap import Estimate, averaged, drawn_in_fold, drawn_seeds, weightings
from mammo_jax.statistics.prediction_grid import Fold, PredictionGrid, StatisticsError

SENSITIVITY = 0.9


@dataclass(frozen=True)
class OperatingPoint:
    """Where a model is used, fixed before anybody looks at a score.

    Attributes
    ----------
    sensitivity : float
        The threshold is the highest one that has at least this sensitivity on uncompressed images.
    threshold : float or None
        A frozen model's own threshold; images with this score or a higher one are recalled.
    prevalence : float or None
        Share of positives where the model is to be used; with it, recalls and missed cancers per 1000 are given.

    Raises
    ------
    StatisticsError
        If a setting is out of its range.
    """

    sensitivity: float = SENSITIVITY
    threshold: float | None = None
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sensitivity < 1:
            raise StatisticsError(f"sensitivity: {self.sensitivity} is not between 0 and 1, such as 0.9")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise StatisticsError(f"threshold: {self.threshold} is not a finite score")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise StatisticsError(f"prevalence: {self.prevalence} is not between 0 and 1, such as 0.006")

    @property
    def place(self) -> str:
        """The threshold in words."""
        if self.threshold is not None:
            return f"at the threshold {self.threshold:g}"
        return f"at the threshold of {100 * self.sensitivity:g} % sensitivity"


def threshold_at(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, sensitivity: float) -> np.ndarray:
    """Find the highest threshold with at least this sensitivity, for each column of weights.

    Parameters
    ----------
    labels : bool [images]
    scores : float64 [images]
    weights : float64 [images, columns]
        Not negative.
    sensitivity : float

    Returns
    -------
    float64 [columns]
        A score of a positive image; NaN where the positives have no weight.
    """
    order = np.flatnonzero(labels)[np.argsort(-scores[labels], kind="stable")]
    recalled = np.cumsum(weights[order], axis=0, dtype=np.float64)
    reached = recalled >= sensitivity * recalled[-1] * (1 - 1e-12)  # 0.9 × 10 is a little above 9
    return np.where(recalled[-1] > 0, scores[order][reached.argmax(axis=0)], np.nan)


def rates(labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute sensitivity and specificity for each column of weights, each at its threshold.

    Parameters
    ----------
    labels : bool [images]
    scores : float64 [images]
    thresholds : float64 [columns]
    weights : float64 [images, columns]

    Returns
    -------
    float64 [2, columns]
        NaN where the threshold is, or where a class has no weight.
    """
    recalled = scores[:, None] >= thresholds
    found = []
    for members, right in ((labels, recalled[labels]), (~labels, ~recalled[~labels])):
        total = weights[members].sum(axis=0, dtype=np.float64)
        share = np.divide(
            (weights[members] * right).sum(axis=0), total, out=np.full_like(total, np.nan), where=total > 0
        )
        found.append(np.where(np.isnan(thresholds), np.nan, share))
    return np.stack(found)


def validated_thresholds(grid: PredictionGrid, validation: pd.DataFrame, sensitivity: float) -> np.ndarray:
    """Find each model's threshold from the scores of the patients that it was validated with.

    Parameters
    ----------
    grid : PredictionGrid
    validation : DataFrame
        Columns fold, seed, label, score and others: scores at CR 1 by each model, named by its held-out fold, see
        `mammo_jax.statistics.predictions.check_predictions`.
    sensitivity : float

    Returns
    -------
    float64 [seeds, folds]

    Raises
    ------
    StatisticsError
        If a model has no positive validation image.
    """
    thresholds = np.empty((len(grid.seeds), len(grid.folds)))
    for row, seed in enumerate(grid.seeds):
        for column, fold in enumerate(grid.folds):
            own = validation[(validation["seed"] == seed) & (validation["fold"] == fold.number)]
            labels, scores = own["label"].to_numpy() == 1, own["score"].to_numpy(float)
            if not labels.any():
                raise StatisticsError(
                    f"validation scores: no positive image for fold {fold.number}, seed {seed}; leave them out, then"
                    " the threshold is found from the test scores at CR 1"
                )
            thresholds[row, column] = threshold_at(labels, scores, np.ones((len(own), 1)), sensitivity)[0]
    return thresholds


def estimated_rates(
    grid: PredictionGrid, thresholds: np.ndarray | None, sensitivity: float, resamples: int, seed: int
) -> tuple[dict[float, tuple[Estimate, Estimate]], np.ndarray]:
    """Compute sensitivity and specificity, at every ratio, of the models that were trained at CR 1.

    Each model, of a fold and a training seed, has one threshold for all ratios. The rates are averaged and resampled as
    AUROC is (`mammo_jax.statistics.bootstrap.estimates`), with the same patients.

    Parameters
    ----------
    grid : PredictionGrid
        With predictions at CR 1.
    thresholds : float64 [seeds, folds], or None
        None finds them from the test scores at CR 1, anew in every resample, so that the intervals include their error.
    sensitivity : float
        Of such thresholds.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    rates : dict of ratio to (sensitivity, specificity)
    thresholds : float64 [seeds, folds]
        On the original data.
    """
    scores = {test: folds for (train, test), folds in grid.scores.items() if train == "1"}
    parts: dict[float, list[np.ndarray]] = {ratio: [] for ratio in scores}
    used = np.empty((len(grid.seeds), len(grid.folds)))
    for position, fold in enumerate(grid.folds):
        counts, _ = drawn_in_fold(fold, position, resamples, seed)
        by_model = []
        for model in range(len(grid.seeds)):
            of_model = {ratio: folds[position][model] for ratio, folds in scores.items()}
            fixed = None if thresholds is None else thresholds[model, position]
            used[model, position], found = _rates_of_model(fold, of_model, counts, fixed, sensitivity)
            by_model.append(found)
        for ratio, of_ratio in parts.items():
            of_ratio.append(np.stack([found[ratio] for found in by_model], axis=1))
    seeds = drawn_seeds(len(grid.seeds), resamples, seed)
    rates_by_ratio = {}
    for ratio, of_ratio in parts.items():
        sensitivities, specificities = ([part[measure] for part in of_ratio] for measure in range(2))
        rates_by_ratio[ratio] = averaged(grid.folds, sensitivities, seeds), averaged(grid.folds, specificities, seeds)
    return rates_by_ratio, used


def _rates_of_model(
    fold: Fold, scores: Mapping[float, np.ndarray], counts: np.ndarray, fixed: float | None, sensitivity: float
) -> tuple[float, dict[float, np.ndarray]]:
    """Return the threshold on the original data, and the rates [2, weightings] by ratio, with each of `weightings`."""
    found: dict[float, list[np.ndarray]] = {ratio: [] for ratio in scores}
    original = None
    for weights in weightings(fold, counts):
        if fixed is None:
            thresholds = threshold_at(fold.labels, scores[1.0], weights, sensitivity)
        else:
            thresholds = np.full(weights.shape[1], fixed)
        original = thresholds[0] if original is None else original
        for ratio, values in scores.items():
            found[ratio].append(rates(fold.labels, values, thresholds, weights))
    assert original is not None  # the first weighting is the original data
    return float(original), {ratio: np.concatenate(chunks, axis=1) for ratio, chunks in found.items()}
