"""The inverse wavelet transforms (T.800 Annex F.3), written straight into the pixels with level shift and clipping.

Subbands come in the layout of `codec.wavelet`, or with None for one that holds only zeros. An image or tile whose
origin is odd begins with a high-pass sample; symmetric extension (F.3.7) is done by reading mirrored rows and columns.
"""

from collections.abc import Sequence

import numpy as np

from codec.jit import kernel
from codec.wavelet import ALPHA, BETA, DELTA, GAMMA, K
from codec.wavelet_rows import MARGIN, clipped, finish, interleave, mirrored, row_or_zeros

# The standard has 1 / K = 0.8128931. OpenJPEG, with which most images are read, rounds 2 / K to this; with its value
# pixels of 16 bits agree with it to one grey level, and the difference is far below the standard's tolerances.
HIGH_GAIN = np.float32(1.625732422 / 2)


def inverse_97(
    bands: Sequence[np.ndarray | None],
    pixels: np.ndarray,
    *,
    level_shift: int,
    lowest: int,
    largest: int,
    origin: tuple[int, int] = (0, 0),
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
    """
    _inverse(bands, pixels, origin, np.float32, _synthesise_97, (level_shift, lowest, largest))


def inverse_53(
    bands: Sequence[np.ndarray | None],
    pixels: np.ndarray,
    *,
    level_shift: int,
    lowest: int,
    largest: int,
    origin: tuple[int, int] = (0, 0),
) -> None:
    """Reversible 5/3 synthesis (F.3 with F.3.8.1) into `pixels`; as `inverse_97`, with int32 subbands."""
    _inverse(bands, pixels, origin, np.int32, _synthesise_53, (level_shift, lowest, largest))


def _inverse(bands, pixels, origin, dtype, synthesise, sample_range) -> None:
    """Level by level, the last one into `pixels`."""
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
            synthesise(low, *high, areas[n][0], areas[n][1], output, final, *sample_range)
        low = output


@kernel(fastmath={"contract"})
def _lift_row_pair_97(low, high, h0, l1, h1, l2, even, odd):
    """All four vertical lifting steps for one row pair (F.3.8.2.1), the state of earlier pairs carried along.

    With n the index of the pair, the state enters as high[n-1], l1[n-1], h1[n-2], l2[n-2] and leaves one further on;
    `even` receives the finished row 2(n - 1) and `odd` row 2(n - 2) + 1.
    """
    for c in range(low.size):
        new_h0 = high[c] * HIGH_GAIN
        new_l1 = low[c] * K - DELTA * (h0[c] + new_h0)
        new_h1 = h0[c] - GAMMA * (l1[c] + new_l1)
        new_l2 = l1[c] - BETA * (h1[c] + new_h1)
        odd[c] = h1[c] - ALPHA * (l2[c] + new_l2)
        even[c] = new_l2
        h0[c] = new_h0
        l1[c] = new_l1
        h1[c] = new_h1
        l2[c] = new_l2


@kernel
def _extend(even, odd, x0, x1):
    """Fill the margins of a row, split into even and odd samples, by symmetric extension."""
    base = (x0 >> 1) - MARGIN
    for x in range(2 * base, x0):
        source = mirrored(x, x0, x1)
        half = odd if x & 1 else even
        half[(x >> 1) - base] = half[(source >> 1) - base]
    for x in range(x1, 2 * (base + even.size)):
        source = mirrored(x, x0, x1)
        half = odd if x & 1 else even
        half[(x >> 1) - base] = half[(source >> 1) - base]


@kernel(fastmath={"contract"})
def _lift_row_97(even, odd, pairs):
    """The horizontal lifting steps (F.3.8.2.1) of a row with `MARGIN` pairs on either side, scaled before."""
    for k in range(1, pairs):
        even[k] -= DELTA * (odd[k - 1] + odd[k])
    for k in range(1, pairs - 1):
        odd[k] -= GAMMA * (even[k] + even[k + 1])
    for k in range(1, pairs - 1):
        even[k] -= BETA * (odd[k - 1] + odd[k])
    for k in range(1, pairs - 2):
        odd[k] -= ALPHA * (even[k] + even[k + 1])


@kernel(fastmath={"contract"})
def _synthesise_row_97(low, high, x0, even, odd, output, final, level_shift, lowest, largest):
    """One row of samples from its low-pass and high-pass halves."""
    columns = output.size
    x1 = x0 + columns
    base = (x0 >> 1) - MARGIN
    if columns == 1:
        even[MARGIN] = low[0] if x0 & 1 == 0 else np.float32(0)
        odd[MARGIN] = high[0] * np.float32(0.5) if x0 & 1 else np.float32(0)
    else:
        first = ((x0 + 1) >> 1) - base
        for k in range(low.size):
            even[first + k] = low[k] * K
        for k in range(high.size):
            odd[MARGIN + k] = high[k] * HIGH_GAIN
        _extend(even, odd, x0, x1)
        _lift_row_97(even, odd, even.size)
    start = x0 & 1
    if final:
        shift, bottom, top = np.float32(level_shift), np.float32(lowest), np.float32(largest)
        # Loops that begin at 2 or more are not vectorised.
        for k in range(even.size - 2 * MARGIN):
            even[MARGIN + k] = clipped(even[MARGIN + k] + shift, bottom, top)
        for k in range(odd.size - 2 * MARGIN):
            odd[MARGIN + k] = clipped(odd[MARGIN + k] + shift, bottom, top)
    interleave(even, odd, start, output)


@kernel(fastmath={"contract"})
def _synthesise_97(ll, hl, lh, hh, y0, x0, output, final, level_shift, lowest, largest):
    """One level: vertical lifting in one rolling pass, each finished row synthesised horizontally."""
    rows, columns = output.shape
    y1, x1 = y0 + rows, x0 + columns
    n_low = ((x1 + 1) >> 1) - ((x0 + 1) >> 1)
    zeros = np.zeros(columns, np.float32)
    pairs = ((x1 - 1) >> 1) - (x0 >> 1) + 1 + 2 * MARGIN
    even, odd = np.zeros(pairs, np.float32), np.zeros(pairs, np.float32)
    if rows == 1:
        row = np.empty(columns, np.float32)
        gain = np.float32(0.5) if y0 & 1 else np.float32(1)
        low_row = row_or_zeros(lh if y0 & 1 else ll, 0, zeros[:n_low])
        high_row = row_or_zeros(hh if y0 & 1 else hl, 0, zeros[n_low:])
        for c in range(columns):
            row[c] = gain * (low_row[c] if c < n_low else high_row[c - n_low])
        _synthesise_row_97(row[:n_low], row[n_low:], x0, even, odd, output[0], final, level_shift, lowest, largest)
        return
    state = np.zeros((4, columns), np.float32)
    low, high = np.empty(columns, np.float32), np.empty(columns, np.float32)
    first, end = (y0 + 1) >> 1, (y1 >> 1) + 1
    # Row pairs of the subbands: low row n is sample row 2n, high row n is sample row 2n + 1.
    for n in range(first - 3, end + 1):
        above = (mirrored(2 * n, y0, y1) >> 1) - first
        below = (mirrored(2 * n + 1, y0, y1) >> 1) - (y0 >> 1)
        for part in range(2):
            a, b = (0, n_low) if part == 0 else (n_low, columns)
            low_row = row_or_zeros(ll if part == 0 else hl, above, zeros[a:b])
            high_row = row_or_zeros(lh if part == 0 else hh, below, zeros[a:b])
            _lift_row_pair_97(
                low_row, high_row, state[0, a:b], state[1, a:b], state[2, a:b], state[3, a:b], low[a:b], high[a:b]
            )
        for y in (2 * n - 3, 2 * n - 2):
            if n > first and y0 <= y < y1:
                row = high if y & 1 else low
                _synthesise_row_97(
                    row[:n_low], row[n_low:], x0, even, odd, output[y - y0], final, level_shift, lowest, largest
                )


@kernel
def _halved(value):
    """A single sample at an odd place (F.3.6). Only in a lossy codestream it is odd, and then goes towards 0."""
    return -(-value >> 1) if value < 0 else value >> 1


@kernel
def _synthesise_row_53(low, high, x0, even, odd, output):
    """One row of samples from its low-pass and high-pass halves (F.3.8.1.1)."""
    columns = output.size
    x1 = x0 + columns
    base = (x0 >> 1) - MARGIN
    if columns == 1:
        output[0] = _halved(high[0]) if x0 & 1 else low[0]
        return
    first = ((x0 + 1) >> 1) - base
    for k in range(low.size):
        even[first + k] = low[k]
    for k in range(high.size):
        odd[MARGIN + k] = high[k]
    _extend(even, odd, x0, x1)
    for k in range(1, even.size):
        even[k] -= (odd[k - 1] + odd[k] + 2) >> 2
    for k in range(1, even.size - 1):
        odd[k] += (even[k] + even[k + 1]) >> 1
    interleave(even, odd, x0 & 1, output)


@kernel
def _lift_row_pair_53(low, high, h0, l1, even, odd):
    """Both vertical lifting steps (F.3.8.1.1) for one row pair, in the manner of `_lift_row_pair_97`.

    The state enters as high[n-1], l1[n-1]; `even` receives the finished row 2n and `odd` row 2(n - 1) + 1.
    """
    for c in range(low.size):
        new_l1 = low[c] - ((h0[c] + high[c] + 2) >> 2)
        odd[c] = h0[c] + ((l1[c] + new_l1) >> 1)
        even[c] = new_l1
        h0[c] = high[c]
        l1[c] = new_l1


@kernel
def _put_row(row, output, final, level_shift, lowest, largest):
    """Write a finished row of integers."""
    for c in range(row.size):
        output[c] = min(max(row[c] + level_shift, lowest), largest) if final else row[c]


@kernel
def _synthesise_53(ll, hl, lh, hh, y0, x0, output, final, level_shift, lowest, largest):
    """One level: rows synthesised horizontally, then lifted vertically in one rolling pass (the order is binding)."""
    rows, columns = output.shape
    y1, x1 = y0 + rows, x0 + columns
    n_low = ((x1 + 1) >> 1) - ((x0 + 1) >> 1)
    zeros = np.zeros(columns, np.int32)
    pairs = ((x1 - 1) >> 1) - (x0 >> 1) + 1 + 2 * MARGIN
    even, odd = np.zeros(pairs, np.int32), np.zeros(pairs, np.int32)
    low, high = np.empty(columns, np.int32), np.empty(columns, np.int32)
    if rows == 1:
        low_part = row_or_zeros(lh if y0 & 1 else ll, 0, zeros[:n_low])
        high_part = row_or_zeros(hh if y0 & 1 else hl, 0, zeros[n_low:])
        _synthesise_row_53(low_part, high_part, x0, even, odd, low)
        if y0 & 1:
            for c in range(columns):
                low[c] = _halved(low[c])
        _put_row(low, output[0], final, level_shift, lowest, largest)
        return
    state = np.zeros((2, columns), np.int32)
    finished = np.empty((2, columns), np.int32)
    first, end = (y0 + 1) >> 1, (y1 >> 1) + 1
    for n in range(first - 2, end):
        above = (mirrored(2 * n, y0, y1) >> 1) - first
        below = (mirrored(2 * n + 1, y0, y1) >> 1) - (y0 >> 1)
        _synthesise_row_53(
            row_or_zeros(ll, above, zeros[:n_low]), row_or_zeros(hl, above, zeros[n_low:]), x0, even, odd, low
        )
        _synthesise_row_53(
            row_or_zeros(lh, below, zeros[:n_low]), row_or_zeros(hh, below, zeros[n_low:]), x0, even, odd, high
        )
        _lift_row_pair_53(low, high, state[0], state[1], finished[0], finished[1])
        for y in (2 * n - 1, 2 * n):
            if n >= first and y0 <= y < y1:
                _put_row(finished[y & 1], output[y - y0], final, level_shift, lowest, largest)
