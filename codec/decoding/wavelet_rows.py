"""Rows of samples in the inverse transform: symmetric extension, interleaving, rounding and clipping."""

import numpy as np

from codec.jit import kernel

MARGIN = 2  # sample pairs that the 9/7 filters need beyond either end
ROUNDER = np.float32(1.5 * 2**23)  # adding and subtracting it rounds a float32 below 2^22 to the nearest integer


@kernel
def finish(samples, pixels, level_shift, lowest, largest):
    """Shift, round and clip samples that no transform was applied to."""
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            value = np.rint(np.float64(samples[row, column])) + level_shift
            pixels[row, column] = min(max(value, lowest), largest)


@kernel
def mirrored(position, start, end):
    """Position after whole-sample symmetric extension of [start, end), which holds at least two (equation F-4)."""
    period = 2 * (end - start - 1)
    offset = (position - start) % period
    return start + min(offset, period - offset)


@kernel(inline="always")
def clipped(value, lowest, largest):
    """Round and clip; NaN becomes `lowest`."""
    value = value if value > lowest else lowest
    value = value if value < largest else largest
    return (value + ROUNDER) - ROUNDER


@kernel
def extend(even, odd, x0, x1):
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


@kernel
def interleave(even, odd, start, output):
    """Interleave the halves of a row; `start` is 1 where its first sample is odd."""
    pairs = (output.size - start) >> 1
    if start:
        output[0] = odd[MARGIN]
    # Whole slices: the compiler does not vectorise a loop with an offset that may be negative.
    first, second, both = even[MARGIN + start :], odd[MARGIN + start :], output[start:]
    for k in range(pairs):
        both[2 * k] = first[k]
        both[2 * k + 1] = second[k]
    if start + 2 * pairs < output.size:
        output[output.size - 1] = first[pairs]


@kernel
def row_or_zeros(band, row, zeros):
    """A row of a subband, or `zeros` for a subband of zeros."""
    return band[row] if band.size else zeros


@kernel
def row_pair(ll, hl, lh, hh, high_columns, above, below, skipped, zeros):
    """The low-pass row `above` and the high-pass row `below` of a pair, of the low-pass or of the `high_columns`.

    HL, LH and HH lack the first `skipped` rows.
    """
    if high_columns:
        return row_or_zeros(hl, above - skipped, zeros), row_or_zeros(hh, below - skipped, zeros)
    return row_or_zeros(ll, above, zeros), row_or_zeros(lh, below - skipped, zeros)
