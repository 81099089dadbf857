"""How far apart positive and negative scores have to be for an AUROC of women, each with the maximum over her views."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr

SEPARATIONS = np.linspace(0.0, 6.0, 121)
NODES = 48
"""Of the Gauss-Hermite rule over the women."""
SCORES = np.linspace(-6.0, 13.0, 4001)


def woman_separation(
    auroc: np.ndarray | float, *, views: int, lesion_views: int, woman_variance: float, image_variance: float
) -> np.ndarray:
    """Find the signal in a lesion's views that gives this AUROC of women.

    A score is the sum of the woman and of the image, both normal, and of the signal where the view shows a lesion.
    Given the woman her views are independent, so the distribution function of her maximum is a product of theirs.

    Parameters
    ----------
    auroc : float or float64 array
        From 0.5 on.
    views, lesion_views : int
    woman_variance, image_variance : float

    Returns
    -------
    float64, shaped like `auroc`
    """
    areas = _areas(views, lesion_views, woman_variance, image_variance)
    return PchipInterpolator(areas, SEPARATIONS)(np.clip(auroc, areas[0], areas[-1]))


@lru_cache(maxsize=4)
def _areas(views: int, lesion_views: int, woman_variance: float, image_variance: float) -> np.ndarray:
    """Compute the AUROC of women for each of `SEPARATIONS`, float64 [separations]."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    from_woman = SCORES[:, None] - np.sqrt(woman_variance) * nodes  # [scores, nodes]
    deviation = np.sqrt(image_variance)
    without = ndtr(from_woman / deviation)
    negative = without**views @ weights
    areas = []
    for signal in SEPARATIONS:
        with_lesion = ndtr((from_woman - signal) / deviation)
        positive = (with_lesion**lesion_views * without ** (views - lesion_views)) @ weights
        middle = (positive[1:] + positive[:-1]) / 2
        areas.append(1 - float(middle @ np.diff(negative)))
    return np.array(areas)
