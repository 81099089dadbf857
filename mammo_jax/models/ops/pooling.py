"""Max pooling whose gradient is as fast on CPU as its forward pass."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """Largest value of non-overlapping 2×2 squares of `x` [batch, rows, columns, channels]; an odd edge is cut off.

    On CPU the gradient of XLA's windowed maximum is several times slower, and that of its reductions asks which values
    equal the maximum, having computed them a second time. Here the place of the maximum is kept; of equal values the
    first counts.
    """
    return _pool(x)[0]


def _pool(x: jax.Array) -> tuple[jax.Array, tuple]:
    """Return the maxima, and what the gradient needs: the places of the maxima and an array of the input's shape."""
    batch, rows, columns, channels = x.shape
    squares = x[:, : rows // 2 * 2, : columns // 2 * 2].reshape(batch, rows // 2, 2, columns // 2, 2, channels)
    best = squares[:, :, 0, :, 0]
    place = jnp.zeros(best.shape, jnp.int8)
    for number, (i, j) in enumerate(((0, 1), (1, 0), (1, 1)), start=1):
        place = jnp.where(squares[:, :, i, :, j] > best, jnp.int8(number), place)
        best = jnp.maximum(squares[:, :, i, :, j], best)
    return best, (computed_once(place), jnp.empty((0, *x.shape[1:3])))


def _pool_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array]:
    place, like = saved
    rows, columns = like.shape[1:]
    batch, high, wide, channels = gradient.shape
    number = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
    squares = jnp.where(place[:, :, None, :, None] == number, gradient[:, :, None, :, None], 0)
    x = squares.reshape(batch, 2 * high, 2 * wide, channels)
    return (computed_once(jnp.pad(x, ((0, 0), (0, rows - 2 * high), (0, columns - 2 * wide), (0, 0)))),)


max_pool.defvjp(_pool, _pool_backward)


@jax.custom_vjp
def overlapping_max_pool(x: jax.Array) -> jax.Array:
    """Largest value of 3×3 squares, two apart, of `x` [batch, rows, columns, channels] padded by one on every side.

    The gradient is as in `max_pool`.
    """
    return _overlapping(x)[0]


def _overlapping(x: jax.Array) -> tuple[jax.Array, tuple]:
    high, wide = ((size + 1) // 2 for size in x.shape[1:3])
    edges = [(0, 0, 0), (1, 2 * high - x.shape[1], 0), (1, 2 * wide - x.shape[2], 0), (0, 0, 0)]
    x_padded = computed_once(lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), edges))
    squares = [x_padded[:, i : i + 2 * high : 2, j : j + 2 * wide : 2] for i in range(3) for j in range(3)]
    best = squares[0]
    place = jnp.zeros(best.shape, jnp.int8)
    for number, values in enumerate(squares[1:], start=1):
        place = jnp.where(values > best, jnp.int8(number), place)
        best = jnp.maximum(values, best)
    return best, (computed_once(place), jnp.empty((0, *x.shape[1:3])))


def _overlapping_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array]:
    place, like = saved
    rows, columns = like.shape[1:]
    batch, high, wide, channels = gradient.shape

    def from_square(down: int, right: int, number: int) -> jax.Array:
        """Gradient of the squares that lie so much further down and right and have their maximum at this place."""
        part = jnp.where(place == number, gradient, 0)[:, down:, right:]
        return jnp.pad(part, ((0, 0), (0, down), (0, right), (0, 0)))

    even_even = from_square(0, 0, 4)
    even_odd = from_square(0, 0, 5) + from_square(0, 1, 3)
    odd_even = from_square(0, 0, 7) + from_square(1, 0, 1)
    odd_odd = from_square(0, 0, 8) + from_square(0, 1, 6) + from_square(1, 0, 2) + from_square(1, 1, 0)
    even, odd = jnp.stack([even_even, even_odd], 3), jnp.stack([odd_even, odd_odd], 3)
    x = jnp.stack([even, odd], 2).reshape(batch, 2 * high, 2 * wide, channels)
    return (computed_once(x[:, :rows, :columns]),)


overlapping_max_pool.defvjp(_overlapping, _overlapping_backward)


def max_grid(x: jax.Array, places: int = 4) -> jax.Array:
    """Maxima over a grid of `places` × `places` equal parts of an image of any size.

    Parameters
    ----------
    x : float [batch, rows, columns, channels]
        Not negative: where the sides are no multiples of `places`, zeros are added below and to the right.

    Returns
    -------
    float [batch, places, places, channels]
    """
    batch, rows, columns, channels = x.shape
    x = jnp.pad(x, ((0, 0), (0, -rows % places), (0, -columns % places), (0, 0)))
    parts = x.reshape(batch, places, x.shape[1] // places, places, x.shape[2] // places, channels)
    return parts.max((2, 4))
