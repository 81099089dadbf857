"""Localisation: agreement of a map with the lesion mask, each measure with its chance level.

Chance is the same measure with the lesion moved to other positions inside the breast: a large lesion is easy to hit, so
its chance level is high.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage, signal
from skimage.filters import threshold_otsu

MEASURES = {
    "pointing_game": "pointing game",
    "energy": "energy inside the lesion",
    "iou_area": "IoU at the lesion's area",
    "dice_area": "Dice at the lesion's area",
    "iou_otsu": "IoU at Otsu's threshold",
    "dice_otsu": "Dice at Otsu's threshold",
    "average_precision": "AUPRC of pixels",
}
"""Keys of the results and their titles."""

PRIMARY_MEASURE = "energy"
"""The primary measure, fixed before any study was run with it; the others are secondary.

It is the energy-based pointing game (Wang et al., Score-CAM, CVPRW 2020), proposed as an improvement of the pointing
game (Zhang et al., IJCV 2018). That one depends on a single pixel: it is 0 or 1 for an image and ignores the rest of
the map. Energy uses the whole map, needs no threshold as IoU and Dice do, and has a chance level near the lesion's
share of the breast.
"""

MIN_POSITIONS = 20
"""With fewer positions than this the lesion fills so much of the breast that all positions overlap the original one:
chance is then nearly the value itself for every map."""

SMOOTHING = 0.02
"""Standard deviation of the Gaussian that maps are smoothed with, as a share of the longer side."""

MAX_POSITIONS = 200
"""Maximum number of positions that the lesion is moved to."""


def smooth(attributions: np.ndarray) -> np.ndarray:
    """Smooth a map with a Gaussian; float64 [rows, columns].

    Single pixels of a gradient map alternate in sign; the contribution of a neighbourhood is their sum.
    """
    return ndimage.gaussian_filter(np.asarray(attributions, np.float64), SMOOTHING * max(attributions.shape))


def localise(
    attributions: np.ndarray, lesion: np.ndarray, breast: np.ndarray, *, positions: int = MAX_POSITIONS, seed: int = 0
) -> dict[str, float]:
    """Measure how well a map localises a lesion, and the same measures by chance.

    The map is smoothed (`smooth`). Rankings use the signed map; energy and Otsu's threshold use its positive part. Only
    pixels inside the breast or the lesion count.

    Parameters
    ----------
    attributions : float [rows, columns]
        Signed: positive for a pixel that is evidence for the finding.
    lesion, breast : bool [rows, columns]
    positions, seed : int
        Chance is the mean over this many positions, drawn without replacement, at which the whole lesion is inside the
        breast; the original position is one of them.

    Returns
    -------
    dict
        Each key of `MEASURES`, the same with "_chance", and "positions", the number of positions.
        All measures are between 0 and 1. A map without any positive value has energy 0.

    Raises
    ------
    ValueError
        If there is no lesion or shapes differ.
    """
    if not (attributions.shape == lesion.shape == breast.shape and attributions.ndim == 2):
        raise ValueError(f"shapes differ: map {attributions.shape}, lesion {lesion.shape}, breast {breast.shape}")
    if not lesion.any():
        raise ValueError("there is no lesion in the mask")
    region = breast | lesion
    shifts = _shifts(lesion, region)
    if len(shifts) > positions:
        shifts = shifts[np.random.default_rng(seed).choice(len(shifts), positions, replace=False)]
    measures = _LocalisationMeasures(smooth(attributions), region, int(lesion.sum()))
    pixels = np.argwhere(lesion)
    actual = measures(pixels[None])
    chance = measures(pixels[None] + shifts[:, None])
    return {
        **{name: float(values[0]) for name, values in actual.items()},
        **{f"{name}_chance": float(values.mean()) for name, values in chance.items()},
        "positions": len(shifts),
    }


def _shifts(lesion: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return every shift (rows, columns) that keeps the whole lesion in the region, including (0, 0); int64 [n, 2]."""
    overlap = signal.correlate(region.astype(np.float64), lesion.astype(np.float64), mode="full", method="fft")
    return np.argwhere(np.rint(overlap) == lesion.sum()) - (np.array(lesion.shape) - 1)


class _LocalisationMeasures:
    """The measures of a smoothed map [rows, columns] for lesions of one area anywhere in a region.

    Each measure is computed from a sum of per-pixel values over the lesion's pixels. These values are computed once, so
    that many positions take little more time than one.
    """

    def __init__(self, smoothed: np.ndarray, region: np.ndarray, area: int):
        self.area = area
        values = smoothed[region]
        positive = np.maximum(smoothed, 0) * region
        self.share = positive / max(positive.sum(), np.finfo(float).tiny)
        peak = np.zeros(region.shape, bool)
        peak[region] = np.arange(len(values)) == np.argmax(values)
        self.peak = peak & (positive.sum() > 0)
        order = np.argsort(-values, kind="stable")
        top = np.zeros(len(values), bool)
        top[order[:area]] = True
        self.top = np.zeros(region.shape, bool)
        self.top[region] = top
        inside = positive[region]
        self.above = positive > (threshold_otsu(inside) if inside.min() < inside.max() else np.inf)
        # Number of pixels of the region with at least this value: equal values are one threshold.
        self.rank = np.zeros(region.shape, np.int64)
        self.rank[region] = np.searchsorted(np.sort(-values), -values, side="right")

    def __call__(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        """Measure a lesion at several positions; `pixels` int [positions, area, 2], results float64 [positions]."""
        index = (pixels[..., 0], pixels[..., 1])
        top, above = self.top[index].sum(1), self.above[index].sum(1)
        all_above = int(self.above.sum())
        return {
            "pointing_game": self.peak[index].any(1).astype(float),
            "energy": self.share[index].sum(1),
            "iou_area": top / (2 * self.area - top),
            "dice_area": top / self.area,
            "iou_otsu": above / (all_above + self.area - above),
            "dice_otsu": 2 * above / (all_above + self.area),
            "average_precision": _average_precision(self.rank[index]),
        }


def _average_precision(ranks: np.ndarray) -> np.ndarray:
    """Compute average precision from the ranks [positions, area] of the lesion's pixels; ties share the lowest rank."""
    ranks = np.sort(ranks, axis=1)
    true_positives = np.broadcast_to(np.arange(1, ranks.shape[1] + 1), ranks.shape)
    # Equal ranks are one threshold: each of their pixels gets the count at the end of the run.
    last = np.concatenate([ranks[:, 1:] != ranks[:, :-1], np.ones((len(ranks), 1), bool)], axis=1)
    at_threshold = np.where(last, true_positives, ranks.shape[1])
    at_threshold = np.minimum.accumulate(at_threshold[:, ::-1], axis=1)[:, ::-1]
    return (at_threshold / ranks).mean(1)
