"""AUROC and AUPRC of the same images under many weightings at once."""

from __future__ import annotations

import numpy as np


def auroc_and_auprc(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, prevalence: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the areas under the ROC curve and the precision-recall curve for each column of weights.

    The images are sorted once for all weightings. This makes thousands of bootstrap resamples affordable: a resample is
    a column of counts. AUROC is the trapezoidal area, so a tied pair counts one half (Mann-Whitney). AUPRC is the
    average precision, Σ (R_k − R_{k−1}) P_k over the distinct scores, without interpolation (Davis & Goadrich, ICML
    2006, show why linear interpolation is too optimistic).

    Parameters
    ----------
    labels : bool [images]
        True where the image is positive.
    scores : float [images]
        Higher means more positive. Equal scores form one threshold.
    weights : float [images, resamples]
        Non-negative.
    prevalence : float, optional
        Share of positives that precision is for; by default that of each column's weights.

    Returns
    -------
    auroc, auprc : float64 [resamples]
        NaN for a column in which the weights of the positives, or of the negatives, sum to 0.

    Raises
    ------
    ValueError
        If the shapes do not match or a score is not finite.
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores, np.float64)
    weights = np.asarray(weights, np.float64)
    if labels.ndim != 1 or scores.shape != labels.shape or weights.shape[:1] != labels.shape or weights.ndim != 2:
        raise ValueError(f"shapes do not match: labels {labels.shape}, scores {scores.shape}, weights {weights.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("every score must be a finite number")
    positives = np.flatnonzero(labels)[np.argsort(-scores[labels], kind="stable")]
    negatives = np.flatnonzero(~labels)[np.argsort(-scores[~labels], kind="stable")]
    # Only thresholds at a positive's score add area, so the arrays below have rows for those thresholds only.
    thresholds, first = np.unique(-scores[positives], return_index=True)
    new_true = np.add.reduceat(weights[positives], first, axis=0) if first.size else weights[:0]
    true = np.cumsum(new_true, axis=0)
    false = np.cumsum(np.concatenate([np.zeros_like(weights[:1]), weights[negatives]]), axis=0)
    all_true, all_false = weights[positives].sum(axis=0), false[-1]
    false_above = false[np.searchsorted(-scores[negatives], thresholds, side="left")]
    false = false[np.searchsorted(-scores[negatives], thresholds, side="right")]

    share = 1.0 if prevalence is None else _negatives_worth(prevalence, all_true, all_false)
    predicted_positive = true + share * false
    precision = np.divide(true, predicted_positive, out=np.zeros_like(true), where=predicted_positive > 0)
    ranked_pairs = np.einsum("tr,tr->r", new_true, all_false - 0.5 * (false_above + false))
    summed_precision = np.einsum("tr,tr->r", new_true, precision)
    defined = (all_true > 0) & (all_false > 0)
    undefined = np.full(weights.shape[1], np.nan)
    auroc = np.divide(ranked_pairs, all_true * all_false, out=undefined.copy(), where=defined)
    auprc = np.divide(summed_precision, all_true, out=undefined, where=defined)
    return auroc, auprc


def _negatives_worth(prevalence: float, all_true: np.ndarray, all_false: np.ndarray) -> np.ndarray:
    """Return the factor of the negatives' weights that gives the prevalence, float64 [resamples]."""
    wanted = all_true * (1 - prevalence) / prevalence
    return np.divide(wanted, all_false, out=np.ones_like(all_false), where=all_false > 0)
