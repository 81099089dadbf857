"""Synthesis with the reversible 5/3 filters (T.800 Annex F.3.8.1), one level at a time."""

import numpy as np

from codec.decoding.wavelet_rows import MARGIN, extend, interleave, mirrored, row_or_zeros, row_pair
from codec.jit import kernel


@kernel
def _halved(value):
    """A single sample at an odd position (F.3.6). Odd values, only in lossy codestreams, are rounded towards 0."""
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
    even_part, odd_part = even[first:], odd[MARGIN:]
    for k in range(low.size):
        even_part[k] = low[k]
    for k in range(high.size):
        odd_part[k] = high[k]
    extend(even, odd, x0, x1)
    for k in range(1, even.size):
        even[k] -= (odd[k - 1] + odd[k] + 2) >> 2
    for k in range(1, even.size - 1):
        odd[k] += (even[k] + even[k + 1]) >> 1
    interleave(even, odd, x0 & 1, output)


@kernel
def _lift_row_pair_53(low, high, h0, l1, even, odd):
    """Both vertical lifting steps (F.3.8.1.1) for one row pair, in the manner of `codec.decoding.synthesis_97`.

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
def _buffers(x0, x1):
    """A row of zeros, and the even and odd samples of a row with `MARGIN` pairs on either side."""
    pairs = ((x1 - 1) >> 1) - (x0 >> 1) + 1 + 2 * MARGIN
    return np.zeros(x1 - x0, np.int32), np.zeros(pairs, np.int32), np.zeros(pairs, np.int32)


@kernel
def synthesise_53(ll, hl, lh, hh, skipped, place, output, final, sample_range, start, stop):
    """As `synthesise_97`, but rows are synthesised horizontally first: the standard prescribes the order."""
    (y0, x0), (level_shift, lowest, largest) = place, sample_range
    rows, columns = output.shape
    y1, x1 = y0 + rows, x0 + columns
    n_low = ((x1 + 1) >> 1) - ((x0 + 1) >> 1)
    zeros, even, odd = _buffers(x0, x1)
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
    start, stop = y0 + start, y0 + stop
    for n in range(((start + 1) >> 1) - 2, (stop >> 1) + 1):
        above = (mirrored(2 * n, y0, y1) >> 1) - ((y0 + 1) >> 1)
        below = (mirrored(2 * n + 1, y0, y1) >> 1) - (y0 >> 1) - skipped
        _synthesise_row_53(
            row_or_zeros(ll, above, zeros[:n_low]), row_or_zeros(hl, above - skipped, zeros[n_low:]), x0, even, odd, low
        )
        _synthesise_row_53(
            row_or_zeros(lh, below, zeros[:n_low]), row_or_zeros(hh, below, zeros[n_low:]), x0, even, odd, high
        )
        _lift_row_pair_53(low, high, state[0], state[1], finished[0], finished[1])
        for y in (2 * n - 1, 2 * n):
            if start <= y < stop:
                _put_row(finished[y & 1], output[y - y0], final, level_shift, lowest, largest)


@kernel
def _put_single_row(band, is_high, output):
    """The only row of an image, before it is synthesised horizontally."""
    for c in range(output.size):
        value = band[0, c] if band.size else np.int32(0)
        output[c] = _halved(value) if is_high else value


@kernel
def synthesise_transposed_53(ll, hl, lh, hh, skipped, place, output, final, sample_range, start, stop):
    """As `synthesise_53` for a transposed image: filtered along columns first, which are the rows of the image."""
    (y0, x0), (level_shift, lowest, largest) = place, sample_range
    rows, columns = output.shape
    y1, x1 = y0 + rows, x0 + columns
    n_low = ((x1 + 1) >> 1) - ((x0 + 1) >> 1)
    zeros, even, odd = _buffers(x0, x1)
    state, finished = np.zeros((2, columns), np.int32), np.empty((2, columns), np.int32)
    row = np.empty(columns, np.int32)
    if rows == 1:
        _put_single_row(lh if y0 & 1 else ll, y0 & 1, finished[0, :n_low])
        _put_single_row(hh if y0 & 1 else hl, y0 & 1, finished[0, n_low:])
        _synthesise_row_53(finished[0, :n_low], finished[0, n_low:], x0, even, odd, row)
        _put_row(row, output[0], final, level_shift, lowest, largest)
        return
    start, stop = y0 + start, y0 + stop
    for n in range(((start + 1) >> 1) - 2, (stop >> 1) + 1):
        above = (mirrored(2 * n, y0, y1) >> 1) - ((y0 + 1) >> 1)
        below = (mirrored(2 * n + 1, y0, y1) >> 1) - (y0 >> 1)
        for part in range(2):
            a, b = (0, n_low) if part == 0 else (n_low, columns)
            low_row, high_row = row_pair(ll, hl, lh, hh, part == 1, above, below, skipped, zeros[a:b])
            _lift_row_pair_53(low_row, high_row, state[0, a:b], state[1, a:b], finished[0, a:b], finished[1, a:b])
        for y in (2 * n - 1, 2 * n):
            if start <= y < stop:
                line = finished[y & 1]
                _synthesise_row_53(line[:n_low], line[n_low:], x0, even, odd, row)
                _put_row(row, output[y - y0], final, level_shift, lowest, largest)
