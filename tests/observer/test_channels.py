"""Gabor channels: their passbands in the Fourier transform, and their outputs beside a sum written out."""

import numpy as np
import pytest

from mammo_jax.observer.channels import channel_outputs, gabor_channels, passbands


def test_the_passbands_are_octaves_up_to_the_nyquist_frequency():
    assert passbands(64) == [(1 / 64, 1 / 32), (1 / 32, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2)]
    assert len(passbands(128)) == 6


def test_every_channel_has_length_1():
    channels = gabor_channels(64)
    assert channels.shape == (64 * 64, 5 * 5 * 2)
    np.testing.assert_allclose(np.linalg.norm(channels, axis=0), 1)


@pytest.mark.parametrize("band", [1, 2, 3])  # the first is wider than the patch, the last reaches the Nyquist frequency
def test_a_channel_passes_one_octave_at_its_orientation(band):
    size, angle = 64, 2
    low, high = passbands(size)[band]
    channel = gabor_channels(size)[:, (band * 5 + angle) * 2].reshape(size, size)
    fine = 1024
    spectrum = np.abs(np.fft.fft2(channel, (fine, fine)))
    frequencies = np.fft.fftfreq(fine)
    row, column = np.unravel_index(np.argmax(spectrum), spectrum.shape)
    peak = np.hypot(frequencies[row], frequencies[column])
    assert peak == pytest.approx((low + high) / 2, abs=2 / fine)
    direction = np.arctan2(frequencies[row], frequencies[column]) % np.pi
    assert direction == pytest.approx(angle * np.pi / 5, abs=0.05)
    for edge in (low, high):  # along its orientation it is half as sensitive at the edges
        along = tuple(round(edge * turn(direction) * fine) for turn in (np.sin, np.cos))
        assert spectrum[along] / spectrum.max() == pytest.approx(0.5, abs=0.04)


def test_the_two_phases_of_a_channel_are_orthogonal():
    channels = gabor_channels(32)
    np.testing.assert_allclose(np.sum(channels[:, ::2] * channels[:, 1::2], axis=0), 0, atol=1e-12)


def test_an_output_is_the_sum_of_the_pixels_under_the_channel():
    images = np.random.default_rng(0).integers(0, 65536, (3, 16, 16, 1)).astype(np.uint16)
    channels = gabor_channels(16)
    expected = np.zeros((3, channels.shape[1]))
    for image in range(3):
        for row in range(16):
            for column in range(16):
                expected[image] += float(images[image, row, column, 0]) * channels[row * 16 + column]
    np.testing.assert_allclose(channel_outputs(images), expected)
