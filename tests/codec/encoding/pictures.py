"""Images of several kinds for the tests of the encoder."""

import numpy as np


def picture(kind, rows, columns, bits, seed):
    """An image of `bits` bits: noise, a constant, a ramp with an edge, or tissue (power-law texture) on black."""
    rng, top = np.random.default_rng(seed), 2**bits - 1
    y, x = np.mgrid[:rows, :columns]
    if kind == "noise":
        pixels = rng.integers(0, top, (rows, columns), endpoint=True)
    elif kind == "constant":
        pixels = np.full((rows, columns), rng.integers(0, top, endpoint=True))
    elif kind == "ramp":
        pixels = np.where(x + y < rows, top * x / columns, top * y / rows / 2)
    else:
        spectrum = np.fft.rfft2(rng.normal(size=(rows, columns)))
        frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)) + 1 / max(rows, columns)
        texture = np.fft.irfft2(spectrum / frequency**1.5, s=(rows, columns))
        texture = 0.5 + 0.1 * texture / (texture.std() + 1e-9) + rng.normal(0, 0.003, (rows, columns))
        pixels = top * np.clip(texture, 0, 1) * (x < 0.7 * columns)
    return np.asarray(pixels).astype(np.uint8 if bits <= 8 and seed % 2 else np.uint16)
