"""The inverse wavelet transforms (T.800 Annex F.3), directly into the pixels, with level shift and clipping.

Subbands come in the layout of `codec.subbands`, or with None for a subband of zeros. An image or tile whose origin is
odd starts with a high-pass sample; symmetric extension (F.3.7) reads mirrored rows and columns.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from codec.decoding.synthesis_53 import synthesise_53
from codec.decoding.synthesis_97 import synthesise_97
from codec.decoding.wavelet_rows import finish
from codec.workers import SINGLE_THREAD, Workers


def inverse_97(
    bands: Sequence[np.ndarray | None],
    pixels: np.ndarray,
    *,
    level_shift: int,
    lowest: int,
    largest: int,
    origin: tuple[int, int] = (0, 0),
    workers: Workers = SINGLE_THREAD,
) -> None:
    """Irreversible 9/7 synthesis (F.3 with F.3.8.2) into `pixels`, rounded and clipped (G.1.2).

    Parameters
    ----------
    bands : sequence of numpy.ndarray or None
        float32 subbands in the order of the codestream, LL first; None where all coefficients are 0.
    pixels : numpy.ndarray
        Integers [rows, columns], written.
    level_shift : int
        Added to every sample.
    lowest, largest : int
        Range to which samples are clipped.
    origin : tuple of int
        Row and column of the first pixel on the component's grid.
    workers : Workers
        Threads that share the rows of each level; the result does not depend on their number.
    """
    _inverse(bands, pixels, origin, np.float32, synthesise_97, (level_shift, lowest, largest), workers)


def inverse_53(
    bands: Sequence[np.ndarray | None],
    pixels: np.ndarray,
    *,
    level_shift: int,
    lowest: int,
    largest: int,
    origin: tuple[int, int] = (0, 0),
    workers: Workers = SINGLE_THREAD,
) -> None:
    """Reversible 5/3 synthesis (F.3 with F.3.8.1) into `pixels`; as `inverse_97`, with int32 subbands."""
    _inverse(bands, pixels, origin, np.int32, synthesise_53, (level_shift, lowest, largest), workers)


def _inverse(bands, pixels, origin, dtype, synthesise, sample_range, workers) -> None:
    """Synthesise level by level, the last one into `pixels`."""
    levels = (len(bands) - 1) // 3
    rows, columns = pixels.shape
    areas = []
    for level in range(levels, -1, -1):
        top, left = (-(-start >> level) for start in origin)
        bottom, right = -(-(origin[0] + rows) >> level), -(-(origin[1] + columns) >> level)
        areas.append((top, left, bottom - top, right - left))
    nothing = np.zeros((0, 0), dtype=dtype)
    low = bands[0] if bands[0] is not None else np.zeros(areas[0][2:], dtype=dtype)
    if levels == 0:
        finish(low, pixels, *sample_range)
    for n in range(1, levels + 1):
        high = [nothing if band is None or band.size == 0 else band for band in bands[3 * n - 2 : 3 * n + 1]]
        final = n == levels
        output = pixels if final else np.empty(areas[n][2:], dtype=dtype)
        if output.size:
            workers.share(len(output), partial(synthesise, low, *high, 0, areas[n][:2], output, final, sample_range))
        low = output
