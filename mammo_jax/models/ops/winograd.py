"""Winograd's convolution with kernels of 3×3: sixteen products for four pixels, where a plain one takes 36.

F(2×2, 3×3) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, with zeros one pixel wide
around the images. These are cut into tiles of 4×4 pixels, two apart. Tiles and kernel are transformed to a grid of 4×4;
at each of its places one matrix product is taken over the channels, and the products are transformed back to 2×2
pixels. The transforms only add and halve, so that float32 stays as exact as in a plain convolution. The transposed
algorithm gives the kernel's gradient.

The functions are compiled ones, for they are traced once a shape then: a ResNet18 has thirteen such convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once

Grid = list[list[jax.Array]]
"""Arrays by the row and column of a tile or kernel, or of what it is transformed to."""

TURNED = (3, 1, 2, 0)
"""Where the transform of a kernel has that of the same kernel turned by 180 degrees."""


@jax.jit
def transform_kernel(kernel: jax.Array) -> Grid:
    """Transform a kernel for `convolve` and `image_gradient`.

    Parameters
    ----------
    kernel : float32 [3, 3, channels, features]

    Returns
    -------
    4 lists of 4 × float32 [channels, features]
    """
    return _each_once(_both_ways(_means, [[kernel[i, j] for j in range(3)] for i in range(3)]))


@jax.jit
def convolve(x: jax.Array, kernel: Grid) -> jax.Array:
    """Cross-correlate images `x` [batch, rows, columns, channels] with a transformed kernel."""
    return _pixels(_products(_tiles(x), kernel, (1, 0)), x.shape)


@jax.jit
def image_gradient(gradient: jax.Array, kernel: Grid) -> jax.Array:
    """Gradient for `x` of `convolve`: the convolution with the turned kernel, from features to channels.

    Parameters
    ----------
    gradient : float32 [batch, rows, columns, features]
    kernel : 4 lists of 4 × float32 [channels, features]
        Transformed.

    Returns
    -------
    float32 [batch, rows, columns, channels]
    """
    turned = [[kernel[i][j] for j in TURNED] for i in TURNED]
    return _pixels(_products(_tiles(gradient), turned, (1, 1)), gradient.shape)


@jax.jit
def kernel_gradient(x: jax.Array, gradient: jax.Array) -> jax.Array:
    """Gradient for the kernel that was transformed for `convolve`.

    Parameters
    ----------
    x : float32 [batch, rows, columns, channels]
    gradient : float32 [batch, rows, columns, features]

    Returns
    -------
    float32 [3, 3, channels, features]
    """
    batch, rows, columns, features = gradient.shape
    high, wide = _tile_counts(rows, columns)
    if (2 * high, 2 * wide) != (rows, columns):
        edges = ((0, 0), (0, 2 * high - rows), (0, 2 * wide - columns), (0, 0))
        gradient = computed_once(jnp.pad(gradient, edges))
    pixels = [[gradient[:, i::2, j::2].reshape(batch * high * wide, features) for j in range(2)] for i in range(2)]
    products = _products(_tiles(x), _each_once(_both_ways(_pixel_pair_transposed, pixels)), (0, 0))
    return jnp.stack([jnp.stack(row) for row in _both_ways(_means_transposed, products)])


def _tile_counts(rows: int, columns: int) -> tuple[int, int]:
    return -(-rows // 2), -(-columns // 2)


def _tiles(x: jax.Array) -> Grid:
    """Transformed tiles, each place as [batch × tiles, channels]."""
    batch, rows, columns, channels = x.shape
    high, wide = _tile_counts(rows, columns)
    x = computed_once(jnp.pad(x, ((0, 0), (1, 2 * high - rows + 1), (1, 2 * wide - columns + 1), (0, 0))))
    pixels = [[x[:, i : i + 2 * high - 1 : 2, j : j + 2 * wide - 1 : 2] for j in range(4)] for i in range(4)]
    places = _both_ways(_differences, pixels)
    return _each_once([[place.reshape(batch * high * wide, channels) for place in row] for row in places])


def _products(left: Grid, right: Grid, contracted: tuple[int, int]) -> Grid:
    """Matrix product at each place, over these dimensions of left and right."""
    dimensions = (((contracted[0],), (contracted[1],)), ((), ()))
    return _each_once([[lax.dot_general(*pair, dimensions) for pair in zip(*rows)] for rows in zip(left, right)])


def _pixels(products: Grid, shape: tuple[int, ...]) -> jax.Array:
    """Pixels of all tiles, for images of such a shape, whatever its channels."""
    batch, rows, columns, _ = shape
    high, wide = _tile_counts(rows, columns)
    features = products[0][0].shape[-1]
    pixels = [
        [pixel.reshape(batch, high, wide, features) for pixel in row] for row in _both_ways(_pixel_pair, products)
    ]
    y = jnp.stack([jnp.stack(row, 3) for row in pixels], 2).reshape(batch, 2 * high, 2 * wide, features)
    return computed_once(y[:, :rows, :columns])


def _each_once(grid: Grid) -> Grid:
    return [[computed_once(place) for place in row] for row in grid]


def _both_ways(transform: Callable[[Sequence[jax.Array]], list[jax.Array]], grid: Grid) -> Grid:
    """Transform the columns of a grid, then its rows."""
    columns = [transform(column) for column in zip(*grid)]
    return [transform(row) for row in zip(*columns)]


def _differences(d: Sequence[jax.Array]) -> list[jax.Array]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _means(g: Sequence[jax.Array]) -> list[jax.Array]:
    return [g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]]


def _means_transposed(u: Sequence[jax.Array]) -> list[jax.Array]:
    mean = (u[1] + u[2]) / 2
    return [u[0] + mean, (u[1] - u[2]) / 2, mean + u[3]]


def _pixel_pair(m: Sequence[jax.Array]) -> list[jax.Array]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _pixel_pair_transposed(y: Sequence[jax.Array]) -> list[jax.Array]:
    return [y[0], y[0] + y[1], y[0] - y[1], -y[1]]
