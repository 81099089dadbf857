"""Similarity of two maps of one image."""

from __future__ import annotations

import numpy as np
from scipy import stats
from skimage.metrics import structural_similarity

from mammo_jax.saliency.localisation import smooth

SIMILARITIES = {"spearman": "Spearman's rank correlation", "ssim": "SSIM"}


def similarity(one: np.ndarray, other: np.ndarray, breast: np.ndarray) -> dict[str, float]:
    """Compute Spearman's rank correlation in the breast, and SSIM, of smoothed maps (Adebayo et al., NeurIPS 2018).

    For SSIM each map is scaled to a largest magnitude of 1, since only its pattern matters.

    Parameters
    ----------
    one, other : float [rows, columns]
        At least 7 pixels on each side.
    breast : bool [rows, columns]

    Returns
    -------
    dict
        "spearman" and "ssim". Spearman's is 0 if a map is constant, since it then has no ranking.
    """
    first, second = (smooth(values) for values in (one, other))
    inside = breast if breast.any() else np.ones_like(breast)
    a, b = first[inside], second[inside]
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    return {
        "spearman": 0.0 if constant else float(stats.spearmanr(a, b).statistic),
        "ssim": float(structural_similarity(_scaled(first), _scaled(second), data_range=2.0)),
    }


def _scaled(values: np.ndarray) -> np.ndarray:
    return values / max(float(np.abs(values).max()), np.finfo(float).tiny)
