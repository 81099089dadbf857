"""A network for patches that looks through windows at a larger image."""

from __future__ import annotations

from itertools import product

import flax.linen as nn
import jax
import jax.numpy as jnp

FAINTEST = 1e-2
"""Least deviation of a window that is stretched to 1, in deviations of its whole image: background stays faint."""


class OverWindows(nn.Module):
    """Score the windows of an image with one network; the image is as suspicious as its most suspicious window.

    A lesion fills a hundredth of a mammogram, so a network that sees the whole at once hardly learns from image labels.
    One that knows lesions from patches is carried over and trained on with image labels alone, in the spirit of Shen
    et al. (Sci Rep 2019;9:12495). Each window is standardised as a patch is. Training goes through the most suspicious
    window alone and leaves the batch statistics as they were: they belong to patches of which half hold a lesion.

    The variables are those of the network.

    Attributes
    ----------
    network : nn.Module
        As of `mammo_jax.models.build_model`.
    window : int
        Rows and columns of a window.
    step : int
        Pixels from one window to the next.
    """

    network: nn.Module
    window: int
    step: int

    def setup(self) -> None:
        """Let the network's variables be this module's own."""
        nn.share_scope(self, self.network)

    @property
    def head(self) -> tuple[str, ...]:
        """The network's layers after the features."""
        return self.network.head

    def __call__(
        self,
        images: jax.Array,
        train: bool = False,
        mask: jax.Array | None = None,  # noqa: ARG002  # no statistics are taken
    ) -> jax.Array:
        """Logits of the positive class [batch] for standardised `images` [batch, rows, columns, 1]."""
        windows = cut_windows(images, self.window, self.step)
        count, shape = windows.shape[1], windows.shape[2:]
        logits = self.network(windows.reshape(-1, *shape), False, None).reshape(-1, count)
        if not train:
            return logits.max(1)
        worst = jnp.take_along_axis(windows, logits.argmax(1).reshape(-1, 1, 1, 1, 1), axis=1)[:, 0]
        return self.network(worst, False, None)


def cut_windows(images: jax.Array, window: int, step: int) -> jax.Array:
    """Cut windows out of images [batch, rows, columns, 1] and standardise each by itself.

    Where they don't come out even, the image is continued by zeros.

    Returns
    -------
    float [batch, windows, window, window, 1]
    """
    rows, columns = (window + -(-max(0, size - window) // step) * step for size in images.shape[1:3])
    padded = jnp.pad(images, ((0, 0), (0, rows - images.shape[1]), (0, columns - images.shape[2]), (0, 0)))
    starts = product(range(0, rows - window + 1, step), range(0, columns - window + 1, step))
    windows = jnp.stack([padded[:, row : row + window, column : column + window] for row, column in starts], axis=1)
    centred = windows - windows.mean((2, 3, 4), keepdims=True)
    deviation = jnp.sqrt(jnp.square(centred).mean((2, 3, 4), keepdims=True))
    return centred / jnp.maximum(deviation, FAINTEST)
