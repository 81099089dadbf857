"""AUROC of many simulated studies with bootstrap replicates and the jackknife, in a form made for speed.

AUROC is a bilinear form of how often each woman is drawn, Σ c_p c_q M_pq ÷ (Σ c_p m_p · Σ c_q n_q): M_pq counts the
pairs of a positive image of woman p and a negative one of woman q that are ranked correctly, m and n are the women's
positive and negative images. All replicates of a fold are then one product of matrices. The counts are small whole
numbers, which float32 holds exactly, so the areas equal those of `mammo_jax.statistics` but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from experiments.statistics_check.studies import RATIOS, Scenario
from mammo_jax.statistics.bootstrap import Estimate, drawn_seeds, resample_patients
from mammo_jax.statistics.prediction_grid import Fold


@dataclass(frozen=True)
class FoldDraws:
    """The women of one fold and how often each is drawn.

    Attributes
    ----------
    women : int64 [women]
        Women with a lesion come first.
    positives : int
    counts : float32 [women, resamples]
    pairs : float64 [resamples]
        Pairs of a positive and a negative image.
    """

    women: np.ndarray
    positives: int
    counts: np.ndarray
    pairs: np.ndarray


@dataclass(frozen=True)
class Draws:
    """Everything that the bootstrap of `evaluate` draws for a design and a seed.

    Attributes
    ----------
    folds : tuple of FoldDraws
    seeds : float64 [seeds, resamples]
        Weight of each training seed.
    views, lesion_views : int
        Scores of a woman at the analysis level, and how many of them are positive if she has a lesion.
    """

    folds: tuple[FoldDraws, ...]
    seeds: np.ndarray
    views: int
    lesion_views: int


def bootstrap_draws(scenario: Scenario, resamples: int, seed: int) -> Draws:
    """Draw what `mammo_jax.statistics.bootstrap.estimates` draws."""
    views, lesion_views = scenario.judged_views, scenario.judged_lesion_views
    folds = []
    for number in range(scenario.folds):
        women = np.flatnonzero(scenario.fold_of == number)
        positive = women < scenario.positives
        patients = np.repeat(np.arange(len(women)), views)
        labels = positive[patients] & (np.tile(np.arange(views), len(women)) < lesion_views)
        fold = Fold(number, labels, patients, positive)
        counts, _ = resample_patients(fold, resamples, np.random.default_rng([seed, 1 + number]))
        positive_images = lesion_views * positive
        pairs = (counts.T @ positive_images) * (counts.T @ (views - positive_images))
        folds.append(FoldDraws(women, int(positive.sum()), counts.astype(np.float32), pairs.astype(np.float64)))
    return Draws(tuple(folds), drawn_seeds(scenario.seeds, resamples, seed), views, lesion_views)


@njit(cache=True)
def ranked_pairs(scores: np.ndarray, positives: int, lesion_views: int) -> np.ndarray:
    """Count the pairs of images in which the positive one has the higher score; equal scores count one half.

    Parameters
    ----------
    scores : float64 [women, views]
    positives : int
        The first women have positive images, in their first `lesion_views` views.
    lesion_views : int

    Returns
    -------
    float32 [positives, women]
    """
    women, views = scores.shape
    pairs = np.zeros((positives, women), np.float32)
    for p in range(positives):
        for q in range(women):
            right = np.float32(0)
            for i in range(lesion_views):
                for j in range(lesion_views if q < positives else 0, views):
                    difference = scores[p, i] - scores[q, j]
                    if difference > 0:
                        right += np.float32(1)
                    elif difference == 0:
                        right += np.float32(0.5)
            pairs[p, q] = right
    return pairs


def study_estimates(scores: np.ndarray, draws: Draws) -> dict[float, Estimate]:
    """Compute what `mammo_jax.statistics.bootstrap.estimates` computes of one study: the AUROC of both ratios.

    Parameters
    ----------
    scores : float64 [2 ratios, seeds, women, draws.views]
        At the analysis level, as `Scenario.judged` gives them.
    draws : Draws

    Returns
    -------
    dict of ratio to Estimate
    """
    return {ratio: _estimate(of_ratio, draws) for ratio, of_ratio in zip(RATIOS, scores)}


def _estimate(scores: np.ndarray, draws: Draws) -> Estimate:
    seeds, folds = len(scores), len(draws.folds)
    by_fold = np.zeros((seeds, folds))
    replicates = np.zeros(draws.seeds.shape[1])
    changes = []
    for position, fold in enumerate(draws.folds):
        change = np.zeros(len(fold.women))
        for seed in range(seeds):
            pairs = ranked_pairs(scores[seed, fold.women], fold.positives, draws.lesion_views)
            resampled = np.einsum("pr,pr->r", pairs @ fold.counts, fold.counts[: fold.positives]) / fold.pairs
            replicates += draws.seeds[seed] * resampled / folds
            by_fold[seed, position], without = _jackknife(pairs, draws)
            change += (without - by_fold[seed, position]) / seeds / folds
        changes.append((change[: fold.positives], change[fold.positives :]))
    value = float(by_fold.mean())
    left_out = [value + change for strata in changes for change in strata]
    if seeds > 1:
        left_out.append((seeds * value - by_fold.mean(axis=1)) / (seeds - 1))
    return Estimate(value, replicates, tuple(left_out))


def _jackknife(pairs: np.ndarray, draws: Draws) -> tuple[float, np.ndarray]:
    """Compute the AUROC with all women, and without each of them, float64 [women]."""
    positives, women = pairs.shape
    positive_images = draws.lesion_views * (np.arange(women) < positives)
    negative_images = draws.views - positive_images
    total = pairs.sum(dtype=np.float64)
    of_woman = pairs.sum(axis=0, dtype=np.float64)
    of_woman[:positives] += pairs.sum(axis=1, dtype=np.float64) - np.diagonal(pairs)
    left = (positive_images.sum() - positive_images) * (negative_images.sum() - negative_images)
    return total / (positive_images.sum() * negative_images.sum()), (total - of_woman) / left
