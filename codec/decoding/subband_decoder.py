"""Decoding of subbands: code-blocks, region-of-interest shift and step size (T.800 Annexes D, E and H)."""

from typing import NamedTuple

import numpy as np

from codec.decoding.block_decoder import MAX_DECODED_PLANES, decode_block
from codec.decoding.block_state import SIGN_BIT, SubbandCoding, new_workspace, with_words
from codec.decoding.packet_header_reader import LENGTH, NEXT
from codec.decoding.tile_layout import (
    FIRST_BLOCK,
    GRID_HEIGHT,
    GRID_WIDTH,
    GRID_X0,
    GRID_Y0,
    HEIGHT,
    SUBBAND,
    WIDTH,
    X0,
    X1,
    Y0,
    Y1,
)  # fmt: skip
from codec.jit import kernel
from codec.mq_tables import ZERO_CODING_CONTEXTS

INITIAL_WORDS = 1024
MAGNITUDE = np.uint32((1 << SIGN_BIT) - 1)


class TileCoding(NamedTuple):
    """How the code-blocks of a tile's subbands are coded; arrays have one element for each subband.

    Attributes
    ----------
    planes : numpy.ndarray
        int64: bit-planes, the region-of-interest shift included (equations E-2 and H-1).
    half_steps : numpy.ndarray
        float32: half the quantisation steps.
    orientation_classes : numpy.ndarray
        int64: rows of `codec.mq_tables.ZERO_CODING_CONTEXTS`.
    roi_shift : int
        The shift of RGN (H.1), 0 for none.
    block_style : int
        Code-block style (Table A.19).
    reversible : bool
        Whether coefficients are integers, without a step.
    """

    planes: np.ndarray
    half_steps: np.ndarray
    orientation_classes: np.ndarray
    roi_shift: int
    block_style: int
    reversible: bool


@kernel
def decode_subbands(contributions, band_table, precinct_bands, coding, first, coefficients, decoded, share, shares):
    """Decode subbands that follow each other, or one share of their code-blocks.

    Parameters
    ----------
    contributions : Contributions
    band_table, precinct_bands : numpy.ndarray
        As of `codec.decoding.tile_layout.TileLayout`.
    coding : TileCoding
    first : int
        The first subband; `decoded.size` are decoded.
    coefficients : numpy.ndarray
        float32, or int32 where reversible, zero on entry: subband after subband.
    decoded : numpy.ndarray
        int64, written: of each subband as `decode_subband` returns it.
    share, shares : int
        As of `decode_subband`.
    """
    start = 0
    for k in range(decoded.size):
        index = first + k
        row = band_table[index]
        width, height = max(row[2] - row[0], 0), max(row[3] - row[1], 0)
        band = coefficients[start : start + width * height].reshape((height, width))
        start += width * height
        of_band = SubbandCoding(
            row[0],
            row[1],
            row[WIDTH],
            row[HEIGHT],
            coding.planes[index],
            coding.roi_shift,
            coding.block_style,
            ZERO_CODING_CONTEXTS[coding.orientation_classes[index]],
            coding.half_steps[index],
            coding.reversible,
        )
        rows = precinct_bands[precinct_bands[:, SUBBAND] == index]
        decoded[k] = decode_subband(contributions, rows, of_band, band, share, shares)


@kernel
def decode_subband(contributions, band_rows, coding, band, share, shares):
    """Decode the code-blocks of one subband into `band`, or every `shares`-th of them, so that threads share the work.

    Parameters
    ----------
    contributions : Contributions
    band_rows : numpy.ndarray
        int64: the subband's rows of `codec.decoding.tile_layout.TileLayout.precinct_bands`.
    coding : SubbandCoding
    band : numpy.ndarray
        float32, or int32 where reversible, [rows, columns], zero on entry.
    share, shares : int
        Which share of the code-blocks is decoded, and the number of shares.

    Returns
    -------
    int
        Number of code-blocks with data; -1 where one has more bit-planes than can be decoded.
    """
    work = new_workspace(INITIAL_WORDS)
    decoded = 0
    for row in range(band_rows.shape[0]):
        for k in range(band_rows[row, GRID_WIDTH] * band_rows[row, GRID_HEIGHT]):
            block = band_rows[row, FIRST_BLOCK] + k
            planes = coding.planes - contributions.zero_planes[block]
            if block % shares != share or contributions.first[block] < 0 or planes <= 0:
                continue
            if planes > MAX_DECODED_PLANES:
                return -1
            left, right, top, bottom = block_area(band_rows[row], k, coding.block_width, coding.block_height)
            needed = _words_needed(contributions.pieces, contributions.first[block])
            if work.words.size < needed:
                work = with_words(work, needed)
            decode_block(contributions, block, coding, planes, right - left, bottom - top, work)
            if coding.roi_shift > 0:
                _undo_roi_shift(work.coefficients[: (right - left) * (bottom - top)], coding.roi_shift)
            x0, y0 = coding.x0, coding.y0
            part = band[top - y0 : bottom - y0, left - x0 : right - x0]
            _store(work.coefficients, coding.half_step, coding.reversible, part)
            decoded += 1
    return decoded


@kernel
def block_area(band_row, k, block_width, block_height):
    """Left, right, top and bottom of code-block `k` of a row of `precinct_bands`, in the subband's coordinates."""
    column = band_row[GRID_X0] + k % band_row[GRID_WIDTH]
    line = band_row[GRID_Y0] + k // band_row[GRID_WIDTH]
    left, right = max(band_row[X0], column << block_width), min(band_row[X1], (column + 1) << block_width)
    top, bottom = max(band_row[Y0], line << block_height), min(band_row[Y1], (line + 1) << block_height)
    return left, right, top, bottom


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
        magnitude = coefficients[k] & MAGNITUDE
        if magnitude >> (roi_shift + 1):
            # The bits below the shift are only the middle of the interval, which becomes half of the last bit.
            below = magnitude & ((np.int64(1) << roi_shift) - 1)
            coefficients[k] = (coefficients[k] & ~MAGNITUDE) | magnitude >> roi_shift | (below != 0)


@kernel
def _store(coefficients, half_step, reversible, band):
    """Dequantise (E.1): magnitudes are stored times two."""
    rows, columns = band.shape
    for row in range(rows):
        line = coefficients[row * columns : (row + 1) * columns]
        if reversible:
            for column in range(columns):
                magnitude = np.int32((line[column] & MAGNITUDE) >> np.uint32(1))
                band[row, column] = -magnitude if line[column] >> SIGN_BIT else magnitude
        else:
            for column in range(columns):
                value = np.float32(np.int32(line[column] & MAGNITUDE)) * half_step
                band[row, column] = -value if line[column] >> SIGN_BIT else value
