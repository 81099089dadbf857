"""Faithfulness of a map: insertion and deletion curves, with the blurred image as the replacement.

Blurring removes detail, as strong compression does: a model that is robust to compression is robust to blurred pixels.
So these curves are not independent of the compression ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from mammo_jax.saliency.first_layer import apply_module
from mammo_jax.saliency.localisation import smooth

FRACTIONS = np.linspace(0, 1, 21)
"""Fractions of the breast's pixels that are replaced."""


def insertion_and_deletion(
    network: nn.Module, variables: Any, image: np.ndarray, blurred: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the probabilities while pixels are inserted, or deleted, in order (Petsiuk, Das & Saenko, BMVC 2018).

    Parameters
    ----------
    network, variables
        ``network.apply(variables, images) -> logits``.
    image, blurred : float32 [rows, columns, 1]
        The network's input and its replacement.
    order : int64 [pixels]
        Flat indices of the pixels, the most salient first; other pixels are never replaced.

    Returns
    -------
    insertion : float64 [21]
        From the blurred image to the image.
    deletion : float64 [21]
        From the image to the blurred image.
    """
    counts = np.rint(FRACTIONS * len(order)).astype(int)
    ranks = np.full(image.size, len(order))
    ranks[order] = np.arange(len(order))
    rank = ranks.reshape(image.shape)
    most_salient = (rank < counts[:, None, None, None]) & (rank < len(order))
    inserted = np.where(most_salient | (rank == len(order)), image, blurred)
    deleted = np.where(most_salient, blurred, image)
    logits = np.asarray(_scores(network)(variables, np.concatenate([inserted, deleted])), np.float64)
    probabilities = 1 / (1 + np.exp(-logits))
    return probabilities[: len(counts)], probabilities[len(counts) :]


def order_by_saliency(attributions: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """Return the flat indices of the breast's pixels by descending smoothed contribution; ties keep their order."""
    inside = np.flatnonzero(breast if breast.any() else np.ones_like(breast))
    return inside[np.argsort(-smooth(attributions).ravel()[inside], kind="stable")]


def area_under_curve(curve: np.ndarray) -> float:
    """Return the area under a curve [21] over the fraction of replaced pixels."""
    return float(np.trapezoid(curve, FRACTIONS))


@lru_cache(maxsize=16)
def _scores(network: nn.Module) -> Callable:
    return jax.jit(partial(apply_module, network))
