"""Decoding of a subband: its code-blocks, region-of-interest shift and step size (T.800 Annexes D, E and H)."""

import numpy as np

from codec.decoding.block_decoder import MAX_DECODED_PLANES, decode_block
from codec.decoding.packet_header_reader import LENGTH, NEXT
from codec.decoding.tile_layout import FIRST_BLOCK, GRID_HEIGHT, GRID_WIDTH, GRID_X0, GRID_Y0, X0, X1, Y0, Y1
from codec.jit import kernel
from codec.mq_tables import CONTEXTS

MAX_BLOCK_SAMPLES = 4096  # samples; also enough words for the state of any block (A.6.1 limits both)


@kernel
def decode_subband(
    data, pieces, first, truncated, zero_planes, band_rows, x0, y0, block_width, block_height,
    planes, roi_shift, block_style, zero_coding, half_step, reversible, band, share, shares,
):  # fmt: skip
    """Decode the code-blocks of one subband into `band`, or every `shares`-th of them, so that threads share the work.

    Parameters
    ----------
    data, pieces, first, truncated, zero_planes : numpy.ndarray
        As in `codec.decoding.packet_reader.Contributions`.
    band_rows : numpy.ndarray
        int64: the subband's rows of `codec.decoding.tile_layout.TileLayout.precinct_bands`.
    x0, y0 : int
        The subband's upper left corner.
    block_width, block_height : int
        Exponents of two.
    planes : int
        Number of bit-planes of the subband, the region-of-interest shift included (equations E-2 and H-1).
    roi_shift : int
        The shift of RGN (H.1), 0 for none.
    block_style : int
        Code-block style (Table A.19).
    zero_coding : numpy.ndarray
        uint8 [512]: the subband's row of `codec.mq_tables.ZERO_CODING_CONTEXTS`.
    half_step : float
        Half the quantisation step.
    reversible : bool
        Whether coefficients are integers, without a step.
    band : numpy.ndarray
        float32, or int32 where reversible, [rows, columns], zero on entry.
    share, shares : int
        Which share of the code-blocks is decoded, and the number of shares.

    Returns
    -------
    int
        Number of code-blocks with data; -1 where one has more bit-planes than can be decoded.
    """
    coefficients = np.empty(MAX_BLOCK_SAMPLES, dtype=np.int32)
    flags = np.empty(MAX_BLOCK_SAMPLES, dtype=np.int64)
    contexts = np.empty(CONTEXTS, dtype=np.int64)
    mq = np.empty(5, dtype=np.int64)
    words = np.empty(1024, dtype=np.int64)
    decoded = 0
    for row in range(band_rows.shape[0]):
        for k in range(band_rows[row, GRID_WIDTH] * band_rows[row, GRID_HEIGHT]):
            block = band_rows[row, FIRST_BLOCK] + k
            if block % shares != share:
                continue
            block_planes = planes - zero_planes[block]
            if first[block] < 0 or block_planes <= 0:
                continue
            if block_planes > MAX_DECODED_PLANES:
                return -1
            column = band_rows[row, GRID_X0] + k % band_rows[row, GRID_WIDTH]
            line = band_rows[row, GRID_Y0] + k // band_rows[row, GRID_WIDTH]
            left = max(band_rows[row, X0], column << block_width)
            right = min(band_rows[row, X1], (column + 1) << block_width)
            top = max(band_rows[row, Y0], line << block_height)
            bottom = min(band_rows[row, Y1], (line + 1) << block_height)
            needed = _words_needed(pieces, first[block])
            if words.size < needed:
                words = np.empty(needed, dtype=np.int64)
            decode_block(
                data, pieces, np.int64(first[block]), truncated[block] != 0, block_planes, block_style, zero_coding,
                right - left, bottom - top, coefficients, flags, contexts, mq, words,
            )  # fmt: skip
            if roi_shift > 0:
                _undo_roi_shift(coefficients[: (right - left) * (bottom - top)], roi_shift)
            _store(coefficients, half_step, reversible, band[top - y0 : bottom - y0, left - x0 : right - x0])
            decoded += 1
    return decoded


@kernel
def _words_needed(pieces, piece):
    """Words of 32 bits for the longest codeword segment that a block can have, and the last word of ones."""
    length = np.int64(0)
    while piece >= 0:
        length += pieces[piece, LENGTH]
        piece = pieces[piece, NEXT]
    return length // 4 + 2


@kernel
def _undo_roi_shift(coefficients, roi_shift):
    """Shift the coefficients of the region of interest back down (H.1)."""
    for k in range(coefficients.size):
        magnitude = np.int64(abs(coefficients[k]))
        if magnitude >> (roi_shift + 1):
            # The bits below the shift are only the middle of the interval, which becomes half of the last bit.
            below = magnitude & ((np.int64(1) << roi_shift) - 1)
            magnitude = magnitude >> roi_shift | (below != 0)
            coefficients[k] = -magnitude if coefficients[k] < 0 else magnitude


@kernel
def _store(coefficients, half_step, reversible, band):
    """Dequantise (E.1): coefficients are stored times two."""
    rows, columns = band.shape
    for row in range(rows):
        start = row * columns
        if reversible:
            for column in range(columns):
                value = coefficients[start + column]
                band[row, column] = -(-value >> 1) if value < 0 else value >> 1
        else:
            for column in range(columns):
                band[row, column] = np.float32(coefficients[start + column]) * half_step
