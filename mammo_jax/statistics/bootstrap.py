"""Patient-clustered bootstrap of fold-averaged AUROC and AUPRC, paired over all ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.statistics.prediction_grid import Cell, Fold, PredictionGrid, StatisticsError

CONFIDENCE = 0.95
_CHUNK = 1 << 22  # weights held at once: 32 MiB


@dataclass(frozen=True)
class Estimate:
    """A figure and what it became in each resample.

    Attributes
    ----------
    value : float
        On the data as they are.
    replicates : float64 [resamples]
        Column k of every estimate of one model comes from the same resampled patients and seeds, so differences
        between estimates are paired.
    """

    value: float
    replicates: np.ndarray

    def __sub__(self, other: Estimate) -> Estimate:
        """Paired difference."""
        return Estimate(self.value - other.value, self.replicates - other.replicates)

    def interval(self) -> tuple[float, float]:
        """Two-sided 95 % percentile interval."""
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(self.replicates, [tail, 1 - tail])
        return float(low), float(high)

    def lower_bound(self) -> float:
        """One-sided 95 % percentile lower bound."""
        return float(np.quantile(self.replicates, 1 - CONFIDENCE))


@dataclass(frozen=True)
class Estimates:
    """Figures of one (train ratio, test ratio).

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
    """How often each patient of a fold is drawn, positive and negative patients apart.

    From n patients of a stratum n − 1 are drawn with replacement: then the variance over resamples of a mean is
    s²/n without bias (Rao & Wu, J Am Stat Assoc 1988;83:231); with n draws it comes out (n − 1)/n too small, which
    matters where a fold has few positive patients. A stratum of one patient is always drawn.

    A resample in which no positive or no negative image is left (possible only where positive patients bring most of
    the negative images) has no AUROC and is drawn again.

    Returns
    -------
    counts : int64 [patients, resamples]
    redrawn : int
        How many resamples had to be drawn again.

    Raises
    ------
    StatisticsError
        If both classes cannot be had in 100 rounds.
    """
    counts = _draw(fold, resamples, rng)
    redrawn = 0
    for _ in range(100):
        drawn = counts[fold.patients] > 0
        lacking = ~(drawn[fold.labels].any(axis=0) & drawn[~fold.labels].any(axis=0))
        if not lacking.any():
            return counts, redrawn
        redrawn += int(lacking.sum())
        counts[:, lacking] = _draw(fold, int(lacking.sum()), rng)
    raise StatisticsError(f"fold {fold.number}: too few patients bring both classes to resample them; use fewer folds")


def _draw(fold: Fold, resamples: int, rng: np.random.Generator) -> np.ndarray:
    return draw_patients(~fold.positive_patients, resamples, rng)


def draw_patients(strata: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each patient is drawn when n − 1 are drawn from the n of each stratum (see `resample_patients`).

    Parameters
    ----------
    strata : array [patients]
        The stratum of each patient; drawn in their sorted order.

    Returns
    -------
    int64 [patients, resamples]
    """
    counts = np.zeros((len(strata), resamples), np.int64)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        shares = np.full(len(members), 1 / len(members))
        counts[members] = rng.multinomial(max(1, len(members) - 1), shares, size=resamples).T
    return counts


def estimates(grid: PredictionGrid, resamples: int, seed: int) -> tuple[dict[Cell, Estimates], int]:
    """AUROC and AUPRC of every cell of one model, with paired bootstrap replicates.

    Patients are drawn within folds (`resample_patients`). Training seeds are drawn with replacement, one fewer than
    there are, for the same reason; one seed stays as it is, and its intervals then leave training noise out.

    Returns
    -------
    estimates : dict of Cell to Estimates
    redrawn : int
        Resamples drawn again for want of a class, summed over the folds.
    """
    by_fold: dict[Cell, list[np.ndarray]] = {cell: [] for cell in grid.scores}
    replicates = {cell: np.zeros((2, len(grid.seeds), resamples)) for cell in grid.scores}
    redrawn = 0
    for position, fold in enumerate(grid.folds):
        rng = np.random.default_rng([seed, 1 + position])
        counts, again = resample_patients(fold, resamples, rng)
        redrawn += again
        counts = np.concatenate([np.ones((len(counts), 1), np.int64), counts], axis=1)
        for cell, scores in grid.scores.items():
            areas = np.stack([_areas(fold, of_seed, counts) for of_seed in scores[position]], axis=1)
            by_fold[cell].append(areas[:, :, 0])
            replicates[cell] += areas[:, :, 1:] / len(grid.folds)
    seeds = _resample_seeds(len(grid.seeds), resamples, np.random.default_rng([seed, 0]))
    return {cell: _summarise(np.stack(by_fold[cell], axis=2), replicates[cell], seeds) for cell in by_fold}, redrawn


def _areas(fold: Fold, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """AUROC and AUPRC, float64 [2, columns of counts], in chunks that bound the memory."""
    step = max(1, _CHUNK // len(fold.labels))
    chunks = [
        auroc_and_auprc(fold.labels, scores, counts[:, start : start + step][fold.patients])
        for start in range(0, counts.shape[1], step)
    ]
    return np.concatenate([np.stack(chunk) for chunk in chunks], axis=1)


def _resample_seeds(seeds: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Share of each seed in each resample, float64 [seeds, resamples]."""
    draws = max(1, seeds - 1)
    return rng.multinomial(draws, np.full(seeds, 1 / seeds), size=resamples).T / draws


def _summarise(by_fold: np.ndarray, replicates: np.ndarray, seeds: np.ndarray) -> Estimates:
    """Average the folds, then the seeds; `by_fold` [2, seeds, folds], `replicates` [2, seeds, resamples]."""
    values = by_fold.mean(axis=(1, 2))
    drawn = (replicates * seeds).sum(axis=1)
    return Estimates(Estimate(float(values[0]), drawn[0]), Estimate(float(values[1]), drawn[1]), by_fold[0], by_fold[1])
