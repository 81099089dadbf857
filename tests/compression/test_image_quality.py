import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from mammo_jax.compression.image_quality import compare


def naive_ssim(x, y, peak, counts=None):
    """Wang et al. 2004, one window after the other."""
    x, y = x.astype(float), y.astype(float)
    values = []
    for row in range(0, x.shape[0] // 4 * 4 - 7, 4):
        for column in range(0, x.shape[1] // 4 * 4 - 7, 4):
            window = np.s_[row : row + 8, column : column + 8]
            if counts is not None and counts[window].sum() <= 32:
                continue
            a, b = x[window], y[window]
            c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            luminance = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
            values.append(luminance * (2 * covariance + c2) / (a.var() + b.var() + c2))
    return np.mean(values)


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(8, 40), columns=st.integers(8, 40), bits=st.sampled_from([8, 12, 16]), seed=st.integers(0, 99))
def test_agrees_with_naive_ssim_and_scikit_image_psnr(rows, columns, bits, seed):
    generator = np.random.default_rng(seed)
    peak = 2**bits - 1
    dtype = np.uint8 if bits == 8 else np.uint16
    original = generator.integers(0, peak, (rows, columns), endpoint=True).astype(dtype)
    noisy = np.clip(original + generator.normal(0, peak / 30, original.shape), 0, peak).astype(dtype)
    breast = np.zeros(original.shape, bool)
    breast[:, : columns // 2 + 4] = True
    quality = compare(original, noisy, breast, bits)
    assert quality.psnr == pytest.approx(peak_signal_noise_ratio(original, noisy, data_range=peak))
    assert quality.psnr_breast == pytest.approx(
        peak_signal_noise_ratio(original[breast], noisy[breast], data_range=peak)
    )
    assert quality.ssim == pytest.approx(naive_ssim(original, noisy, peak))
    assert quality.ssim_breast == pytest.approx(naive_ssim(original, noisy, peak, breast))


def test_an_image_equals_itself():
    image = np.arange(400, dtype=np.uint16).reshape(20, 20)
    quality = compare(image, image, np.ones(image.shape, bool), 12)
    assert quality.psnr == np.inf
    assert quality.ssim == pytest.approx(1)


def test_images_below_one_window_have_no_ssim():
    image = np.zeros((5, 5), np.uint8)
    assert np.isnan(compare(image, image, np.zeros(image.shape, bool), 8).ssim)
