"""Winograd's convolution with 3×3 kernels: 16 multiplications for four output pixels instead of 36.

F(2×2, 3×3) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, with a zero padding of one
pixel. The images are divided into tiles of 4×4 pixels with stride 2. Tiles and kernel are transformed to a grid of 4×4.
At each point of the grid one matrix product is computed over the channels, and the products are transformed back to 2×2
pixels. The transforms only add and halve, so float32 stays as exact as in a plain convolution. The transposed algorithm
gives the kernel's gradient.

The functions are jitted, so that each is traced once per shape: a ResNet18 has thirteen such convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once

Grid = list[list[jax.Array]]
"""Arrays indexed by the row and column of a tile, of a kernel, or of its transform."""

ROTATED = (3, 1, 2, 0)
"""Order of a transform's rows and columns that gives the transform of the kernel rotated by 180 degrees."""


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
    return _each_computed_once(_transform_both(_kernel_transform, [[kernel[i, j] for j in range(3)] for i in range(3)]))


@jax.jit
def convolve(x: jax.Array, kernel: Grid) -> jax.Array:
    """Cross-correlate images `x` [batch, rows, columns, channels] with a transformed kernel."""
    return _pixels_of_tiles(_matrix_products(_transformed_tiles(x), kernel, (1, 0)), x.shape)


@jax.jit
def image_gradient(gradient: jax.Array, kernel: Grid) -> jax.Array:
    """Compute the gradient of `convolve` for `x`: a convolution with the rotated kernel, from features to channels.

    Parameters
    ----------
    gradient : float32 [batch, rows, columns, features]
    kernel : 4 lists of 4 × float32 [channels, features]
        From `transform_kernel`.

    Returns
    -------
    float32 [batch, rows, columns, channels]
    """
    rotated = [[kernel[i][j] for j in ROTATED] for i in ROTATED]
    return _pixels_of_tiles(_matrix_products(_transformed_tiles(gradient), rotated, (1, 1)), gradient.shape)


@jax.jit
def kernel_gradient(x: jax.Array, gradient: jax.Array) -> jax.Array:
    """Compute the gradient of `convolve` for the kernel before its transform.

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
    products = _matrix_products(
        _transformed_tiles(x), _each_computed_once(_transform_both(_output_transform_transposed, pixels)), (0, 0)
    )
    return jnp.stack([jnp.stack(row) for row in _transform_both(_kernel_transform_transposed, products)])


def _tile_counts(rows: int, columns: int) -> tuple[int, int]:
    return -(-rows // 2), -(-columns // 2)


def _transformed_tiles(x: jax.Array) -> Grid:
    """Transform the tiles of images; each grid point holds [batch × tiles, channels]."""
    batch, rows, columns, channels = x.shape
    high, wide = _tile_counts(rows, columns)
    x = computed_once(jnp.pad(x, ((0, 0), (1, 2 * high - rows + 1), (1, 2 * wide - columns + 1), (0, 0))))
    pixels = [[x[:, i : i + 2 * high - 1 : 2, j : j + 2 * wide - 1 : 2] for j in range(4)] for i in range(4)]
    grid = _transform_both(_input_transform, pixels)
    return _each_computed_once([[point.reshape(batch * high * wide, channels) for point in row] for row in grid])


def _matrix_products(left: Grid, right: Grid, contracted: tuple[int, int]) -> Grid:
    """Multiply matrices at each grid point, contracting these dimensions of left and right."""
    dimensions = (((contracted[0],), (contracted[1],)), ((), ()))
    products = [[lax.dot_general(*pair, dimensions) for pair in zip(*rows)] for rows in zip(left, right)]
    return _each_computed_once(products)


def _pixels_of_tiles(products: Grid, shape: tuple[int, ...]) -> jax.Array:
    """Transform products back to the pixels of all tiles; `shape` gives the images' size, its channels don't matter."""
    batch, rows, columns, _ = shape
    high, wide = _tile_counts(rows, columns)
    features = products[0][0].shape[-1]
    pixels = [
        [pixel.reshape(batch, high, wide, features) for pixel in row]
        for row in _transform_both(_output_transform, products)
    ]
    y = jnp.stack([jnp.stack(row, 3) for row in pixels], 2).reshape(batch, 2 * high, 2 * wide, features)
    return computed_once(y[:, :rows, :columns])


def _each_computed_once(grid: Grid) -> Grid:
    return [[computed_once(point) for point in row] for row in grid]


def _transform_both(transform: Callable[[Sequence[jax.Array]], list[jax.Array]], grid: Grid) -> Grid:
    """Apply a one-dimensional transform to the columns of a grid, then to its rows."""
    columns = [transform(column) for column in zip(*grid)]
    return [transform(row) for row in zip(*columns)]


def _input_transform(d: Sequence[jax.Array]) -> list[jax.Array]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _kernel_transform(g: Sequence[jax.Array]) -> list[jax.Array]:
    return [g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]]


def _kernel_transform_transposed(u: Sequence[jax.Array]) -> list[jax.Array]:
    mean = (u[1] + u[2]) / 2
    return [u[0] + mean, (u[1] - u[2]) / 2, mean + u[3]]


def _output_transform(m: Sequence[jax.Array]) -> list[jax.Array]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _output_transform_transposed(y: Sequence[jax.Array]) -> list[jax.Array]:
    return [y[0], y[0] + y[1], y[0] - y[1], -y[1]]
