"""A network for patches that looks through windows at a larger image."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

LOOKED_AT = 0.4
"""Part of the windows that is looked at: those that the breast covers most. It fills up to this part of a mammogram."""
BRIGHT = 0.05
"""Breast is what is brighter than this part of an image's range."""
COVERED = 0.95
"""A window shows tissue where this part of it is breast. Patches never show the skin line, which alone looks odd."""
SUSPICIOUS = 8
"""Windows that make up an image's score."""
FAINTEST = 1e-3
"""Least deviation of a window that is stretched to 1, as part of its image's range."""
NOTHING = -30.0
"""Logit of a window without tissue."""


class OverWindows(nn.Module):
    """Score the windows of an image with one network; its odds are the sum of its most suspicious windows' odds.

    A lesion fills a hundredth of a mammogram, so a network that sees the whole at once hardly learns from image labels.
    One that knows lesions from patches is carried over and trained on with image labels alone, in the spirit of Shen
    et al. (Sci Rep 2019;9:12495). Each window is standardised as a patch is. Training goes through the most suspicious
    windows alone and leaves the batch statistics as they were: they belong to patches of which half hold a lesion.
    A fresh network is therefore refused (`mammo_jax.training.starting_weights.origin`).

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
        windows, cover = most_covered(images, self.window, self.step)
        logits = self._score(windows, cover)
        if train:  # once more, for the gradient of few
            worst = jax.lax.top_k(logits, min(SUSPICIOUS, logits.shape[1]))[1]
            windows = jnp.take_along_axis(windows, worst[..., None, None, None], axis=1)
            logits = self._score(windows, jnp.take_along_axis(cover, worst, axis=1))
        return jax.nn.logsumexp(jax.lax.top_k(logits, min(SUSPICIOUS, logits.shape[1]))[0], axis=1)

    def _score(self, windows: jax.Array, cover: jax.Array) -> jax.Array:
        """Logits of windows [batch, count, window, window, 1], as [batch, count]."""
        found = self.network(windows.reshape(-1, *windows.shape[2:]), False, None).reshape(cover.shape)
        shown = (cover >= COVERED) | (cover == cover.max(1, keepdims=True))  # at least one, whatever the image
        return jnp.where(shown, found, NOTHING)


def most_covered(images: jax.Array, window: int, step: int) -> tuple[jax.Array, jax.Array]:
    """Cut windows out of images [batch, rows, columns, 1], keep the most covered and standardise each by itself.

    Where they don't come out even, the image is continued by its darkest value.

    Returns
    -------
    windows : float [batch, count, window, window, 1]
    cover : float [batch, count]
        Part of each that is breast.
    """
    levels, cover, corners = _choose(images, window, step)
    windows = _cut(levels, corners, window)
    centred = windows - windows.mean((2, 3, 4), keepdims=True)
    variance = jnp.square(centred).mean((2, 3, 4), keepdims=True)
    return centred / jnp.sqrt(jnp.maximum(variance, FAINTEST**2)), cover


def lay_windows_back(found: jax.Array, images: jax.Array, step: int) -> jax.Array:
    """Add up what was found in the windows of `most_covered` where each lies in its image.

    Parameters
    ----------
    found : float [batch, count, window, window]
    images : float [batch, rows, columns, 1]
        What the windows were cut from.
    step : int

    Returns
    -------
    float [batch, rows, columns]
    """
    levels, _, corners = _choose(images, found.shape[2], step)
    (laid,) = jax.linear_transpose(lambda whole: _cut(whole, corners, found.shape[2]), levels)(found[..., None])
    return laid[:, : images.shape[1], : images.shape[2], 0]


def _choose(images: jax.Array, window: int, step: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return images in levels from 0 to 1, continued by zeros, and the cover and the corners of the windows kept."""
    darkest = images.min((1, 2, 3), keepdims=True)
    levels = (images - darkest) / jnp.maximum(images.max((1, 2, 3), keepdims=True) - darkest, 1e-6)
    more = [max(window - size, (window - size) % step) for size in images.shape[1:3]]
    levels = jnp.pad(levels, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)))
    bright = (levels > BRIGHT).astype(levels.dtype)
    cover = jax.lax.reduce_window(bright, 0.0, jax.lax.add, (1, window, window, 1), (1, step, step, 1), "VALID")
    cover = cover[..., 0] / window**2
    columns = cover.shape[2]
    cover = cover.reshape(len(images), -1)
    cover, kept = jax.lax.top_k(cover, max(1, round(LOOKED_AT * cover.shape[1])))
    return levels, cover, step * jnp.stack([kept // columns, kept % columns], axis=-1)


def _cut(levels: jax.Array, corners: jax.Array, window: int) -> jax.Array:
    """Cut windows at corners [batch, count, 2] out of images [batch, rows, columns, 1]."""

    def one(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (window, window, 1))

    return jax.vmap(jax.vmap(one, (None, 0)))(levels, corners)
