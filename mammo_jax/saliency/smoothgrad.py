"""SmoothGrad over integrated gradients: the mean map of noisy copies of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from mammo_jax.saliency.first_layer import Network
from mammo_jax.saliency.integrated_gradients import Attributions, integrated_gradients, is_complete

NOISE = 0.15
"""Standard deviation of the noise, as a part of an image's range (Smilkov et al., arXiv:1706.03825, use 0.1–0.2)."""


def smoothgrad_integrated_gradients(
    network: Network,
    variables: Any,
    images: np.ndarray,
    baselines: np.ndarray,
    *,
    samples: int = 8,
    seed: int = 0,
    steps: int = 32,
) -> Attributions:
    """Mean of the integrated gradients of `samples` noisy copies of each image.

    Scores, baseline scores and gaps are means over the copies as well; the map is complete if its mean gap is within
    the tolerance for its mean change of score. Steps are not doubled: the copies' errors average out. All images get
    the same noise, which depends on `seed` alone.

    Parameters
    ----------
    network, variables, images, baselines, steps
        See `integrated_gradients`.
    samples, seed : int
    """
    noise = np.random.default_rng(seed).standard_normal((samples, *images.shape[1:])).astype(images.dtype)
    spread = NOISE * (images.max((1, 2, 3)) - images.min((1, 2, 3)))
    noisy = images[:, None] + spread[:, None, None, None, None] * noise
    found = integrated_gradients(
        network,
        variables,
        noisy.reshape(-1, *images.shape[1:]),
        np.repeat(baselines, samples, axis=0),
        steps=steps,
        max_steps=steps,
    )
    maps, scores, baseline_scores, gaps = (
        values.reshape(len(images), samples, *values.shape[1:]).mean(1)
        for values in (found.maps, found.scores, found.baseline_scores, found.gaps)
    )
    path_points = np.full(len(images), samples * steps)
    return Attributions(maps, scores, baseline_scores, gaps, path_points, is_complete(gaps, scores - baseline_scores))
