"""Quality of a reconstruction: its PSNR and SSIM against the original, in the whole image and in the breast."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

SSIM_BLOCK = 4  # windows are 8 × 8 pixels, 4 pixels apart: each consists of 2 × 2 blocks of 4 × 4


@dataclass(frozen=True)
class Quality:
    """PSNR in dB (infinite for identical images) and mean SSIM, in the whole image and in the breast."""

    psnr: float
    ssim: float
    psnr_breast: float
    ssim_breast: float


def compare(original: np.ndarray, reconstruction: np.ndarray, breast: np.ndarray, bits_stored: int) -> Quality:
    """Compare two images of the same shape.

    The SSIM is that of Wang et al. (IEEE Trans Image Process 2004;13:600) with their square window of 8 × 8 pixels,
    K1 = 0.01 and K2 = 0.03; here windows are 4 pixels apart. A window belongs to the breast if more than half of its
    pixels do.

    Parameters
    ----------
    original, reconstruction : uint8 or uint16 arrays [rows, columns]
    breast : bool array [rows, columns]
    bits_stored : int
        The peak is ``2**bits_stored - 1``.
    """
    peak = float((1 << bits_stored) - 1)
    total, inside, breast_pixels = _squared_errors(original, reconstruction, breast)
    ssim_sum, windows, ssim_inside, windows_inside = _ssim_sums(original, reconstruction, breast, peak)
    return Quality(
        psnr=_psnr(total / original.size, peak),
        ssim=ssim_sum / windows if windows else float("nan"),
        psnr_breast=_psnr(inside / breast_pixels, peak) if breast_pixels else float("nan"),
        ssim_breast=ssim_inside / windows_inside if windows_inside else float("nan"),
    )


def psnr(original: np.ndarray, reconstruction: np.ndarray, bits_stored: int) -> float:
    """PSNR of the whole image in dB, as in `compare`."""
    total, _, _ = _squared_errors(original, reconstruction, np.ones(original.shape, bool))
    return _psnr(total / original.size, float((1 << bits_stored) - 1))


def _psnr(mean_squared_error: float, peak: float) -> float:
    return float("inf") if mean_squared_error == 0 else 10 * float(np.log10(peak**2 / mean_squared_error))


@numba.njit(nogil=True, cache=True)
def _squared_errors(original, reconstruction, breast):
    """Sum of squared errors, the same in the breast, and the number of the breast's pixels."""
    total = np.int64(0)
    inside = np.int64(0)
    pixels = 0
    for row in range(original.shape[0]):
        for column in range(original.shape[1]):
            difference = np.int64(original[row, column]) - np.int64(reconstruction[row, column])
            square = difference * difference
            total += square
            if breast[row, column]:
                inside += square
                pixels += 1
    return total, inside, pixels


@numba.njit(nogil=True, cache=True)
def _block_row(original, reconstruction, breast, top, sums):
    """Fill the sums [5, blocks] of one row of blocks: of x, y, x² + y², x·y and the breast's mask."""
    sums[:] = 0
    for row in range(top, top + SSIM_BLOCK):
        for column in range(sums.shape[1] * SSIM_BLOCK):
            block = column // SSIM_BLOCK
            x = np.int64(original[row, column])
            y = np.int64(reconstruction[row, column])
            sums[0, block] += x
            sums[1, block] += y
            sums[2, block] += x * x + y * y
            sums[3, block] += x * y
            sums[4, block] += breast[row, column]


@numba.njit(nogil=True, cache=True)
def _ssim_sums(original, reconstruction, breast, peak):
    """Sum of the SSIM over all windows, their number, and the same for the windows in the breast."""
    c1 = (0.01 * peak) ** 2
    c2 = (0.03 * peak) ** 2
    pixels = 4.0 * SSIM_BLOCK * SSIM_BLOCK
    blocks = original.shape[1] // SSIM_BLOCK
    above = np.zeros((5, blocks), np.int64)
    below = np.zeros((5, blocks), np.int64)
    total = 0.0
    inside = 0.0
    windows = 0
    windows_inside = 0
    for block_row in range(original.shape[0] // SSIM_BLOCK):
        above, below = below, above
        _block_row(original, reconstruction, breast, block_row * SSIM_BLOCK, below)
        if block_row == 0:
            continue
        for block in range(blocks - 1):
            window = above[:, block] + above[:, block + 1] + below[:, block] + below[:, block + 1]
            mean_x = window[0] / pixels
            mean_y = window[1] / pixels
            variances = window[2] / pixels - mean_x * mean_x - mean_y * mean_y
            covariance = window[3] / pixels - mean_x * mean_y
            luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
            value = luminance * (2 * covariance + c2) / (variances + c2)
            total += value
            windows += 1
            if 2 * window[4] > pixels:
                inside += value
                windows_inside += 1
    return total, windows, inside, windows_inside
