"""Convolutions on CPU against XLA's own, forward and backward, at every way that is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models import convolution
from mammo_jax.models.convolution import Conv, convolve

CASES = [  # rows, columns, channels, features, size, stride, padding
    (32, 40, 3, 5, 3, 1, 1),  # an image large enough for its own kernel gradient
    (70, 64, 4, 3, 3, 2, 1),
    (9, 7, 3, 5, 3, 2, 1),
    (8, 8, 6, 4, 1, 2, 0),
    (17, 12, 1, 4, 3, 1, 1),  # one channel, as shifted images
    (40, 33, 1, 4, 3, 1, 1),
    (21, 18, 1, 3, 7, 2, 3),
    (12, 12, 2, 3, 5, 1, 0),
]


@pytest.mark.parametrize("case", CASES)
def test_convolution_is_xlas_forward_and_backward(case):
    rows, columns, channels, features, size, stride, padding = case
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = jnp.asarray(random.normal(size=(3, rows, columns, channels)))
        kernel = jnp.asarray(random.normal(size=(size, size, channels, features)))
        expected, transposed = jax.vjp(lambda *a: convolution._by_xla(*a, stride, padding), x, kernel)
        result, backward = jax.vjp(lambda *a: convolve(*a, stride, padding), x, kernel)
        np.testing.assert_allclose(result, expected, atol=1e-12)
        gradient = jnp.asarray(random.normal(size=result.shape))
        for ours, theirs in zip(backward(gradient), transposed(gradient), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_the_cases_take_every_way():
    large = [(-(-rows // s) * -(-columns // s)) >= convolution.LARGE_IMAGE for rows, columns, _, _, _, s, _ in CASES]
    assert True in large
    assert False in large
    assert {(channels == 1, stride == 1) for _, _, channels, _, _, stride, _ in CASES} == {
        (True, True), (True, False), (False, True), (False, False),
    }  # fmt: skip
    assert jax.default_backend() == "cpu"


def test_other_devices_use_xlas_own(monkeypatch):
    monkeypatch.setattr(convolution, "_on_cpu", None)
    monkeypatch.setattr(convolution.jax, "default_backend", lambda: "gpu")
    x, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))
    np.testing.assert_array_equal(convolve(x, kernel, 1, 1)[:, 1:-1, 1:-1], np.full((2, 6, 6, 4), 27))


def test_a_layer_computes_in_the_type_asked_for_and_keeps_float32_weights():
    x = jnp.ones((1, 6, 6, 2))
    layer = Conv(4, dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert variables["params"]["kernel"].shape == (3, 3, 2, 4)
    assert layer.apply(variables, x).dtype == jnp.bfloat16
