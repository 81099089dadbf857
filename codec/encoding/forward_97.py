"""The forward irreversible 9/7 wavelet transform (T.800 Annex F.4), in the layout of `codec.subbands`."""

from functools import partial

import numpy as np

from codec.jit import kernel
from codec.lifting import ALPHA, BETA, DELTA, GAMMA, LOW_GAIN, K
from codec.subbands import subband_shapes
from codec.workers import SINGLE_THREAD, Workers


def forward_97(pixels: np.ndarray, levels: int, level_shift: int, workers: Workers = SINGLE_THREAD) -> list[np.ndarray]:
    """Irreversible 9/7 transform.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8, uint16 or float32 [rows, columns].
    levels : int
        Number of decompositions, 0 or more.
    level_shift : int
        Subtracted from every pixel first (G.1.2): 2^(bits_stored - 1) for unsigned samples.
    workers : Workers
        Threads that share the rows of each level; the result does not depend on their number.

    Returns
    -------
    list of numpy.ndarray
        float32 subbands in the order of the codestream.
    """
    bands: list[np.ndarray] = []
    low, shift = np.ascontiguousarray(pixels), np.float32(level_shift)
    for _ in range(levels):
        ll, *high = (np.empty(shape, np.float32) for shape in subband_shapes(low.shape[0], low.shape[1], 1))
        workers.share(ll.shape[0], partial(_analyse_97, low, shift, ll, *high))
        bands = [*high, *bands]
        low, shift = ll, np.float32(0)
    if levels == 0:
        low = low.astype(np.float32) - shift
    return [low, *bands]


@kernel(fastmath={"contract"})
def _analyse_row_97(row, even, odd, low, high):
    """Lift one row of float32 samples into its halves `low` and `high` (F.4.8.2); `even`, `odd` are scratch."""
    columns, n_low, n_high = row.size, low.size, high.size
    if columns == 1:
        low[0] = row[0]
        return
    for n in range(n_high):
        even[n] = row[2 * n]
        odd[n] = row[2 * n + 1]
    # Symmetric extension (F.4.7): a sample past either end equals its mirror image.
    even[n_high] = row[columns - 1] if n_low > n_high else even[n_high - 1]
    for n in range(n_high):
        odd[n] += ALPHA * (even[n] + even[n + 1])
    even[0] += BETA * (odd[0] + odd[0])
    for n in range(1, n_high):
        even[n] += BETA * (odd[n - 1] + odd[n])
    if n_low > n_high:
        even[n_high] += BETA * (odd[n_high - 1] + odd[n_high - 1])
    else:
        even[n_high] = even[n_high - 1]
    for n in range(n_high):
        odd[n] += GAMMA * (even[n] + even[n + 1])
        high[n] = K * odd[n]
    low[0] = LOW_GAIN * (even[0] + DELTA * (odd[0] + odd[0]))
    for n in range(1, n_high):
        low[n] = LOW_GAIN * (even[n] + DELTA * (odd[n - 1] + odd[n]))
    if n_low > n_high:
        low[n_high] = LOW_GAIN * (even[n_high] + DELTA * (odd[n_high - 1] + odd[n_high - 1]))


@kernel(fastmath={"contract"})
def _lift_row_pair(shift, above, row, below, d1, s1, d2, low, high):
    """All four vertical lifting steps for one row pair; `d1`, `s1`, `d2` are the pipeline's state.

    With n the index of the row pair, `above` is x[2n], `row` x[2n + 1], `below` x[2n + 2]; the state enters as
    d1[n-1], s1[n-1], d2[n-2] and leaves one further on; `low`, `high` receive the finished rows n - 1.
    """
    for c in range(low.size):
        x = np.float32(above[c]) - shift
        y = np.float32(row[c]) - shift
        z = np.float32(below[c]) - shift
        new_d1 = y + ALPHA * (x + z)
        new_s1 = x + BETA * (d1[c] + new_d1)
        new_d2 = d1[c] + GAMMA * (s1[c] + new_s1)
        low[c] = LOW_GAIN * (s1[c] + DELTA * (d2[c] + new_d2))
        high[c] = K * new_d2
        d1[c] = new_d1
        s1[c] = new_s1
        d2[c] = new_d2


@kernel
def _mirrored(row, rows):
    """Index of `row` after whole-sample symmetric extension at both ends (equation F-4)."""
    period = 2 * (rows - 1)
    row = abs(row) % period
    return min(row, period - row)


@kernel(fastmath={"contract"})
def _analyse_97(pixels, shift, ll, hl, lh, hh, first, end):
    """Rows `first` to `end` of one level: vertical lifting in one rolling pass, each finished row split horizontally.

    The pipeline's state depends on the last few rows only, so it is right after three row pairs.
    """
    rows, columns = pixels.shape
    even = np.empty(columns // 2 + 1, np.float32)
    odd = np.empty(columns // 2 + 1, np.float32)
    low = np.empty(columns, np.float32)
    high = np.empty(columns, np.float32)
    if rows == 1:
        for c in range(columns):
            low[c] = np.float32(pixels[0, c]) - shift
        _analyse_row_97(low, even, odd, ll[0], hl[0])
        return
    state = np.zeros((3, columns), np.float32)
    d1, s1, d2 = state[0], state[1], state[2]
    for n in range(first - 2, end + 1):
        above = pixels[_mirrored(2 * n, rows)]
        row = pixels[_mirrored(2 * n + 1, rows)]
        below = pixels[_mirrored(2 * n + 2, rows)]
        _lift_row_pair(shift, above, row, below, d1, s1, d2, low, high)
        if n > first:
            _analyse_row_97(low, even, odd, ll[n - 1], hl[n - 1])
            if n <= lh.shape[0]:
                _analyse_row_97(high, even, odd, lh[n - 1], hh[n - 1])
