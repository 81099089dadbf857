"""Do the pixels that a map marks carry the score? Insertion and deletion curves with blur as the replacement.

Blurring takes detail away, which is what strong compression does as well: a model that copes with compressed images
copes with blurred pixels, so these curves may not be read as independent of the compression ratio.
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
"""Parts of the breast's pixels that are replaced."""


def insertion_and_deletion(
    network: nn.Module, variables: Any, image: np.ndarray, blurred: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities while pixels are put in, or taken out, in order (Petsiuk, Das & Saenko, BMVC 2018).

    Parameters
    ----------
    network, variables
        ``network.apply(variables, images) -> logits``.
    image, blurred : float32 [rows, columns, 1]
        What the network sees, and what replaces it.
    order : int64 [pixels]
        Flat indices of the pixels, the most salient first; pixels that are not named stay as in the image.

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
    chosen = (rank < counts[:, None, None, None]) & (rank < len(order))
    inserted = np.where(chosen | (rank == len(order)), image, blurred)
    deleted = np.where(chosen, blurred, image)
    logits = np.asarray(_scores(network)(variables, np.concatenate([inserted, deleted])), np.float64)
    probabilities = 1 / (1 + np.exp(-logits))
    return probabilities[: len(counts)], probabilities[len(counts) :]


def salient_first(attributions: np.ndarray, breast: np.ndarray) -> np.ndarray:
    """Flat indices of the breast's pixels from the highest smoothed contribution down; ties keep their place."""
    inside = np.flatnonzero(breast if breast.any() else np.ones_like(breast))
    return inside[np.argsort(-smooth(attributions).ravel()[inside], kind="stable")]


def area(curve: np.ndarray) -> float:
    """Area under a curve [21] over the fraction replaced."""
    return float(np.trapezoid(curve, FRACTIONS))


@lru_cache(maxsize=16)
def _scores(network: nn.Module) -> Callable:
    return jax.jit(partial(apply_module, network))
