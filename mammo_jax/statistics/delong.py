"""The difference of two AUROCs of the same images after DeLong, DeLong & Clarke-Pearson, Biometrics 1988;44:837."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from mammo_jax.statistics.bootstrap import CONFIDENCE
from mammo_jax.statistics.prediction_grid import Fold


class DeLong(NamedTuple):
    """A paired difference of AUROCs.

    Attributes
    ----------
    difference : float
        Mean over the folds, then over the training seeds.
    standard_error : float
        As if all images were independent, and the training seeds the only ones there are.
    low, high : float
        Two-sided 95 % interval (normal distribution).
    p_value : float
        Two-sided, of no difference.
    """

    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def delong(folds: Sequence[Fold], scores: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> DeLong:
    """Compare the AUROC of scores with that of reference scores.

    The folds have different images, so the variance of the mean over F folds is the sum of theirs ÷ F². The mean over
    the seeds is that of their placement values.

    Parameters
    ----------
    folds : sequence of Fold
        Each with two images or more of each class.
    scores, reference : sequences of float64 [seeds, images], one array per fold
    """
    differences, variances = [], []
    for fold, ours, theirs in zip(folds, scores, reference, strict=True):
        pairs = zip(placements(fold.labels, ours), placements(fold.labels, theirs))
        changes = [(our - their).mean(axis=0) for our, their in pairs]
        differences.append(changes[0].mean())
        variances.append(sum(change.var(ddof=1) / len(change) for change in changes))
    difference = float(np.mean(differences))
    error = float(np.sqrt(np.sum(variances))) / len(variances)
    half = float(ndtri((1 + CONFIDENCE) / 2)) * error
    if error == 0:
        p_value = float(difference == 0)
    else:
        p_value = float(2 * ndtr(-abs(difference) / error))
    return DeLong(difference, error, difference - half, difference + half, p_value)


def placements(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of negatives that each positive is above, and of positives that each negative is below.

    Ties count one half, so that a seed's mean of either is its AUROC. They come from ranks (Sun & Xu, IEEE Signal
    Process Lett 2014;21:1389).

    Parameters
    ----------
    labels : bool [images]
    scores : float64 [seeds, images]

    Returns
    -------
    positives, negatives : float64 [seeds, positive images], [seeds, negative images]
    """
    above = []
    ranks = rankdata(scores, axis=1)
    for own, others in ((labels, ~labels), (~labels, labels)):
        within = rankdata(scores[:, own], axis=1)
        above.append((ranks[:, own] - within) / np.count_nonzero(others))
    return above[0], 1 - above[1]
