"""Batch normalisation and dropout for data-parallel devices and padded batches, and the ReLU."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the real rows of the global batch (Ioffe & Szegedy, ICML 2015).

    Flax's own averages the means of the devices, which is wrong if devices hold unequal numbers of real rows. Here the
    sums and the counts are added over the devices and divided afterwards. The running variance is the unbiased one, as
    in PyTorch; Flax's is the biased one.

    Attributes
    ----------
    axis_name : str or None
        The mapped axis of the devices, if any.
    momentum : float
        Weight of the previous running statistics.
    epsilon : float
    """

    axis_name: str | None = None
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, mask: jax.Array | None = None) -> jax.Array:
        """Normalise `x` [batch, …, channels]; `mask` (bool [batch]) marks the real rows, None means all."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        if not train:
            factor = scale * lax.rsqrt(running_var.value + self.epsilon)
            shift = bias - running_mean.value * factor
            return (x * _per_channel(factor, x) + _per_channel(shift, x)).astype(x.dtype)
        rows = jnp.ones(len(x), scale.dtype) if mask is None else mask.astype(scale.dtype)
        y, mean, var, count = normalise_batch(x, scale, bias, rows, self.axis_name, self.epsilon)
        gain = jnp.where(count > 0, 1 - self.momentum, 0.0)
        running_mean.value += gain * (mean - running_mean.value)
        running_var.value += gain * (var * count / jnp.maximum(count - 1, 1) - running_var.value)
        return y


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def normalise_batch(
    x: jax.Array, scale: jax.Array, bias: jax.Array, rows: jax.Array, axis_name: str | None, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Normalise every channel of the global batch's real rows to mean `bias` and standard deviation `scale`.

    The gradient is written out (Ioffe & Szegedy, section 3), with the sums over pixels as matrix products: on CPU these
    use all cores, and XLA's own sums don't. The variance is the sum of squared differences from the mean: E[x²] − mean²
    loses all digits if the mean is a thousand standard deviations. The returned statistics have no gradient.

    Parameters
    ----------
    x : float [batch, …, channels]
    scale, bias : float [channels]
    rows : float [batch]
        1 for real rows, 0 for padding rows.
    axis_name : str or None
        The mapped axis of the devices, if any.
    epsilon : float

    Returns
    -------
    y : as `x`
    mean, var : float [channels]
        Of the real rows; the variance is the biased one.
    count : float
        Number of values of a channel.
    """
    return _normalise(x, scale, bias, rows, axis_name, epsilon)[0]


def _normalise(
    x: jax.Array, scale: jax.Array, bias: jax.Array, rows: jax.Array, axis_name: str | None, epsilon: float
) -> tuple[tuple, tuple]:
    """Return the results and the residuals that the gradient needs."""
    wide = x.astype(scale.dtype)
    sums = (rows.sum() * (x[0].size // x.shape[-1]), rows @ _image_sums(wide))
    count, total = sums if axis_name is None else lax.psum(sums, axis_name)
    mean = total / jnp.maximum(count, 1)
    squares = rows @ _image_sums(jnp.square(wide - _per_channel(mean, x)))
    squares = squares if axis_name is None else lax.psum(squares, axis_name)
    var = squares / jnp.maximum(count, 1)
    inverse = lax.rsqrt(var + epsilon)
    factor = scale * inverse
    # One product and one sum, which XLA rounds in the same way wherever it recomputes them: the gradient of `max_grid`
    # compares the values with their maximum.
    y = (wide * _per_channel(factor, x) + _per_channel(bias - mean * factor, x)).astype(x.dtype)
    return (y, mean, var, count), (x, scale, rows, mean, inverse, count)


def _normalise_backward(axis_name: str | None, _epsilon: float, residuals: tuple, gradients: tuple) -> tuple:
    x, scale, rows, mean, inverse, count = residuals
    gradient = gradients[0].astype(scale.dtype)
    centred = x.astype(scale.dtype) - _per_channel(mean, x)
    for_bias = _image_sums(gradient).sum(0)
    for_scale = _image_sums(gradient * centred).sum(0) * inverse
    totals = (for_bias, for_scale)
    all_bias, all_scale = totals if axis_name is None else lax.psum(totals, axis_name)
    factor = scale * inverse
    slope = factor * inverse * all_scale / jnp.maximum(count, 1)
    level = factor * all_bias / jnp.maximum(count, 1)
    real = rows.reshape((-1,) + (1,) * (x.ndim - 1))
    for_x = gradient * _per_channel(factor, x) - real * (_per_channel(level, x) + centred * _per_channel(slope, x))
    return for_x.astype(x.dtype), for_scale, for_bias, jnp.zeros_like(rows)


normalise_batch.defvjp(_normalise, _normalise_backward)


def _image_sums(x: jax.Array) -> jax.Array:
    """Sum over the pixels of each image [batch, …, channels], as [batch, channels].

    Up to eight parts are added first: XLA fuses that with the computation of `x`, which is then never stored whole.
    """
    channels = x.shape[-1]
    parts = max(number for number in range(1, 9) if x[0].size // channels % number == 0)
    x = x.reshape(len(x), parts, -1)
    added = sum((x[:, part] for part in range(1, parts)), start=x[:, 0]).reshape(len(x), -1, channels)
    ones = jnp.ones(added.shape[:2], x.dtype)
    return lax.dot_general(ones, added, (((1,), (1,)), ((0,), (0,))), precision=lax.Precision.HIGHEST)


def _per_channel(channels: jax.Array, x: jax.Array) -> jax.Array:
    """Reshape values [channels] so that they broadcast over the pixels of `x`."""
    return channels.reshape((1,) * (x.ndim - 1) + (-1,))


class RowDropout(nn.Module):
    """Dropout whose random choice for a row depends only on the key and on the row's index in the global batch.

    With one draw for a whole array the result would depend on the number of devices that share the batch.

    Attributes
    ----------
    rate : float
        Share of the features that is set to zero.
    axis_name : str or None
        The mapped axis of the devices, if any.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Drop features of `x` [batch, features] if `train`, and scale the others by 1 / (1 - rate)."""
        if not train or self.rate == 0:
            return x
        keys = row_keys(self.make_rng("dropout"), x.shape[0], self.axis_name)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), 0.0)


def row_keys(key: jax.Array, rows: int, axis_name: str | None) -> jax.Array:
    """Return a random key for each row, the same whichever device holds the row.

    Parameters
    ----------
    key : key
        The same on all devices.
    rows : int
        Number of rows on one device.
    axis_name : str or None
        The mapped axis of the devices, if any.

    Returns
    -------
    keys [rows]
    """
    first = 0 if axis_name is None else lax.axis_index(axis_name) * rows
    return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(rows))


@jax.custom_vjp
def relu(x: jax.Array) -> jax.Array:
    """Return the larger of `x` and 0; the gradient is computed from the result, so that `x` need not be stored."""
    return _relu(x)[0]


def _relu(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    y = computed_once(jnp.maximum(x, 0))
    return y, y


def _relu_backward(y: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.where(y > 0, gradient, 0),)


relu.defvjp(_relu, _relu_backward)
