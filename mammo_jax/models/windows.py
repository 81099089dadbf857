"""A patch classifier applied to sliding windows of a larger image."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

WINDOW_SHARE = 0.4
"""Share of the windows that is scored, those that the breast covers most: it fills up to this share of a mammogram."""
BREAST_LEVEL = 0.05
"""A pixel above this share of its image's range counts as breast."""
MIN_COVER = 0.95
"""Minimum share of breast pixels of a scored window. Patches never show the skin line, which looks abnormal."""
POOLED_WINDOWS = 8
"""Number of highest-scoring windows that are pooled to an image's score."""
MIN_DEVIATION = 1e-3
"""Minimum standard deviation that a window is divided by, as a share of its image's range."""
NO_TISSUE_LOGIT = -30.0
"""Logit of a window with too little breast in it."""


class SlidingWindowClassifier(nn.Module):
    """Score the windows of an image with a patch network and sum the odds of those with the highest scores.

    A lesion fills about a hundredth of a mammogram, so a network that sees the whole image at once hardly learns from
    image labels. Here a network trained on patches is fine-tuned with image labels only, similar to Shen et al.
    (Sci Rep 2019;9:12495). Each window is standardised like a patch. Gradients flow through the highest-scoring windows
    only, and the batch statistics stay fixed: they belong to patches, of which half contain a lesion. A network with
    random weights is therefore refused (`mammo_jax.training.starting_weights.origin`).

    The variables are those of the patch network.

    Attributes
    ----------
    network : nn.Module
        The patch network, as `mammo_jax.models.build_model` returns it.
    window : int
        Rows and columns of a window.
    step : int
        Pixels from one window to the next.
    """

    network: nn.Module
    window: int
    step: int

    def setup(self) -> None:
        """Share the patch network's variables, without a level of names in between."""
        nn.share_scope(self, self.network)

    @property
    def head(self) -> tuple[str, ...]:
        """The patch network's layers after the feature extractor."""
        return self.network.head

    def __call__(
        self,
        images: jax.Array,
        train: bool = False,
        mask: jax.Array | None = None,  # noqa: ARG002  # no batch statistics are computed
    ) -> jax.Array:
        """Return the logits of the positive class [batch] for standardised `images` [batch, rows, columns, 1]."""
        windows, cover = select_windows(images, self.window, self.step)
        logits = self._score(windows, cover)
        if train:  # scored a second time, so that the gradient is computed for these windows only
            highest = jax.lax.top_k(logits, min(POOLED_WINDOWS, logits.shape[1]))[1]
            windows = jnp.take_along_axis(windows, highest[..., None, None, None], axis=1)
            logits = self._score(windows, jnp.take_along_axis(cover, highest, axis=1))
        return jax.nn.logsumexp(jax.lax.top_k(logits, min(POOLED_WINDOWS, logits.shape[1]))[0], axis=1)

    def _score(self, windows: jax.Array, cover: jax.Array) -> jax.Array:
        """Return the logits of windows [batch, count, window, window, 1] as [batch, count]."""
        logits = self.network(windows.reshape(-1, *windows.shape[2:]), False, None).reshape(cover.shape)
        has_tissue = (cover >= MIN_COVER) | (cover == cover.max(1, keepdims=True))  # at least one window per image
        return jnp.where(has_tissue, logits, NO_TISSUE_LOGIT)


def select_windows(images: jax.Array, window: int, step: int) -> tuple[jax.Array, jax.Array]:
    """Extract the windows of images [batch, rows, columns, 1] that the breast covers most, each standardised by itself.

    Images whose size does not fit a whole number of steps are padded with their darkest value.

    Returns
    -------
    windows : float [batch, count, window, window, 1]
    cover : float [batch, count]
        Share of breast pixels of each window.
    """
    levels, cover, corners = _select_windows(images, window, step)
    windows = _extract_windows(levels, corners, window)
    centred = windows - windows.mean((2, 3, 4), keepdims=True)
    variance = jnp.square(centred).mean((2, 3, 4), keepdims=True)
    return centred / jnp.sqrt(jnp.maximum(variance, MIN_DEVIATION**2)), cover


def sum_window_maps(maps: jax.Array, images: jax.Array, step: int) -> jax.Array:
    """Add the maps of the windows of `select_windows` at the windows' places in their images.

    Parameters
    ----------
    maps : float [batch, count, window, window]
    images : float [batch, rows, columns, 1]
        What the windows were extracted from.
    step : int

    Returns
    -------
    float [batch, rows, columns]
    """
    window = maps.shape[2]
    levels, _, corners = _select_windows(images, window, step)
    (summed,) = jax.linear_transpose(lambda image: _extract_windows(image, corners, window), levels)(maps[..., None])
    return summed[:, : images.shape[1], : images.shape[2], 0]


def _select_windows(images: jax.Array, window: int, step: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the images scaled to 0 … 1 and zero-padded, and the selected windows' cover and corners."""
    darkest = images.min((1, 2, 3), keepdims=True)
    levels = (images - darkest) / jnp.maximum(images.max((1, 2, 3), keepdims=True) - darkest, 1e-6)
    padding = [max(window - size, (window - size) % step) for size in images.shape[1:3]]
    levels = jnp.pad(levels, ((0, 0), (0, padding[0]), (0, padding[1]), (0, 0)))
    breast = (levels > BREAST_LEVEL).astype(levels.dtype)
    cover = jax.lax.reduce_window(breast, 0.0, jax.lax.add, (1, window, window, 1), (1, step, step, 1), "VALID")
    cover = cover[..., 0] / window**2
    columns = cover.shape[2]
    cover = cover.reshape(len(images), -1)
    cover, selected = jax.lax.top_k(cover, max(1, round(WINDOW_SHARE * cover.shape[1])))
    return levels, cover, step * jnp.stack([selected // columns, selected % columns], axis=-1)


def _extract_windows(levels: jax.Array, corners: jax.Array, window: int) -> jax.Array:
    """Extract windows at corners [batch, count, 2] from images [batch, rows, columns, 1]."""

    def extract(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (window, window, 1))

    return jax.vmap(jax.vmap(extract, (None, 0)))(levels, corners)
