"""Patient-clustered bootstrap of fold-averaged AUROC and AUPRC, paired over all ratios."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.statistics.bca import bca_bound
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
    left_out : tuple of float64 [members]
        The estimate without one patient, or without one training seed, for each stratum of the bootstrap.
    """

    value: float
    replicates: np.ndarray
    left_out: tuple[np.ndarray, ...] = ()

    def __sub__(self, other: Estimate) -> Estimate:
        """Return the paired difference."""
        left_out = tuple(ours - theirs for ours, theirs in zip(self.left_out, other.left_out, strict=True))
        return Estimate(self.value - other.value, self.replicates - other.replicates, left_out)

    def interval(self) -> tuple[float, float]:
        """Return the two-sided 95 % interval (BCa)."""
        tail = (1 - CONFIDENCE) / 2
        return self.lower_bound(tail), bca_bound(self.value, self.replicates, self.left_out, 1 - tail)

    def as_json(self) -> dict[str, float]:
        """Return the value and the ends of its interval."""
        low, high = self.interval()
        return {"value": self.value, "low": low, "high": high}

    def lower_bound(self, alpha: float) -> float:
        """Return the one-sided lower bound (BCa) that the true value is below with probability `alpha`."""
        return bca_bound(self.value, self.replicates, self.left_out, alpha)


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
    areas: dict[Cell, list[np.ndarray]] = {cell: [] for cell in grid.scores}
    redrawn = 0
    for position, fold in enumerate(grid.folds):
        counts, redrawn_in_fold = drawn_in_fold(fold, position, resamples, seed)
        redrawn += redrawn_in_fold
        for cell, scores in grid.scores.items():
            areas[cell].append(
                np.stack([_areas(fold, seed_scores, counts) for seed_scores in scores[position]], axis=1)
            )
    seeds = drawn_seeds(len(grid.seeds), resamples, seed)
    return {cell: _summarise(grid.folds, areas[cell], seeds) for cell in areas}, redrawn


def drawn_in_fold(fold: Fold, position: int, resamples: int, seed: int) -> tuple[np.ndarray, int]:
    """Draw the patients of the fold at a position; every statistic of a model has the same ones.

    Returns
    -------
    counts : int64 [patients, 1 + resamples]
        How often each patient is drawn; first once each, which is the original data.
    redrawn : int
        Number of resamples that were drawn again.
    """
    counts, redrawn = resample_patients(fold, resamples, np.random.default_rng([seed, 1 + position]))
    return np.concatenate([np.ones((len(counts), 1), np.int64), counts], axis=1), redrawn


def drawn_seeds(seeds: int, resamples: int, seed: int) -> np.ndarray:
    """Draw n − 1 of n training seeds and return the weight of each in each resample, float64 [seeds, resamples].

    Every statistic of a model has the same ones.
    """
    draws = max(1, seeds - 1)
    rng = np.random.default_rng([seed, 0])
    return rng.multinomial(draws, np.full(seeds, 1 / seeds), size=resamples).T / draws


def weightings(fold: Fold, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the images' weights with each column of counts, then without each patient, [images, at most some]."""
    step = max(1, MAX_WEIGHTS // len(fold.labels))
    patients = np.arange(len(counts))
    for start in range(0, counts.shape[1], step):
        yield counts[:, start : start + step][fold.patients]
    for start in range(0, len(patients), step):
        yield fold.patients[:, None] != patients[start : start + step]


def _areas(fold: Fold, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Compute AUROC and AUPRC with all weightings, float64 [2, columns + patients].

    AUPRC is for the fold's prevalence in each. Else the jackknife would take what a patient less does to the prevalence
    for a bias.
    """
    prevalence = float(fold.labels.mean())
    chunks = [auroc_and_auprc(fold.labels, scores, weights, prevalence) for weights in weightings(fold, counts)]
    return np.concatenate([np.stack(chunk) for chunk in chunks], axis=1)


def _summarise(folds: tuple[Fold, ...], areas: list[np.ndarray], seeds: np.ndarray) -> Estimates:
    """Average over the folds, then over the seeds; `areas` has an array [2, …] for each fold, see `averaged`."""
    auroc, auprc = (averaged(folds, [part[metric] for part in areas], seeds) for metric in range(2))
    by_fold = np.stack([part[:, :, 0] for part in areas], axis=2)
    return Estimates(auroc, auprc, by_fold[0], by_fold[1])


def averaged(folds: tuple[Fold, ...], parts: list[np.ndarray], seeds: np.ndarray) -> Estimate:
    """Average a statistic over the folds, then over the training seeds.

    Parameters
    ----------
    folds : tuple of Fold
    parts : list of float64 [seeds, 1 + resamples + patients]
        For each fold, the statistic with every weighting of `weightings`.
    seeds : float64 [seeds, resamples]
        Weight of each seed in each resample.
    """
    by_fold = np.stack([part[:, 0] for part in parts], axis=1)
    end = 1 + seeds.shape[1]
    replicates = np.mean([part[:, 1:end] for part in parts], axis=0)
    left_out = _left_out(folds, by_fold, [part[:, end:] for part in parts])
    return Estimate(float(by_fold.mean()), (replicates * seeds).sum(axis=0), left_out)


def _left_out(folds: tuple[Fold, ...], by_fold: np.ndarray, without: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return the estimate without each patient of each stratum, and without each seed.

    Parameters
    ----------
    folds : tuple of Fold
    by_fold : float64 [seeds, folds]
    without : list of float64 [seeds, patients]
        A fold's areas without each of its patients; NaN where nobody else has images of a class, and such a patient is
        taken to change nothing.
    """
    value = by_fold.mean()
    strata = []
    for position, fold in enumerate(folds):
        change = np.nan_to_num(without[position] - by_fold[:, position, None]).mean(axis=0) / len(folds)
        strata += [value + change[fold.positive_patients], value + change[~fold.positive_patients]]
    seeds = len(by_fold)
    if seeds > 1:
        strata.append((seeds * value - by_fold.mean(axis=1)) / (seeds - 1))
    return tuple(strata)
