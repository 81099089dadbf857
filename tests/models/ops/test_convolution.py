"""Convolutions on CPU compared with XLA's own, forward and backward, for every algorithm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models.ops import convolution
from mammo_jax.models.ops.convolution import Conv, convolve

CASES = [  # rows, columns, channels, features, size, stride, padding
    (17, 12, 1, 4, 3, 1, 1),  # one channel and stride 1: as shifted images
    (40, 33, 1, 5, 5, 1, 2),
    (9, 7, 1, 3, 3, 1, 0),
    (21, 18, 1, 3, 7, 2, 3),
    (12, 10, 3, 5, 3, 1, 1),
    (2, 2, 3, 5, 3, 1, 1),  # smaller than the kernel: as a product
    (4, 3, 2, 5, 3, 2, 1),
    (1, 9, 2, 3, 3, 1, 1),
    (5, 5, 1, 3, 7, 1, 3),
    (16, 11, 64, 70, 3, 1, 1),  # many channels and pixels: Winograd's, its kernel gradient from 128 on
    (19, 13, 130, 128, 3, 1, 1),
    (3, 60, 128, 129, 3, 1, 1),
]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("case", CASES)
def test_convolution_is_xlas_forward_and_backward(case, dtype):
    rows, columns, channels, features, size, stride, padding = case
    random = np.random.default_rng(0)
    close = 1e-12 if dtype == jnp.float64 else 1e-5
    with jax.enable_x64(True):
        x = jnp.asarray(random.normal(size=(3, rows, columns, channels)), dtype)
        kernel = jnp.asarray(random.normal(size=(size, size, channels, features)), dtype)
        expected, transposed = jax.vjp(lambda *a: convolution._by_xla(*a, stride, padding), x, kernel)
        result, backward = jax.vjp(lambda *a: convolve(*a, stride, padding), x, kernel)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, atol=close * max(10, float(jnp.abs(expected).max())))
        gradient = jnp.asarray(random.normal(size=result.shape), dtype)
        for ours, theirs in zip(backward(gradient), transposed(gradient), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=close * max(10, float(jnp.abs(theirs).max())))


@pytest.mark.parametrize(("size", "side", "channels"), [(3, 32, 1), (7, 32, 1), (3, 2, 5)])
def test_narrow_types_are_rounded_once(size, side, channels):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(2, side, side, channels)), jnp.bfloat16)
    kernel = jnp.asarray(random.normal(size=(size, size, channels, 4)), jnp.bfloat16)
    exact, exactly_back = jax.vjp(lambda *a: convolve(*a, 1, 1), x.astype(jnp.float32), kernel.astype(jnp.float32))
    result, back = jax.vjp(lambda *a: convolve(*a, 1, 1), x, kernel)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_allclose(result.astype(jnp.float32), exact, rtol=2.0**-8, atol=1e-4)
    gradient = jnp.asarray(random.normal(size=result.shape), jnp.bfloat16)
    if side < size:  # backwards the others are XLA's
        for ours, expected in zip(back(gradient), exactly_back(gradient.astype(jnp.float32)), strict=True):
            np.testing.assert_allclose(ours.astype(jnp.float32), expected, rtol=2.0**-7, atol=1e-4)


@pytest.mark.parametrize(("channels", "features"), [(1, 4), (64, 64), (128, 128)])
def test_other_devices_use_xlas_convolution(channels, features, monkeypatch):
    x, kernel = jnp.ones((2, 16, 16, channels)), jnp.ones((3, 3, channels, features))
    on_cpu = jax.make_jaxpr(lambda x, kernel: convolve(x, kernel, 1, 1))(x, kernel)
    monkeypatch.setattr(convolution.jax, "default_backend", lambda: "gpu")
    on_gpu = jax.make_jaxpr(lambda x, kernel: convolve(x, kernel, 1, 1))(x, kernel)
    assert "conv_general_dilated" in str(on_gpu)
    assert "conv_general_dilated" not in str(on_cpu)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 22, 23, 64), jnp.float32),  # few pixels: the kernel's transform would take longer than it saves
        ((3, 256, 256, 64), jnp.float32),  # large images
        ((2, 16, 16, 64), jnp.bfloat16),  # not exact enough
        ((0, 16, 16, 64), jnp.float32),
    ],
)
def test_winograds_convolution_is_not_used_where_it_is_slower(shape, dtype):
    shapes = jax.ShapeDtypeStruct(shape, dtype), jax.ShapeDtypeStruct((3, 3, 64, 64), dtype)
    step = jax.vjp(lambda x, kernel: convolve(x, kernel, 1, 1), *(jnp.ones(s.shape, s.dtype) for s in shapes))[1]
    gradients = jax.make_jaxpr(step)(jax.ShapeDtypeStruct((*shape[:3], 64), dtype))
    assert "dot_general" not in str(gradients)
    assert [g.shape for g in gradients.out_avals] == [s.shape for s in shapes]


def test_a_layer_computes_in_the_type_asked_for_and_keeps_float32_weights():
    x = jnp.ones((1, 6, 6, 2))
    layer = Conv(4, dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert variables["params"]["kernel"].shape == (3, 3, 2, 4)
    assert layer.apply(variables, x).dtype == jnp.bfloat16
