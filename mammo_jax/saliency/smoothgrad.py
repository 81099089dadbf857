"""SmoothGrad of integrated gradients: the mean map of noisy copies of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from mammo_jax.saliency.first_layer import Network
from mammo_jax.saliency.integrated_gradients import Attributions, integrated_gradients

NOISE = 0.15
"""Standard deviation of the noise, as a share of an image's range (Smilkov et al., arXiv:1706.03825, use 0.1–0.2)."""


def smoothgrad_integrated_gradients(
    network: Network,
    variables: Any,
    images: np.ndarray,
    baselines: np.ndarray,
    *,
    samples: int = 8,
    seed: int = 0,
    steps: int = 32,
    max_steps: int = 512,
) -> Attributions:
    """Average the integrated gradients of `samples` noisy copies of each image.

    Scores, baseline scores and gaps are also means over the copies. The steps of a copy are doubled until its own map
    is complete. The mean map counts as complete only if those of all copies are, since gaps of different signs cancel
    in the mean. All images get the same noise, which depends only on `seed`.

    Parameters
    ----------
    network, variables, images, baselines, steps, max_steps
        See `integrated_gradients`.
    samples, seed : int
    """
    noise = np.random.default_rng(seed).standard_normal((samples, *images.shape[1:])).astype(images.dtype)
    spread = NOISE * (images.max((1, 2, 3)) - images.min((1, 2, 3)))
    noisy = images[:, None] + spread[:, None, None, None, None] * noise
    attributions = integrated_gradients(
        network,
        variables,
        noisy.reshape(-1, *images.shape[1:]),
        np.repeat(baselines, samples, axis=0),
        steps=steps,
        max_steps=max_steps,
    )
    maps, scores, baseline_scores, gaps = (
        values.reshape(len(images), samples, *values.shape[1:]).mean(1)
        for values in (attributions.maps, attributions.scores, attributions.baseline_scores, attributions.gaps)
    )
    path_points, complete = (
        values.reshape(len(images), samples) for values in (attributions.steps, attributions.complete)
    )
    return Attributions(maps, scores, baseline_scores, gaps, path_points.sum(1), np.asarray(complete.all(1)))
