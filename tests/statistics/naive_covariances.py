"""Covariances of AUROCs written down slowly, as their sources have them."""

from __future__ import annotations

import numpy as np


def kernel(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return 1, 1/2 or 0 for each pair of a positive and a negative image, [positives, negatives]."""
    return np.heaviside(scores[labels][:, None] - scores[~labels], 0.5)


def obuchowski(labels: np.ndarray, patients: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the covariance of two AUROCs of clustered images: Obuchowski, Biometrics 1997;53:567."""
    sums = []
    for scores in (first, second):
        pairs = kernel(labels, scores)
        area = pairs.mean()
        positives, negatives = [], []
        for patient in range(patients.max() + 1):
            own = [i for i, index in enumerate(np.flatnonzero(labels)) if patients[index] == patient]
            others = [j for j, index in enumerate(np.flatnonzero(~labels)) if patients[index] == patient]
            positives.append(sum(pairs[i].mean() for i in own) - len(own) * area)
            negatives.append(sum(pairs[:, j].mean() for j in others) - len(others) * area)
        sums.append((positives, negatives))
    (x, y), (other_x, other_y) = sums
    m, n = labels.sum(), (~labels).sum()
    with_positive, with_negative = len(set(patients[labels])), len(set(patients[~labels]))
    everybody = len(set(patients))
    s10 = with_positive / ((with_positive - 1) * m) * sum(a * b for a, b in zip(x, other_x))
    s01 = with_negative / ((with_negative - 1) * n) * sum(a * b for a, b in zip(y, other_y))
    s11 = everybody / (everybody - 1) * sum(a * b for a, b in zip(x, other_y))
    other_s11 = everybody / (everybody - 1) * sum(a * b for a, b in zip(other_x, y))
    return s10 / m + s01 / n + (s11 + other_s11) / (m * n)


def delong(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the covariance of two AUROCs of independent images: DeLong et al., Biometrics 1988;44:837."""
    ours, theirs = kernel(labels, first), kernel(labels, second)
    return sum(np.cov(ours.mean(axis=axis), theirs.mean(axis=axis))[0, 1] / ours.shape[1 - axis] for axis in (0, 1))


def unbiased(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the unbiased covariance of two AUROCs of independent images: Gallas, Acad Radiol 2006;13:353.

    It is the product of both AUROCs less an estimate of their expectations' product: the mean over all two pairs of
    images that share none.
    """
    ours, theirs = kernel(labels, first), kernel(labels, second)
    apart = ours.sum() * theirs.sum() - (ours.sum(axis=1) * theirs.sum(axis=1)).sum()
    apart += (ours * theirs).sum() - (ours.sum(axis=0) * theirs.sum(axis=0)).sum()
    m, n = ours.shape
    return ours.mean() * theirs.mean() - apart / (m * (m - 1) * n * (n - 1))
