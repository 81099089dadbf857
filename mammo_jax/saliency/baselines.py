"""Baselines for attributions: a black image, the blurred image, or the mean training image."""

from __future__ import annotations

from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from mammo_jax.training.step import mean_and_deviation, standardise

Baseline = Literal["black", "blurred", "mean"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

BLUR = 0.1
"""Standard deviation of the Gaussian that blurs an image, as a share of its longer side: lesions become invisible."""


def network_inputs(images: np.ndarray) -> np.ndarray:
    """Convert records to network input: uint16 [n, rows, columns, 1] → float32, standardised one by one."""
    return np.asarray(standardise(jnp.asarray(images)))


def baselines_for(images: np.ndarray, baseline: Baseline, mean_image: np.ndarray | None = None) -> np.ndarray:
    """Compute the baselines of images, each in its image's own standardised units.

    The units come from the image, not from the baseline: black is (0 − mean) / deviation of that image, and the path
    from baseline to image is the same as in grey levels.

    Parameters
    ----------
    images : uint16 [n, rows, columns, 1]
        Grey levels of records.
    baseline : {"black", "blurred", "mean"}
        Level 0; the blurred image (see `BLUR`); or `mean_image`.
    mean_image : float [rows, columns, 1], for "mean"
        Mean of the training images, in grey levels.

    Returns
    -------
    float32 [n, rows, columns, 1]

    Raises
    ------
    ValueError
        If the baseline is unknown, or `mean_image` is missing for "mean".
    """
    mean, deviation = (np.asarray(unit) for unit in mean_and_deviation(jnp.asarray(images)))
    if baseline == "black":
        levels = np.zeros(images.shape, np.float32)
    elif baseline == "blurred":
        levels = blurred(images)
    elif baseline == "mean" and mean_image is not None:
        levels = np.broadcast_to(mean_image.astype(np.float32), images.shape)
    else:
        raise ValueError(f"baseline {baseline!r}: use {', '.join(BASELINES)}; mean needs the mean training image")
    return (levels - mean) / deviation


def blurred(images: np.ndarray) -> np.ndarray:
    """Blur images [n, rows, columns, 1] so that lesions become invisible; float32. Edge values are repeated outside."""
    sigma = BLUR * max(images.shape[1:3])
    return ndimage.gaussian_filter(images.astype(np.float32), sigma, axes=(1, 2), mode="nearest")
