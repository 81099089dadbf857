"""The forward reversible 5/3 wavelet transform (T.800 Annex F.4), in the layout of `codec.subbands`."""

import numpy as np

from codec.decoding.inverse_transform import is_narrow
from codec.jit import kernel
from codec.subbands import subband_shapes


def forward_53(pixels: np.ndarray, levels: int, level_shift: int) -> list[np.ndarray]:
    """Reversible 5/3 transform.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 or uint16 [rows, columns].
    levels : int
        Number of decompositions, 0 or more.
    level_shift : int
        Subtracted from every pixel first (G.1.2): 2^(bits_stored - 1) for unsigned samples.

    Returns
    -------
    list of numpy.ndarray
        int32 subbands in the order of the codestream.
    """
    bands: list[np.ndarray] = []
    transposed = is_narrow(pixels.shape)  # as the inverse transform: kernels go from row to row
    low, shift = np.ascontiguousarray(pixels.T if transposed else pixels), np.int32(level_shift)
    for _ in range(levels):
        ll, hl, lh, hh = (np.empty(shape, np.int32) for shape in subband_shapes(low.shape[0], low.shape[1], 1))
        if transposed:
            _analyse_transposed_53(low, shift, ll, hl, lh, hh)
            bands = [*(np.ascontiguousarray(band.T) for band in (lh, hl, hh)), *bands]
        else:
            _analyse_53(low, shift, ll, hl, lh, hh)
            bands = [hl, lh, hh, *bands]
        low, shift = ll, np.int32(0)
    if levels == 0:
        low = low.astype(np.int32) - shift
    return [np.ascontiguousarray(low.T) if transposed else low, *bands]


@kernel
def _analyse_row_53(row, low, high):
    """Lift one row into its halves (F.4.8.1); a sample past either end equals its mirror image (F.4.7)."""
    n_low, n_high = low.size, high.size
    if n_high == 0:
        low[0] = row[0]
        return
    for n in range(n_high):
        low[n] = row[2 * n]
        high[n] = row[2 * n + 1]
    if n_low > n_high:
        low[n_high] = row[row.size - 1]
    for n in range(n_low - 1):
        high[n] -= (low[n] + low[n + 1]) >> 1
    if n_low == n_high:
        high[n_high - 1] -= low[n_high - 1]
    low[0] += (high[0] + high[0] + 2) >> 2
    for n in range(1, n_high):
        low[n] += (high[n - 1] + high[n] + 2) >> 2
    if n_low > n_high:
        low[n_high] += (high[n_high - 1] + high[n_high - 1] + 2) >> 2


@kernel
def _lift_rows_53(shift, above, row, below, before, low, high):
    """Both vertical lifting steps for one row pair.

    With n its index, `above` is x[2n], `row` x[2n + 1], `below` x[2n + 2] and `before` the high-pass row n - 1; `low`
    and `high` receive the rows n.
    """
    for c in range(low.size):
        x, y, z = np.int32(above[c]) - shift, np.int32(row[c]) - shift, np.int32(below[c]) - shift
        new = y - ((x + z) >> 1)
        low[c] = x + ((before[c] + new + 2) >> 2)
        high[c] = new


@kernel
def _analyse_53(pixels, shift, ll, hl, lh, hh):
    """One decomposition level: vertical lifting, then each finished row horizontally, in the standard's order."""
    rows, columns = pixels.shape
    low, high = np.empty(columns, np.int32), np.empty(columns, np.int32)
    if rows == 1:
        for c in range(columns):
            low[c] = np.int32(pixels[0, c]) - shift
        _analyse_row_53(low, ll[0], hl[0])
        return
    # By symmetric extension the high-pass row before the first equals the first.
    before = np.empty(columns, np.int32)
    _lift_rows_53(shift, pixels[0], pixels[1], pixels[min(2, 2 * rows - 4)], before, low, before)
    for n in range(lh.shape[0]):
        below = 2 * n + 2 if 2 * n + 2 < rows else 2 * n
        _lift_rows_53(shift, pixels[2 * n], pixels[2 * n + 1], pixels[below], before, low, high)
        _analyse_row_53(low, ll[n], hl[n])
        _analyse_row_53(high, lh[n], hh[n])
        before, high = high, before
    if ll.shape[0] > lh.shape[0]:
        for c in range(columns):
            low[c] = np.int32(pixels[rows - 1, c]) - shift + ((before[c] + before[c] + 2) >> 2)
        _analyse_row_53(low, ll[ll.shape[0] - 1], hl[ll.shape[0] - 1])


@kernel
def _analyse_transposed_53(pixels, shift, ll, hl, lh, hh):
    """As `_analyse_53` for a transposed image: along its rows first, which are the columns of the image."""
    rows, columns = pixels.shape
    low, high = np.empty((rows, ll.shape[1]), np.int32), np.empty((rows, hl.shape[1]), np.int32)
    line = np.empty(columns, np.int32)
    for row in range(rows):
        for c in range(columns):
            line[c] = np.int32(pixels[row, c]) - shift
        _analyse_row_53(line, low[row], high[row])
    _lift_53(low, ll, lh)
    _lift_53(high, hl, hh)


@kernel
def _lift_53(samples, low, high):
    """Vertical lifting of all rows."""
    rows, nothing = samples.shape[0], np.int32(0)
    if rows == 1:
        low[0] = samples[0]
        return
    before, spare = np.empty(samples.shape[1], np.int32), np.empty(samples.shape[1], np.int32)
    _lift_rows_53(nothing, samples[0], samples[1], samples[min(2, 2 * rows - 4)], before, spare, before)
    for n in range(high.shape[0]):
        below = 2 * n + 2 if 2 * n + 2 < rows else 2 * n
        previous = high[n - 1] if n else before
        _lift_rows_53(nothing, samples[2 * n], samples[2 * n + 1], samples[below], previous, low[n], high[n])
    if low.shape[0] > high.shape[0]:
        last, previous = low.shape[0] - 1, high[high.shape[0] - 1]
        for c in range(previous.size):
            low[last, c] = samples[rows - 1, c] + ((previous[c] + previous[c] + 2) >> 2)
