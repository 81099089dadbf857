"""Max pooling with a gradient that is as fast on CPU as the forward pass."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """Max-pool `x` [batch, rows, columns, channels] over non-overlapping 2×2 windows; an odd edge is cut off.

    On CPU the gradient of XLA's windowed maximum is several times slower, and that of its reductions recomputes the
    values to compare them with the maximum. Here the position of the maximum is stored; of equal values the first one
    gets the gradient.
    """
    return _pool(x)[0]


def _pool(x: jax.Array) -> tuple[jax.Array, tuple]:
    """Return the maxima and the gradient's residuals: the maxima's positions and an empty array of the input's size."""
    batch, rows, columns, channels = x.shape
    windows = x[:, : rows // 2 * 2, : columns // 2 * 2].reshape(batch, rows // 2, 2, columns // 2, 2, channels)
    maximum = windows[:, :, 0, :, 0]
    position = jnp.zeros(maximum.shape, jnp.int8)
    for number, (i, j) in enumerate(((0, 1), (1, 0), (1, 1)), start=1):
        position = jnp.where(windows[:, :, i, :, j] > maximum, jnp.int8(number), position)
        maximum = jnp.maximum(windows[:, :, i, :, j], maximum)
    return maximum, (computed_once(position), jnp.empty((0, *x.shape[1:3])))


def _pool_backward(residuals: tuple, gradient: jax.Array) -> tuple[jax.Array]:
    position, sized = residuals
    rows, columns = sized.shape[1:]
    batch, high, wide, channels = gradient.shape
    number = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
    windows = jnp.where(position[:, :, None, :, None] == number, gradient[:, :, None, :, None], 0)
    x = windows.reshape(batch, 2 * high, 2 * wide, channels)
    return (computed_once(jnp.pad(x, ((0, 0), (0, rows - 2 * high), (0, columns - 2 * wide), (0, 0)))),)


max_pool.defvjp(_pool, _pool_backward)


@jax.custom_vjp
def overlapping_max_pool(x: jax.Array) -> jax.Array:
    """Max-pool `x` [batch, rows, columns, channels] over 3×3 windows with stride 2 and padding 1.

    The gradient works as in `max_pool`.
    """
    return _overlapping(x)[0]


def _overlapping(x: jax.Array) -> tuple[jax.Array, tuple]:
    high, wide = ((size + 1) // 2 for size in x.shape[1:3])
    edges = [(0, 0, 0), (1, 2 * high - x.shape[1], 0), (1, 2 * wide - x.shape[2], 0), (0, 0, 0)]
    x_padded = computed_once(lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), edges))
    shifted = [x_padded[:, i : i + 2 * high : 2, j : j + 2 * wide : 2] for i in range(3) for j in range(3)]
    maximum = shifted[0]
    position = jnp.zeros(maximum.shape, jnp.int8)
    for number, values in enumerate(shifted[1:], start=1):
        position = jnp.where(values > maximum, jnp.int8(number), position)
        maximum = jnp.maximum(values, maximum)
    return maximum, (computed_once(position), jnp.empty((0, *x.shape[1:3])))


def _overlapping_backward(residuals: tuple, gradient: jax.Array) -> tuple[jax.Array]:
    position, sized = residuals
    rows, columns = sized.shape[1:]
    batch, high, wide, channels = gradient.shape

    def from_window(down: int, right: int, number: int) -> jax.Array:
        """Return the gradients of the windows so far down and right, where their maximum has position `number`."""
        part = jnp.where(position == number, gradient, 0)[:, down:, right:]
        return jnp.pad(part, ((0, 0), (0, down), (0, right), (0, 0)))

    even_even = from_window(0, 0, 4)
    even_odd = from_window(0, 0, 5) + from_window(0, 1, 3)
    odd_even = from_window(0, 0, 7) + from_window(1, 0, 1)
    odd_odd = from_window(0, 0, 8) + from_window(0, 1, 6) + from_window(1, 0, 2) + from_window(1, 1, 0)
    even, odd = jnp.stack([even_even, even_odd], 3), jnp.stack([odd_even, odd_odd], 3)
    x = jnp.stack([even, odd], 2).reshape(batch, 2 * high, 2 * wide, channels)
    return (computed_once(x[:, :rows, :columns]),)


overlapping_max_pool.defvjp(_overlapping, _overlapping_backward)


def max_grid(x: jax.Array, cells: int = 4) -> jax.Array:
    """Max-pool images of any size to a grid of `cells` × `cells` (adaptive max pooling).

    Parameters
    ----------
    x : float [batch, rows, columns, channels]
        Not negative: where the sides are not multiples of `cells`, zeros are added below and to the right.

    Returns
    -------
    float [batch, cells, cells, channels]
    """
    batch, rows, columns, channels = x.shape
    x = jnp.pad(x, ((0, 0), (0, -rows % cells), (0, -columns % cells), (0, 0)))
    grid = x.reshape(batch, cells, x.shape[1] // cells, cells, x.shape[2] // cells, channels)
    return grid.max((2, 4))
