import numpy as np
import pytest
from scipy.ndimage import convolve

from mammo_jax.sources import detector


def test_noise_follows_the_quanta_and_is_correlated():
    offset, gain, pitch = 1000.0, 1500.0, 0.14
    for exposure in (0.0, np.log(2.0)):
        flat = np.full((400, 400), exposure, np.float32)
        image = detector.detect(flat, np.random.default_rng(0), pitch, offset, gain, 12)
        expected = gain / np.sqrt(detector.QUANTA * pitch**2 / np.exp(exposure))
        assert image.dtype == np.uint16
        assert image.mean() == pytest.approx(offset + gain * exposure, abs=0.5)
        assert image.std() == pytest.approx(expected, rel=0.03)
        noise = image - image.mean()
        assert (noise[1:] * noise[:-1]).mean() / noise.var() == pytest.approx(0.287, abs=0.02)


def test_air_is_black_and_nothing_exceeds_white():
    exposure = np.array([[-20.0, 10.0]] * 2, np.float32)
    image = detector.detect(exposure, np.random.default_rng(0), 0.14, 900, 1500, 12)
    assert (image == [[0, 4095]] * 2).all()


def test_read_out_matches_a_whole_array_reference():
    rng = np.random.default_rng(1)
    exposure, noise = rng.normal(0, 0.3, (2, 30, 40)).astype(np.float32)
    got = detector._read_out(exposure, noise, np.float32(0.02), 900.0, 1500.0, 4095)
    line = np.array([0.15, 1, 0.15])
    kernel = np.outer(line, line) / (line**2).sum()
    value = exposure + 0.02 * np.exp(exposure / 2) * convolve(noise, kernel, mode="nearest")
    np.testing.assert_allclose(got, np.clip(np.rint(900 + 1500 * value), 0, 4095), atol=1)
