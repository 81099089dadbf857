"""The inverse wavelet transforms (T.800 Annex F.3), directly into the pixels, with level shift and clipping.

Subbands come in the layout of `codec.subbands`, or with None for a subband of zeros. An image or tile whose origin is
odd starts with a high-pass sample; symmetric extension (F.3.7) reads mirrored rows and columns.

The kernels go from row to row, so that their time grows with the number of rows and their memory with the columns.
Narrow images are therefore transformed transposed, and wide levels in panels of columns: time and memory follow the
number of pixels at any shape.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import numpy as np

from codec.decoding.synthesis_53 import synthesise_53, synthesise_transposed_53
from codec.decoding.synthesis_97 import synthesise_97
from codec.decoding.wavelet_rows import finish
from codec.workers import SINGLE_THREAD, Workers

# Images with fewer columns, and more rows than columns, are transposed. Rows of 64 are as fast either way.
NARROW = 64
# Wide levels have more columns than this; the kernels' buffers take 32 bytes a column.
WIDE = 1 << 16
# Samples of a panel, and its columns where there are many rows.
PANEL_SAMPLES = 1 << 15
MIN_PANEL_COLUMNS = 1 << 10
# Columns before and after a panel that the filters need: four samples either way (F.3.8.2.1).
PANEL_MARGIN = 8


def inverse_97(
    bands: Iterable[np.ndarray | None],
    pixels: np.ndarray,
    levels: int,
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
    bands : iterable of numpy.ndarray or None
        float32 subbands in the order of the codestream, LL first; None where all coefficients are 0. Those of a level
        are asked for when it is synthesised.
    pixels : numpy.ndarray
        Integers [rows, columns], written.
    levels : int
        Number of decomposition levels.
    level_shift : int
        Added to every sample.
    lowest, largest : int
        Range to which samples are clipped.
    origin : tuple of int
        Row and column of the first pixel on the component's grid.
    workers : Workers
        Threads that share the rows of each level; the result does not depend on their number.

    Notes
    -----
    Narrow images are filtered along the rows first, others along the columns, so that the rounding of floating point
    differs.
    """
    _inverse(bands, pixels, levels, origin, np.float32, (synthesise_97,) * 2, (level_shift, lowest, largest), workers)


def inverse_53(
    bands: Iterable[np.ndarray | None],
    pixels: np.ndarray,
    levels: int,
    *,
    level_shift: int,
    lowest: int,
    largest: int,
    origin: tuple[int, int] = (0, 0),
    workers: Workers = SINGLE_THREAD,
) -> None:
    """Reversible 5/3 synthesis (F.3 with F.3.8.1) into `pixels`; as `inverse_97`, with int32 subbands."""
    kernels = synthesise_53, synthesise_transposed_53
    _inverse(bands, pixels, levels, origin, np.int32, kernels, (level_shift, lowest, largest), workers)


def is_narrow(shape: tuple[int, ...]) -> bool:
    """Whether an image of this shape is transformed transposed."""
    rows, columns = shape
    return columns < min(rows, NARROW)


def _inverse(bands, pixels, levels, origin, dtype, kernels, sample_range, workers) -> None:
    """Synthesise level by level, the last one into `pixels`; transposed, by the second of `kernels`, where narrow."""
    synthesise, bands, transposed = kernels[0], iter(bands), levels > 0 and is_narrow(pixels.shape)
    if transposed:
        synthesise, bands, pixels, origin = kernels[1], _transposed(bands), pixels.T, origin[::-1]
    rows, columns = pixels.shape
    areas = []
    for level in range(levels, -1, -1):
        top, left = (-(-start >> level) for start in origin)
        bottom, right = -(-(origin[0] + rows) >> level), -(-(origin[1] + columns) >> level)
        areas.append((top, left, bottom - top, right - left))
    nothing = np.zeros((0, 0), dtype=dtype)
    low = next(bands)
    if low is None:
        low = np.zeros(areas[0][2:], dtype=dtype)
    if levels == 0:
        finish(low, pixels, *sample_range)
    for n in range(1, levels + 1):
        high = [nothing if band is None or band.size == 0 else band for band in islice(bands, 3)]
        final = n == levels
        output = pixels if final else np.empty(areas[n][2:], dtype=dtype)
        if output.size:
            panels = transposed or output.shape[1] > WIDE
            synthesise_level = _synthesise_panels if panels else _synthesise_whole
            synthesise_level(synthesise, [low, *high], areas[n][:2], output, (final, sample_range), workers)
        low = output
        del high  # before the next ones are decoded


def _transposed(bands: Iterator[np.ndarray | None]) -> Iterator[np.ndarray | None]:
    """Views of the transposed subbands; the transposed image's HL is the image's LH, and the reverse."""

    def turned(band: np.ndarray | None) -> np.ndarray | None:
        return None if band is None else band.T

    yield turned(next(bands))
    for hl in bands:
        yield turned(next(bands))
        yield turned(hl)
        del hl  # before the next ones are decoded
        yield turned(next(bands))


def _synthesise_whole(synthesise, bands, place, output, options, workers) -> None:
    """Synthesise one level."""
    workers.share(len(output), partial(synthesise, *bands, 0, place, output, *options))


def _synthesise_panels(synthesise, bands, place, output, options, workers) -> None:
    """Synthesise one level panel by panel, from copies and into copies of their columns."""
    rows, columns = output.shape
    width = max(PANEL_SAMPLES // rows, MIN_PANEL_COLUMNS)

    def synthesise_panel(left: int) -> None:
        right = min(left + width, columns)
        first, end = max(left - PANEL_MARGIN, 0), min(right + PANEL_MARGIN, columns)
        parts = [_columns_of(band, place[1], first, end, index & 1) for index, band in enumerate(bands)]
        panel = np.empty((rows, end - first), output.dtype)
        synthesise(*parts, 0, (place[0], place[1] + first), panel, *options, 0, rows)
        output[:, left:right] = panel[:, left - first : right - first]

    workers.map(synthesise_panel, range(0, columns, width))


def _columns_of(band: np.ndarray, x0: int, first: int, end: int, high_pass: int) -> np.ndarray:
    """The columns of a subband for the columns [first, end) of a level that begins at x0 (equation B-15)."""
    if not band.size:
        return band
    start, left, right = ((x - high_pass + 1) >> 1 for x in (x0, x0 + first, x0 + end))
    return np.ascontiguousarray(band[:, left - start : right - start])
