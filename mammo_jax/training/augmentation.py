"""Augmentation of training images on the device, with a random key for each row."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mammo_jax.models.ops.layers import row_keys

MAX_JITTER = 0.1
"""Largest relative change of contrast, and largest shift of brightness in standard deviations of the training set."""


def augment(images: jax.Array, key: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Flip, rotate square images by 90 degrees, and change contrast and brightness a little.

    A lesion has no preferred orientation, so all eight symmetries of the square are used. Resampling is avoided: it
    would blur the images, and so does compression.

    Parameters
    ----------
    images : float32 [batch, rows, columns, 1]
        Standardised to mean 0 and standard deviation 1.
    key : key
        The same on all devices.
    axis_name : str or None
        The mapped axis of the devices, if any.

    Returns
    -------
    float32 [batch, rows, columns, 1]
    """
    keys = row_keys(key, images.shape[0], axis_name)
    draws = jax.vmap(lambda row_key: jax.random.uniform(row_key, (5,)))(keys)[:, :, None, None, None]
    images = jnp.where(draws[:, 0] < 0.5, images[:, ::-1], images)
    images = jnp.where(draws[:, 1] < 0.5, images[:, :, ::-1], images)
    if images.shape[1] == images.shape[2]:
        images = jnp.where(draws[:, 2] < 0.5, images.swapaxes(1, 2), images)
    contrast = 1 + MAX_JITTER * (2 * draws[:, 3] - 1)
    return images * contrast + MAX_JITTER * (2 * draws[:, 4] - 1)
