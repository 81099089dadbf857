"""Synthesis with the irreversible 9/7 filters (T.800 Annex F.3.8.2), one level at a time."""

import numpy as np

from codec.decoding.wavelet_rows import MARGIN, clipped, extend, interleave, mirrored, row_or_zeros, row_pair
from codec.jit import kernel
from codec.lifting import ALPHA, BETA, DELTA, GAMMA, K

# The standard has 1 / K = 0.8128931. OpenJPEG, the most common decoder, rounds 2 / K to this. With its value
# pixels of 16 bits agree with it to one grey level; the difference is far below the standard's tolerances.
HIGH_GAIN = np.float32(1.625732422 / 2)


@kernel(fastmath={"contract"})
def _lift_row_pair_97(low, high, h0, l1, h1, l2, even, odd):
    """All four vertical lifting steps for one row pair (F.3.8.2.1), with the state of earlier pairs.

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


@kernel
def _scale(line, gain, output):
    """Write `line`, times `gain`, to the start of `output`."""
    for k in range(line.size):
        output[k] = line[k] * gain


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
        _scale(low, K, even[((x0 + 1) >> 1) - base :])
        _scale(high, HIGH_GAIN, odd[MARGIN:])
        extend(even, odd, x0, x1)
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
def _synthesise_single_row_97(low, high, is_high, x0, even, odd, output, final, level_shift, lowest, largest):
    """An image of one row: no vertical filter, but half of a high-pass sample (F.3.6)."""
    gain = np.float32(0.5) if is_high else np.float32(1)
    row = np.empty(low.size + high.size, np.float32)
    _scale(low, gain, row)
    _scale(high, gain, row[low.size :])
    _synthesise_row_97(row[: low.size], row[low.size :], x0, even, odd, output, final, level_shift, lowest, largest)


@kernel(fastmath={"contract"})
def synthesise_97(ll, hl, lh, hh, skipped, place, output, final, sample_range, start, stop):
    """Rows `start` to `stop` of one level: vertical lifting in one rolling pass, each row synthesised horizontally.

    Parameters
    ----------
    ll, hl, lh, hh : numpy.ndarray
        float32 subbands; empty where all is 0.
    skipped : int
        Rows of HL, LH and HH before the first one given. Three before ``start // 2`` and two after ``stop // 2`` are
        needed.
    place : tuple of int
        Row and column of the level's first sample on its grid.
    output : numpy.ndarray
        [rows, columns] of the level, written: float32, or, where it is the `final` one, the pixels.
    sample_range : tuple of int
        Level shift, lowest and largest pixel.
    """
    (y0, x0), (level_shift, lowest, largest) = place, sample_range
    rows, columns = output.shape
    y1, x1 = y0 + rows, x0 + columns
    n_low = ((x1 + 1) >> 1) - ((x0 + 1) >> 1)
    zeros = np.zeros(columns, np.float32)
    pairs = ((x1 - 1) >> 1) - (x0 >> 1) + 1 + 2 * MARGIN
    even, odd = np.zeros(pairs, np.float32), np.zeros(pairs, np.float32)
    if rows == 1:
        low_row = row_or_zeros(lh if y0 & 1 else ll, 0, zeros[:n_low])
        high_row = row_or_zeros(hh if y0 & 1 else hl, 0, zeros[n_low:])
        _synthesise_single_row_97(
            low_row, high_row, y0 & 1, x0, even, odd, output[0], final, level_shift, lowest, largest
        )
        return
    state = np.zeros((4, columns), np.float32)
    low, high = np.empty(columns, np.float32), np.empty(columns, np.float32)
    # Row pairs of the subbands: low row n is sample row 2n, high row n is sample row 2n + 1. The pipeline's state is
    # right after four of them.
    start, stop = y0 + start, y0 + stop
    for n in range(((start + 3) >> 1) - 4, ((stop + 2) >> 1) + 1):
        above = (mirrored(2 * n, y0, y1) >> 1) - ((y0 + 1) >> 1)
        below = (mirrored(2 * n + 1, y0, y1) >> 1) - (y0 >> 1)
        for part in range(2):
            a, b = (0, n_low) if part == 0 else (n_low, columns)
            low_row, high_row = row_pair(ll, hl, lh, hh, part == 1, above, below, skipped, zeros[a:b])
            _lift_row_pair_97(
                low_row, high_row, state[0, a:b], state[1, a:b], state[2, a:b], state[3, a:b], low[a:b], high[a:b]
            )
        for y in (2 * n - 3, 2 * n - 2):
            if start <= y < stop:
                row = high if y & 1 else low
                _synthesise_row_97(
                    row[:n_low], row[n_low:], x0, even, odd, output[y - y0], final, level_shift, lowest, largest
                )
