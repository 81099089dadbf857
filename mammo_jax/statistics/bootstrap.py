"""Patient-clustered bootstrap of fold-averaged AUROC and AUPRC, paired over all ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.statistics.prediction_grid import Cell, Fold, PredictionGrid, StatisticsError

CONFIDENCE = 0.95
MAX_WEIGHTS = 1 << 22
"""Number of weights in memory at once, 32 MiB."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its bootstrap replicates.

    Attributes
    ----------
    value : float
        The estimate on the original data.
    replicates : float64 [resamples]
        Replicate k of every estimate of one model comes from the same resampled patients and seeds, so differences
        between estimates are paired.
    """

    value: float
    replicates: np.ndarray

    def __sub__(self, other: Estimate) -> Estimate:
        """Return the paired difference."""
        return Estimate(self.value - other.value, self.replicates - other.replicates)

    def interval(self) -> tuple[float, float]:
        """Return the two-sided 95 % percentile interval."""
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(self.replicates, [tail, 1 - tail])
        return float(low), float(high)

    def lower_bound(self) -> float:
        """Return the one-sided 95 % percentile lower bound."""
        return float(np.quantile(self.replicates, 1 - CONFIDENCE))


@dataclass(frozen=True)
class Estimates:
    """AUROC and AUPRC of one cell (train ratio, test ratio).

    Attributes
    ----------
    auroc, auprc : Estimate
        Mean over the folds, then over the training seeds.
    auroc_by_fold, auprc_by_fold : float64 [seeds, folds]
    """

    auroc: Estimate
    auprc: Estimate
    auroc_by_fold: np.ndarray
    auprc_by_fold: np.ndarray


def resample_patients(fold: Fold, resamples: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Resample the patients of a fold, with positive and negative patients as strata.

    From the n patients of a stratum n − 1 are drawn with replacement. Then the variance of a mean over the resamples is
    s²/n without bias (Rao & Wu, J Am Stat Assoc 1988;83:231). With n draws it is too small by (n − 1)/n, which matters
    if a fold has few positive patients. A stratum of one patient is always drawn.

    A resample without positive images or without negative ones has no AUROC and is drawn again. That is possible only
    if most of the negative images belong to positive patients.

    Returns
    -------
    counts : int64 [patients, resamples]
        How often each patient is drawn.
    redrawn : int
        Number of resamples that were drawn again.

    Raises
    ------
    StatisticsError
        If a resample still lacks a class after 100 rounds.
    """
    counts = _draw_from_fold(fold, resamples, rng)
    redrawn = 0
    for _ in range(100):
        drawn = counts[fold.patients] > 0
        one_class = ~(drawn[fold.labels].any(axis=0) & drawn[~fold.labels].any(axis=0))
        if not one_class.any():
            return counts, redrawn
        redrawn += int(one_class.sum())
        counts[:, one_class] = _draw_from_fold(fold, int(one_class.sum()), rng)
    raise StatisticsError(
        f"fold {fold.number}: too few patients with positive or negative images for a bootstrap; use fewer folds"
    )


def _draw_from_fold(fold: Fold, resamples: int, rng: np.random.Generator) -> np.ndarray:
    return draw_patients(~fold.positive_patients, resamples, rng)


def draw_patients(strata: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n − 1 of the n patients of each stratum with replacement (see `resample_patients`).

    Parameters
    ----------
    strata : array [patients]
        The stratum of each patient. Strata are drawn in sorted order.

    Returns
    -------
    int64 [patients, resamples]
        How often each patient is drawn.
    """
    counts = np.zeros((len(strata), resamples), np.int64)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        shares = np.full(len(members), 1 / len(members))
        counts[members] = rng.multinomial(max(1, len(members) - 1), shares, size=resamples).T
    return counts


def estimates(grid: PredictionGrid, resamples: int, seed: int) -> tuple[dict[Cell, Estimates], int]:
    """Compute AUROC and AUPRC of every cell of one model, with paired bootstrap replicates.

    Patients are resampled within folds (`resample_patients`). Of the n training seeds n − 1 are drawn with replacement,
    for the same reason. A single seed is not resampled; the intervals then do not include training noise.

    Returns
    -------
    estimates : dict of Cell to Estimates
    redrawn : int
        Number of resamples that were drawn again because a class was missing, summed over the folds.
    """
    by_fold: dict[Cell, list[np.ndarray]] = {cell: [] for cell in grid.scores}
    replicates = {cell: np.zeros((2, len(grid.seeds), resamples)) for cell in grid.scores}
    redrawn = 0
    for position, fold in enumerate(grid.folds):
        rng = np.random.default_rng([seed, 1 + position])
        counts, redrawn_in_fold = resample_patients(fold, resamples, rng)
        redrawn += redrawn_in_fold
        counts = np.concatenate([np.ones((len(counts), 1), np.int64), counts], axis=1)
        for cell, scores in grid.scores.items():
            areas = np.stack([_areas(fold, seed_scores, counts) for seed_scores in scores[position]], axis=1)
            by_fold[cell].append(areas[:, :, 0])
            replicates[cell] += areas[:, :, 1:] / len(grid.folds)
    seeds = _resample_seeds(len(grid.seeds), resamples, np.random.default_rng([seed, 0]))
    return {cell: _summarise(np.stack(by_fold[cell], axis=2), replicates[cell], seeds) for cell in by_fold}, redrawn


def _areas(fold: Fold, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Compute AUROC and AUPRC, float64 [2, columns of counts], in chunks to limit the memory."""
    step = max(1, MAX_WEIGHTS // len(fold.labels))
    chunks = [
        auroc_and_auprc(fold.labels, scores, counts[:, start : start + step][fold.patients])
        for start in range(0, counts.shape[1], step)
    ]
    return np.concatenate([np.stack(chunk) for chunk in chunks], axis=1)


def _resample_seeds(seeds: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw seeds and return the weight of each in each resample, float64 [seeds, resamples]."""
    draws = max(1, seeds - 1)
    return rng.multinomial(draws, np.full(seeds, 1 / seeds), size=resamples).T / draws


def _summarise(by_fold: np.ndarray, replicates: np.ndarray, seeds: np.ndarray) -> Estimates:
    """Average over the folds, then over the seeds; `by_fold` [2, seeds, folds], `replicates` [2, seeds, resamples]."""
    values = by_fold.mean(axis=(1, 2))
    auroc, auprc = (replicates * seeds).sum(axis=1)
    return Estimates(Estimate(float(values[0]), auroc), Estimate(float(values[1]), auprc), by_fold[0], by_fold[1])
