"""Max pooling compared with Flax's own, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mammo_jax.models.ops.pooling import max_grid, max_pool, overlapping_max_pool

SIZES = [(8, 8), (9, 7), (2, 3), (13, 2)]


def values(*shape, seed=0):
    """Return values of which no two are equal, because the gradient of ties is a matter of choice."""
    count = int(np.prod(shape))
    return jnp.asarray(np.random.default_rng(seed).permutation(count).reshape(shape) - count / 2, jnp.float32)


def check_like(ours, theirs, x):
    result, backward = jax.vjp(ours, x)
    expected, transposed = jax.vjp(theirs, x)
    np.testing.assert_array_equal(result, expected)
    gradient = values(*result.shape, seed=1)
    np.testing.assert_array_equal(backward(gradient)[0], transposed(gradient)[0])


@pytest.mark.parametrize("size", SIZES)
def test_max_pool_is_flax_max_pool(size):
    check_like(max_pool, lambda x: nn.max_pool(x, (2, 2), (2, 2)), values(3, *size, 5))


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1, 2)])
def test_overlapping_max_pool_is_flax_max_pool_with_padding_1(size):
    check_like(overlapping_max_pool, lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))), values(2, *size, 3))


@pytest.mark.parametrize("pool", [max_pool, overlapping_max_pool])
def test_of_equal_values_the_first_gets_the_whole_gradient(pool):
    gradient = jax.grad(lambda x: pool(x).sum())(jnp.ones((1, 4, 4, 1)))[0, :, :, 0]
    assert set(np.unique(gradient)) <= {0, 1, 2, 4}
    assert gradient.sum() == 4
    assert gradient[0, 0] == 1


@pytest.mark.parametrize("pool", [max_pool, overlapping_max_pool])
def test_the_gradient_does_not_depend_on_how_the_input_is_recomputed(pool):
    """A gradient that compares recomputed values with the maximum would miss some maxima."""
    x, scale = values(2, 16, 16, 4) / 7, jnp.linspace(0.1, 0.9, 4).reshape(1, 1, 1, 4)
    compiled = jax.jit(jax.grad(lambda x: jnp.square(pool(x * scale + 0.3)).sum()))
    eager = jax.grad(lambda x: jnp.square(pool(x * scale + 0.3)).sum())
    np.testing.assert_allclose(compiled(x), eager(x), rtol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (4, 12), (5, 7), (1, 3), (13, 10)])
def test_max_grid_takes_the_maximum_of_every_cell(rows, columns):
    x = np.random.default_rng(0).random((2, rows, columns, 3)).astype(np.float32)
    padded = np.zeros((2, -(-rows // 4) * 4, -(-columns // 4) * 4, 3), np.float32)
    padded[:, :rows, :columns] = x
    high, wide = padded.shape[1] // 4, padded.shape[2] // 4
    grid = max_grid(jnp.asarray(x))
    for i in range(4):
        for j in range(4):
            cell = padded[:, i * high : (i + 1) * high, j * wide : (j + 1) * wide]
            np.testing.assert_array_equal(grid[:, i, j], cell.max((1, 2)))
