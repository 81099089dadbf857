"""AUROC and AUPRC under many weightings of the same images at once."""

from __future__ import annotations

import numpy as np


def auroc_and_auprc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the ROC curve and the precision-recall curve for each column of weights.

    The images are sorted once and all weightings share that order, which is what makes thousands of bootstrap
    resamples affordable: a resample is a column of counts. AUROC is the trapezoidal area, so that a tied pair counts
    one half (Mann-Whitney); AUPRC is the average precision, Σ (R_k − R_{k−1}) P_k over the distinct scores, without
    interpolation (Davis & Goadrich, ICML 2006, show why linear interpolation is too kind).

    Parameters
    ----------
    labels : bool [images]
        True where the image is positive.
    scores : float [images]
        Higher means more positive. Equal scores are one threshold.
    weights : float [images, resamples]
        Non-negative.

    Returns
    -------
    auroc, auprc : float64 [resamples]
        NaN in a column whose positives or negatives weigh nothing in sum.

    Raises
    ------
    ValueError
        If the shapes do not fit together or a score is not finite.
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores, np.float64)
    weights = np.asarray(weights, np.float64)
    if labels.ndim != 1 or scores.shape != labels.shape or weights.shape[:1] != labels.shape or weights.ndim != 2:
        raise ValueError(f"shapes do not fit: labels {labels.shape}, scores {scores.shape}, weights {weights.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("every score must be a finite number")
    positives = np.flatnonzero(labels)[np.argsort(-scores[labels], kind="stable")]
    negatives = np.flatnonzero(~labels)[np.argsort(-scores[~labels], kind="stable")]
    # Only thresholds at a positive's score add area, so everything below is kept at those rows alone.
    thresholds, first = np.unique(-scores[positives], return_index=True)
    new_true = np.add.reduceat(weights[positives], first, axis=0) if first.size else weights[:0]
    true = np.cumsum(new_true, axis=0)
    false = np.cumsum(np.concatenate([np.zeros_like(weights[:1]), weights[negatives]]), axis=0)
    all_true, all_false = weights[positives].sum(axis=0), false[-1]
    higher = false[np.searchsorted(-scores[negatives], thresholds, side="left")]
    false = false[np.searchsorted(-scores[negatives], thresholds, side="right")]

    called = true + false
    precision = np.divide(true, called, out=np.zeros_like(called), where=called > 0)
    pairs = np.einsum("tr,tr->r", new_true, all_false - 0.5 * (higher + false))
    hits = np.einsum("tr,tr->r", new_true, precision)
    defined = (all_true > 0) & (all_false > 0)
    undefined = np.full(weights.shape[1], np.nan)
    auroc = np.divide(pairs, all_true * all_false, out=undefined.copy(), where=defined)
    auprc = np.divide(hits, all_true, out=undefined, where=defined)
    return auroc, auprc
