"""Does a map point at the lesion? Measured against lesion masks, each measure with its chance level.

Chance is the same measure with the lesion moved to other places inside the breast: a large lesion is easy to hit, so
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
"""Keys of the results, and what they are called."""

PRIMARY_MEASURE = "energy"
"""The measure that answers the question, named before any study was run with it; the others are secondary.

It is the energy-based pointing game (Wang et al., Score-CAM, CVPRW 2020), made as a better pointing game (Zhang et al.,
IJCV 2018), which a single pixel decides: that is 0 or 1 an image, and says nothing of what else the map marks. Energy
counts the whole map, needs no threshold, as IoU and Dice do, and has a chance level near the lesion's part of the
breast.
"""

FEW_PLACES = 20
"""With fewer places than this the lesion fills so much of the breast part that every place overlaps its own: chance is
then nearly the value itself, whatever the map."""

SMOOTHING = 0.02
"""Standard deviation of the Gaussian that maps are smoothed with, as a part of the longer side."""

POSITIONS = 200
"""Places that the lesion is moved to at most."""


def smooth(attributions: np.ndarray) -> np.ndarray:
    """Sum each pixel's signed contribution with its neighbours', as the eye does; float64 [rows, columns].

    Single pixels of a gradient map alternate in sign; what a neighbourhood contributes is their sum.
    """
    return ndimage.gaussian_filter(np.asarray(attributions, np.float64), SMOOTHING * max(attributions.shape))


def localize(
    attributions: np.ndarray, lesion: np.ndarray, breast: np.ndarray, *, positions: int = POSITIONS, seed: int = 0
) -> dict[str, float]:
    """Measure how well a map marks a lesion, and how well it would mark it by chance.

    The map is smoothed (`smooth`). Rankings use it signed; energy and Otsu's threshold use its positive part. Only
    pixels inside the breast, or of the lesion itself, count.

    Parameters
    ----------
    attributions : float [rows, columns]
        Signed: positive where a pixel speaks for the finding.
    lesion, breast : bool [rows, columns]
    positions, seed : int
        Chance is the mean over this many places, drawn without replacement, at which the whole lesion lies inside the
        breast; its own place is one of them.

    Returns
    -------
    dict
        Each key of `MEASURES`, the same with "_chance", and "positions", the number of places.
        All measures are between 0 and 1. A map without any positive value has no energy and marks nothing.

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
    places = _places(lesion, region)
    if len(places) > positions:
        places = places[np.random.default_rng(seed).choice(len(places), positions, replace=False)]
    evidence = _Evidence(smooth(attributions), region, int(lesion.sum()))
    pixels = np.argwhere(lesion)
    actual = evidence.measures(pixels[None])
    chance = evidence.measures(pixels[None] + places[:, None])
    return {
        **{name: float(values[0]) for name, values in actual.items()},
        **{f"{name}_chance": float(values.mean()) for name, values in chance.items()},
        "positions": len(places),
    }


def _places(lesion: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Every shift (rows, columns) that leaves the whole lesion inside the region, (0, 0) among them; int64 [n, 2]."""
    inside = signal.correlate(region.astype(np.float64), lesion.astype(np.float64), mode="full", method="fft")
    return np.argwhere(np.rint(inside) == lesion.sum()) - (np.array(lesion.shape) - 1)


class _Evidence:
    """A smoothed map [rows, columns], prepared for lesions of one area anywhere in a region.

    A measure of a lesion is a sum over its pixels of something that is known for every pixel beforehand, so that many
    places cost little more than one.
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
        # How many pixels of the region are at least as high: equal values are one threshold.
        self.rank = np.zeros(region.shape, np.int64)
        self.rank[region] = np.searchsorted(np.sort(-values), -values, side="right")

    def measures(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        """Measure a lesion at several places; `pixels` int [places, area, 2], results float64 [places]."""
        at = (pixels[..., 0], pixels[..., 1])
        top, above = self.top[at].sum(1), self.above[at].sum(1)
        marked = int(self.above.sum())
        return {
            "pointing_game": self.peak[at].any(1).astype(float),
            "energy": self.share[at].sum(1),
            "iou_area": top / (2 * self.area - top),
            "dice_area": top / self.area,
            "iou_otsu": above / (marked + self.area - above),
            "dice_otsu": 2 * above / (marked + self.area),
            "average_precision": _average_precision(self.rank[at]),
        }


def _average_precision(ranks: np.ndarray) -> np.ndarray:
    """Average precision from the ranks [places, area] of the lesion's pixels; equal values share the lowest rank."""
    ranks = np.sort(ranks, axis=1)
    found = np.broadcast_to(np.arange(1, ranks.shape[1] + 1), ranks.shape)
    # Within a run of equal ranks, every pixel counts as found once the run is complete.
    last = np.concatenate([ranks[:, 1:] != ranks[:, :-1], np.ones((len(ranks), 1), bool)], axis=1)
    complete = np.where(last, found, ranks.shape[1])
    complete = np.minimum.accumulate(complete[:, ::-1], axis=1)[:, ::-1]
    return (complete / ranks).mean(1)
