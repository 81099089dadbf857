"""Winograd's convolution compared with the definition, pixel by pixel and in float64."""

import jax
import numpy as np
import pytest

from mammo_jax.models.ops import winograd


def naive(x, kernel):
    """Return the cross-correlation, with zeros around the images."""
    batch, rows, columns, _ = x.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((batch, rows, columns, kernel.shape[-1]))
    for i in range(3):
        for j in range(3):
            y += padded[:, i : i + rows, j : j + columns] @ kernel[i, j].astype(np.float64)
    return y


def naive_gradients(x, kernel, gradient):
    """Return the gradients of `naive` for the images and for the kernel."""
    _, rows, columns, _ = x.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for_padded, for_kernel = np.zeros(padded.shape), np.zeros(kernel.shape)
    for i in range(3):
        for j in range(3):
            for_padded[:, i : i + rows, j : j + columns] += gradient @ kernel[i, j].T.astype(np.float64)
            for_kernel[i, j] = np.einsum("nrcx,nrcy->xy", padded[:, i : i + rows, j : j + columns], gradient)
    return for_padded[:, 1:-1, 1:-1], for_kernel


def operands(rows, columns, channels, features, offset=0.0):
    random = np.random.default_rng(rows)
    x = random.normal(size=(2, rows, columns, channels)) + offset
    kernel = random.normal(size=(3, 3, channels, features))
    gradient = random.normal(size=(2, rows, columns, features)) + offset
    return [array.astype(np.float32) for array in (x, kernel, gradient)]


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 2, 1, 1), (5, 8, 3, 4), (8, 7, 4, 3), (14, 14, 64, 32)])
def test_results_and_gradients_equal_the_definition(shape, offset):
    x, kernel, gradient = operands(*shape, offset)
    transformed = winograd.transform_kernel(kernel)
    for_x, for_kernel = naive_gradients(x, kernel, gradient)
    for ours, expected in [
        (winograd.convolve(x, transformed), naive(x, kernel)),
        (winograd.image_gradient(gradient, transformed), for_x),
        (winograd.kernel_gradient(x, gradient), for_kernel),
    ]:
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours, expected, atol=3e-6 * np.abs(expected).max())


def test_it_is_about_as_accurate_as_a_plain_convolution():
    x, kernel, _ = operands(28, 28, 64, 64)
    plain = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )
    exact = naive(x, kernel)
    ours = winograd.convolve(x, winograd.transform_kernel(kernel))
    # Below 1.2 with AVX-512, 1.21 without: the plain convolution adds in another order there.
    assert np.sqrt(np.mean((ours - exact) ** 2)) < 1.3 * np.sqrt(np.mean((plain - exact) ** 2))


def test_no_images_give_no_results():
    x, kernel = np.zeros((0, 5, 4, 2), np.float32), np.ones((3, 3, 2, 3), np.float32)
    y = winograd.convolve(x, winograd.transform_kernel(kernel))
    assert y.shape == (0, 5, 4, 3)
    np.testing.assert_array_equal(winograd.kernel_gradient(x, y), np.zeros(kernel.shape))
