"""Layers compared with Flax's own, with padding rows and with batches divided among devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models.ops.layers import MaskedBatchNorm, RowDropout, normalise_batch, relu, row_keys


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(2.0, 3.0, shape), jnp.float32)


def train_norm(norm, x, **arguments):
    def loss(params, x):
        y, changed = norm.apply({"params": params, "batch_stats": stats}, x, mutable=["batch_stats"], **arguments)
        return jnp.sum(jnp.sin(y)), (y, changed["batch_stats"])

    params = {"scale": jnp.arange(1.0, x.shape[-1] + 1), "bias": jnp.arange(x.shape[-1]) / 4.0}
    stats = {"mean": jnp.full(x.shape[-1], 0.5), "var": jnp.full(x.shape[-1], 2.0)}
    gradients, (y, changed) = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)
    return y, changed, gradients


@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (8, 7)])
def test_batch_norm_is_flax_batch_norm_where_all_rows_are_real(shape):
    x = normal(*shape)
    ours = train_norm(MaskedBatchNorm(), x, train=True)
    y, stats, gradients = train_norm(nn.BatchNorm(momentum=0.9, epsilon=1e-5), x, use_running_average=False)
    count = x.size // x.shape[-1]
    biased = (stats["var"] - 0.9 * 2.0) / 0.1
    flax = y, {**stats, "var": 0.9 * 2.0 + 0.1 * biased * count / (count - 1)}, gradients  # unbiased, as in PyTorch
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), ours, flax)


def test_batch_norm_ignores_padded_rows_whatever_they_hold():
    x = normal(6, 5, 4, 3)
    padded = jnp.concatenate([x, jnp.full((3, 5, 4, 3), 1e3)])
    mask = jnp.arange(9) < 6
    y, changed, _ = train_norm(MaskedBatchNorm(), x, train=True)
    norm = MaskedBatchNorm()
    variables = {"params": {"scale": jnp.arange(1.0, 4), "bias": jnp.arange(3) / 4.0}, "batch_stats": {}}
    variables["batch_stats"] = {"mean": jnp.full(3, 0.5), "var": jnp.full(3, 2.0)}
    padded_y, padded_changed = norm.apply(variables, padded, train=True, mask=mask, mutable=["batch_stats"])
    np.testing.assert_allclose(padded_y[:6], y, rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), padded_changed["batch_stats"], changed)


def plain_normalise(x, scale, bias, rows):
    """Batch normalisation of the real rows by its formula, differentiated by JAX."""
    real = rows.reshape((-1,) + (1,) * (x.ndim - 1))
    axes = tuple(range(x.ndim - 1))
    count = rows.sum() * x[0].size / x.shape[-1]
    mean = (x * real).sum(axes, keepdims=True) / count
    var = (jnp.square(x - mean) * real).sum(axes, keepdims=True) / count
    shape = mean.shape
    return (x - mean) / jnp.sqrt(var + 1e-5) * scale.reshape(shape) + bias.reshape(shape)


def test_batch_norms_gradient_is_that_of_its_formula_in_padded_rows_too():
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, weights = (jnp.asarray(random.normal(2, 3, (8, 3, 2, 5))) for _ in range(2))
        scale, bias = jnp.asarray(random.normal(1, 0.3, 5)), jnp.asarray(random.normal(size=5))
        rows = jnp.array([1.0, 1, 0, 1, 0, 0, 1, 1])
        ours, expected = (
            jax.grad(lambda *a, norm=norm: (weights * jnp.sin(norm(*a))).sum(), (0, 1, 2))(x, scale, bias)
            for norm in (
                lambda *a: normalise_batch(*a, rows, None, 1e-5)[0],
                lambda *a: plain_normalise(*a, rows),
            )
        )
    for one, other in zip(ours, expected):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("mean", [100, 1000])
def test_batch_norm_is_accurate_if_the_mean_is_far_from_zero(mean):
    """Compares float32 with float64. PyTorch's errors are 9e-5 and 2e-3, although it sums in float64."""
    random = np.random.default_rng(0)
    x, weights = np.float32(random.normal(mean, 1, (16, 20, 20, 4))), random.normal(size=(16, 20, 20, 4))

    def results(dtype):
        rows, scale, bias = jnp.ones(16, dtype), jnp.ones(4, dtype), jnp.zeros(4, dtype)

        def loss(x, scale):
            y, _, var, _ = normalise_batch(x, scale, bias, rows, None, 1e-5)
            return (jnp.asarray(weights, dtype) * y).sum(), (y, var)

        gradients, values = jax.grad(loss, (0, 1), has_aux=True)(jnp.asarray(x, dtype), scale)
        return *values, *gradients

    ours = results(jnp.float32)
    with jax.enable_x64(True):
        expected = results(jnp.float64)
    for one, other in zip(ours, expected):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * mean * np.abs(other).max())


def test_batch_norm_predicts_with_running_statistics():
    x = normal(4, 3)
    variables = {
        "params": {"scale": jnp.full(3, 2.0), "bias": jnp.full(3, 1.0)},
        "batch_stats": {"mean": jnp.full(3, 5.0), "var": jnp.full(3, 4.0)},
    }
    y = MaskedBatchNorm(epsilon=0.0).apply(variables, x, train=False)
    np.testing.assert_allclose(y, 2 * (x - 5) / 2 + 1, rtol=1e-5, atol=1e-5)


def test_a_rows_key_depends_on_its_index_only():
    key = jax.random.key(7)
    few, many = (jax.random.key_data(row_keys(key, rows, None)) for rows in (3, 8))
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(np.asarray(many), axis=0)) == 8


def test_dropout_drops_its_rate_and_keeps_the_mean():
    x = jnp.ones((400, 50))
    y = RowDropout(0.25).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs(float((y == 0).mean()) - 0.25) < 0.02
    assert len(np.unique(np.asarray(y), axis=0)) > 390, "rows are dropped alike"
    np.testing.assert_array_equal(RowDropout(0.25).apply({}, x, train=False), x)


def test_relu_is_flax_relu_with_its_gradient():
    x = jnp.concatenate([normal(50), jnp.zeros(3)])
    ours, theirs = (jax.vjp(function, x) for function in (relu, nn.relu))
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1](x + 1)[0], theirs[1](x + 1)[0])
