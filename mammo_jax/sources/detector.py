"""The detector of the phantom: quantum noise, blur, and the conversion of log exposure to grey levels."""

from __future__ import annotations

import numba
import numpy as np

QUANTA = 2.5e5
"""Detected quanta per mm² behind fat: about 100 µGy at the detector (our choice; DQE is measured between 87 and 550 µGy
under IEC 62220-1-2), some 5000 quanta per mm² and µGy, and a DQE of one half."""

BLUR = 0.07
"""Standard deviation in mm of the detector's point spread (our choice: half a pixel of 0.14 mm)."""


def detect(
    exposure: np.ndarray, rng: np.random.Generator, pitch: float, offset: float, gain: float, bits_stored: int
) -> np.ndarray:
    """Return the grey levels, uint16 [rows, columns]: linear in log exposure, with quantum noise and blur.

    The standard deviation of log exposure is 1 / √(quanta in a pixel). The scintillator spreads the noise over
    neighbouring pixels. Air is 0.
    """
    noise = rng.standard_normal(exposure.shape, dtype=np.float32)
    sigma = 1 / np.sqrt(QUANTA * pitch**2)
    return _read_out(exposure, noise, np.float32(sigma), offset, gain, 2**bits_stored - 1)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _read_out(exposure, noise, sigma, offset, gain, white):  # pragma: no cover - compiled
    rows, columns = exposure.shape
    out = np.zeros((rows, columns), np.uint16)
    near, far = 0.15, 0.15**2  # point spread [b, 1, b] x [b, 1, b], then scaled to unit variance
    scale = sigma / (1 + 2 * far)
    for i in range(rows):
        up, down = max(i - 1, 0), min(i + 1, rows - 1)
        for j in range(columns):
            value = exposure[i, j]
            if value < -4.0:
                continue
            left, right = max(j - 1, 0), min(j + 1, columns - 1)
            blurred = noise[i, j] + near * (noise[up, j] + noise[down, j] + noise[i, left] + noise[i, right])
            blurred += far * (noise[up, left] + noise[up, right] + noise[down, left] + noise[down, right])
            value += scale * np.exp(0.5 * value) * blurred
            out[i, j] = np.uint16(min(max(offset + gain * value + 0.5, 0.0), white))
    return out
