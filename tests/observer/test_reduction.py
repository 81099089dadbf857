"""Reduction to equal bytes, beside area means that are written out."""

import numpy as np
import pytest

from mammo_jax.observer.reduction import reduce_to_equal_bytes

SIZE = 24


def patches(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (count, SIZE, SIZE, 1)).astype(np.uint16)


def naive(image: np.ndarray, width: float, places: np.ndarray) -> np.ndarray:
    """Area means over squares of `width` on a fine grid, then bilinear interpolation."""
    for axis, place in enumerate(places):
        fine = np.repeat(image, 200, axis=axis)  # 200 samples a pixel
        samples = (np.arange(SIZE * 200) + 0.5) / 200
        square = np.floor(samples / width - place).astype(int)
        wide = np.unique(square)
        means = np.stack([fine.compress(square == one, axis=axis).mean(axis=axis) for one in wide], axis=axis)
        centres = [samples[square == one].mean() for one in wide]
        image = np.apply_along_axis(lambda line, at=centres: np.interp(np.arange(SIZE) + 0.5, at, line), axis, means)
    return image


@pytest.mark.parametrize(("side", "ratio"), [(96.0, 100.0), (120.0, 500.0), (96.0, 11000.0)])
def test_it_is_the_area_mean_of_wider_pixels(side, ratio):
    images = patches(1)
    places = np.random.default_rng(3).random((1, 2))[0]
    width = np.sqrt(ratio) * SIZE / side
    reduced = reduce_to_equal_bytes(images, np.array([side]), ratio, seed=3)
    expected = naive(images[0, ..., 0].astype(float), width, places)
    np.testing.assert_allclose(reduced[0, ..., 0], expected, rtol=0.02, atol=100)


def test_a_reduction_that_the_models_input_size_makes_anyway_changes_nothing():
    images = patches()
    sides = np.array([4.0 * SIZE, 2.0 * SIZE])  # the pixels of the first patch are 4 of the original's wide
    reduced = reduce_to_equal_bytes(images, sides, 15.0)
    np.testing.assert_array_equal(reduced[0], images[0])
    assert np.abs(reduced[1] - images[1]).mean() > 1000


def test_an_even_patch_stays_even_at_every_ratio():
    images = np.full((1, SIZE, SIZE, 1), 1234, np.uint16)
    for ratio in (20.0, 500.0, 11000.0, 1e8):
        np.testing.assert_allclose(reduce_to_equal_bytes(images, np.array([96.0]), ratio), 1234)


def test_detail_goes_first():
    """Waves of 3 pixels are gone where pixels are 5 wide, and waves of a whole patch are not."""
    columns = np.arange(SIZE)
    kept = []
    for period in (3, 24):
        wave = np.broadcast_to(np.sin(2 * np.pi * columns / period), (1, SIZE, SIZE))[..., None]
        kept.append(reduce_to_equal_bytes(wave, np.array([96.0]), 400.0).std() / wave.std())
    assert kept[0] < 0.15
    assert kept[1] > 0.8
