"""Standardisation, compared with NumPy."""

import numpy as np

from mammo_jax.training.step import MIN_DEVIATION, standardise


def test_every_image_gets_mean_0_and_deviation_1_whatever_its_exposure():
    levels = np.random.default_rng(0).integers(0, 60000, (3, 20, 30, 1))
    images = (levels * np.array([1, 0.5, 0.01]).reshape(3, 1, 1, 1) + 500).astype(np.uint16)
    expected = (images - images.mean((1, 2, 3), keepdims=True)) / images.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(standardise(images), expected, atol=2e-5)


def test_an_image_of_rounding_errors_is_not_amplified():
    images = np.full((2, 8, 8, 1), 30000, np.uint16)
    images[1, 0, 0] += 4
    standardised = np.asarray(standardise(images))
    assert not standardised[0].any()
    assert np.abs(standardised[1]).max() < 4 / MIN_DEVIATION
