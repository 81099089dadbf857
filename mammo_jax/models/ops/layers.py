"""Layers that know about padded rows and data-parallel devices, and the activation between them."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the real rows of the global batch (Ioffe & Szegedy, ICML 2015).

    Flax's own averages each device's mean, which is wrong where devices hold unequal numbers of real rows; here the
    sums and the count are added up over the devices before they are divided. The running variance is the unbiased one,
    as PyTorch keeps it; Flax keeps the biased one.

    Attributes
    ----------
    axis_name : str or None
        The mapped axis of the devices, if any.
    momentum : float
        Weight of the old running statistics.
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
            return (x * _along(factor, x) + _along(shift, x)).astype(x.dtype)
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
    """Give every channel of the global batch's real rows mean `bias` and deviation `scale`.

    The gradient is written out (Ioffe & Szegedy, section 3), with the sums over pixels as matrix products: on CPU these
    use all cores, and XLA's own sums don't. The variance is summed about the mean: E[x²] − mean² loses all digits where
    the mean is a thousand deviations. Nothing goes back through the statistics that are returned.

    Parameters
    ----------
    x : float [batch, …, channels]
    scale, bias : float [channels]
    rows : float [batch]
        1 for real rows, 0 for those that fill the batch up.
    axis_name : str or None
        The mapped axis of the devices, if any.
    epsilon : float

    Returns
    -------
    y : as `x`
    mean, var : float [channels]
        Of the real rows, the variance biased.
    count : float
        Values of a channel.
    """
    return _normalise(x, scale, bias, rows, axis_name, epsilon)[0]


def _normalise(
    x: jax.Array, scale: jax.Array, bias: jax.Array, rows: jax.Array, axis_name: str | None, epsilon: float
) -> tuple[tuple, tuple]:
    """Return the results, and what the gradient needs."""
    wide = x.astype(scale.dtype)
    sums = (rows.sum() * (x[0].size // x.shape[-1]), rows @ _image_sums(wide))
    count, total = sums if axis_name is None else lax.psum(sums, axis_name)
    mean = total / jnp.maximum(count, 1)
    squares = rows @ _image_sums(jnp.square(wide - _along(mean, x)))
    squares = squares if axis_name is None else lax.psum(squares, axis_name)
    var = squares / jnp.maximum(count, 1)
    inverse = lax.rsqrt(var + epsilon)
    factor = scale * inverse
    # One product and one sum, which XLA rounds alike wherever it computes them again: the gradient of `max_grid` asks
    # which of the values is equal to the maximum.
    y = (wide * _along(factor, x) + _along(bias - mean * factor, x)).astype(x.dtype)
    return (y, mean, var, count), (x, scale, rows, mean, inverse, count)


def _normalise_backward(axis_name: str | None, _epsilon: float, saved: tuple, gradients: tuple) -> tuple:
    x, scale, rows, mean, inverse, count = saved
    gradient = gradients[0].astype(scale.dtype)
    centred = x.astype(scale.dtype) - _along(mean, x)
    for_bias = _image_sums(gradient).sum(0)
    for_scale = _image_sums(gradient * centred).sum(0) * inverse
    totals = (for_bias, for_scale)
    all_bias, all_scale = totals if axis_name is None else lax.psum(totals, axis_name)
    factor = scale * inverse
    slope = factor * inverse * all_scale / jnp.maximum(count, 1)
    level = factor * all_bias / jnp.maximum(count, 1)
    real = rows.reshape((-1,) + (1,) * (x.ndim - 1))
    for_x = gradient * _along(factor, x) - real * (_along(level, x) + centred * _along(slope, x))
    return for_x.astype(x.dtype), for_scale, for_bias, jnp.zeros_like(rows)


normalise_batch.defvjp(_normalise, _normalise_backward)


def _image_sums(x: jax.Array) -> jax.Array:
    """Sums over the pixels of each image [batch, …, channels], as [batch, channels].

    A few parts are added first: XLA does that where it computes `x`, which then never is in memory as a whole.
    """
    channels = x.shape[-1]
    parts = max(number for number in range(1, 9) if x[0].size // channels % number == 0)
    x = x.reshape(len(x), parts, -1)
    added = sum((x[:, part] for part in range(1, parts)), start=x[:, 0]).reshape(len(x), -1, channels)
    ones = jnp.ones(added.shape[:2], x.dtype)
    return lax.dot_general(ones, added, (((1,), (1,)), ((0,), (0,))), precision=lax.Precision.HIGHEST)


def _along(channels: jax.Array, x: jax.Array) -> jax.Array:
    """Shape [channels] so that it is the same for every pixel of `x`."""
    return channels.reshape((1,) * (x.ndim - 1) + (-1,))


class RowDropout(nn.Module):
    """Dropout whose choice for a row depends on the key and the row's place in the global batch alone.

    With one draw for a whole array the result would depend on the number of devices that share the batch.

    Attributes
    ----------
    rate : float
        Part of the features that is set to zero.
    axis_name : str or None
        The mapped axis of the devices, if any.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Drop features of `x` [batch, features] where `train`; the rest is scaled up."""
        if not train or self.rate == 0:
            return x
        keys = row_keys(self.make_rng("dropout"), x.shape[0], self.axis_name)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), 0.0)


def row_keys(key: jax.Array, rows: int, axis_name: str | None) -> jax.Array:
    """Give every row of the global batch its own random key, whichever device holds it.

    Parameters
    ----------
    key : key
        The same on all devices.
    rows : int
        Rows on one device.
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
    """Larger of `x` and 0, with a gradient that needs the result alone."""
    return _relu(x)[0]


def _relu(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    y = computed_once(jnp.maximum(x, 0))
    return y, y


def _relu_backward(y: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.where(y > 0, gradient, 0),)


relu.defvjp(_relu, _relu_backward)
