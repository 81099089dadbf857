"""Decoding of code-blocks: the three coding passes of each bit-plane (T.800 Annex D).

The state of a code-block is one word for every column of a stripe of four rows. Bits 0-17 are the significance of the
3 × 6 coefficients in and around the column, three to a row. From bit 18 on each row has three more flags: negative
(rows -1 to 4 of the stripe), and for rows 0 to 3 "coded in this bit-plane's significance pass" and "refined before".
Shifted right by three times the row, a word has the same layout for each coefficient; that is the index of the tables.

Magnitudes are stored times two, with the bit below the last decoded one set: the middle of the known interval (E.1.1.2
with r = 1/2).
"""

from typing import NamedTuple

import numpy as np

from codec.decoding.coding_parameters import BYPASS, RESET_CONTEXTS, SEGMENTATION_SYMBOLS, VERTICALLY_CAUSAL
from codec.decoding.mq_decoder import (
    DATA_WORDS,
    INITIAL_CONTEXTS,
    NEXT_WORD,
    RAW_POSITION,
    SLOTS,
    WORD_BITS,
    decode_symbol,
    load_segment,
    raw_bit,
    start_mq,
)
from codec.decoding.neighbour_flags import sign_pattern, update_neighbours
from codec.decoding.packet_header_reader import passes_to_segment_end
from codec.jit import kernel
from codec.mq_tables import CONTEXTS, REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM

MAX_DECODED_PLANES = 30

# Bits of a word, as seen by row 0.
SELF, NEIGHBOURS, ANY = 1 << 4, 0x1EF, 0x3FFFF
NEGATIVE, CODED, REFINED = 1 << 21, 1 << 19, 1 << 20
ALL_CODED = CODED | CODED << 3 | CODED << 6 | CODED << 9
FOUR_ROWS = 0o1111

MAX_BLOCK_SAMPLES = 4096  # also enough words for the state of any code-block (A.6.1 limits both)


class Workspace(NamedTuple):
    """Arrays that one task uses for all its code-blocks.

    Attributes
    ----------
    coefficients : numpy.ndarray
        int32.
    flags, contexts, mq, words : numpy.ndarray
        int64: the state of columns; contexts, state and words of the segment as in `codec.decoding.mq_decoder`.
    """

    coefficients: np.ndarray
    flags: np.ndarray
    contexts: np.ndarray
    mq: np.ndarray
    words: np.ndarray


class SubbandCoding(NamedTuple):
    """How the code-blocks of a subband are coded.

    Attributes
    ----------
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
    half_step : numpy.float32
        Half the quantisation step.
    reversible : bool
        Whether coefficients are integers, without a step.
    """

    x0: int
    y0: int
    block_width: int
    block_height: int
    planes: int
    roi_shift: int
    block_style: int
    zero_coding: np.ndarray
    half_step: np.float32
    reversible: bool


@kernel
def new_workspace(words):
    """Create a workspace for codeword segments of so many words."""
    return Workspace(
        np.empty(MAX_BLOCK_SAMPLES, np.int32),
        np.empty(MAX_BLOCK_SAMPLES, np.int64),
        np.empty(CONTEXTS, np.int64),
        np.empty(SLOTS, np.int64),
        np.empty(words, np.int64),
    )


SIGN_TABLE = (SIGN_CONTEXTS | SIGN_FLIPS << 7).astype(np.uint8)


@kernel
def _significance_pass(work, width, height, value, causal, zero_coding):
    """Significance propagation pass (D.3.1): insignificant coefficients with significant neighbours."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ahead, word = mq[0], mq[1], mq[2], mq[3], mq[4]
    stride = width + 2
    for top in range(0, height, 4):
        rows = min(4, height - top)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[position]
            if state & ANY == 0:
                continue
            for row in range(rows):
                shift = 3 * row
                neighbourhood = state >> shift
                if neighbourhood & SELF or not neighbourhood & NEIGHBOURS:
                    continue
                k = zero_coding[neighbourhood & NEIGHBOURS]
                bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                    contexts[k], words[word], count, a, c, d, ahead, word
                )
                state |= CODED << shift
                if bit:
                    sign = SIGN_TABLE[sign_pattern(flags, position, neighbourhood, shift)]
                    k = sign & 31
                    bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                        contexts[k], words[word], count, a, c, d, ahead, word
                    )
                    negative = bit ^ (sign >> 7)
                    coefficients[(top + row) * width + column] = -value if negative else value
                    state |= (SELF | negative << 21) << shift
                    update_neighbours(flags, position, stride, row, shift, negative, causal)
            flags[position] = state
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ahead, word


@kernel
def _refinement_pass(work, width, height, half):
    """Magnitude refinement pass (D.3.3): coefficients that were significant before this bit-plane."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ahead, word = mq[0], mq[1], mq[2], mq[3], mq[4]
    stride = width + 2
    for top in range(0, height, 4):
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[position]
            due = (state >> 4) & ~(state >> 19) & FOUR_ROWS
            if due == 0:
                continue
            for row in range(4):
                shift = 3 * row
                if not (due >> shift) & 1:
                    continue
                neighbourhood = state >> shift
                k = REFINEMENT + (2 if neighbourhood & REFINED else 1 if neighbourhood & NEIGHBOURS else 0)
                bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                    contexts[k], words[word], count, a, c, d, ahead, word
                )
                index = (top + row) * width + column
                old = coefficients[index]
                step = half if bit else -half
                coefficients[index] = old - step if old < 0 else old + step
            flags[position] = state | due << 20
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ahead, word


@kernel
def _cleanup_pass(work, width, height, value, causal, zero_coding):
    """Cleanup pass (D.3.4): the remaining coefficients; columns without significance around by a run-length symbol."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ahead, word = mq[0], mq[1], mq[2], mq[3], mq[4]
    stride = width + 2
    for top in range(0, height, 4):
        rows = min(4, height - top)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[position]
            first = 0
            is_one = False
            if rows == 4 and state & ANY == 0:
                k = RUN_LENGTH
                bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                    contexts[k], words[word], count, a, c, d, ahead, word
                )
                if bit == 0:
                    continue
                k = UNIFORM
                bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                    contexts[k], words[word], count, a, c, d, ahead, word
                )
                first = 2 * bit
                bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                    contexts[k], words[word], count, a, c, d, ahead, word
                )
                first += bit
                is_one = True
            for row in range(first, rows):
                shift = 3 * row
                neighbourhood = state >> shift
                if neighbourhood & (SELF | CODED):
                    continue
                bit = 1
                if not is_one:
                    k = zero_coding[neighbourhood & NEIGHBOURS]
                    bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                        contexts[k], words[word], count, a, c, d, ahead, word
                    )
                is_one = False
                if bit:
                    sign = SIGN_TABLE[sign_pattern(flags, position, neighbourhood, shift)]
                    k = sign & 31
                    bit, contexts[k], a, c, d, ahead, word = decode_symbol(
                        contexts[k], words[word], count, a, c, d, ahead, word
                    )
                    negative = bit ^ (sign >> 7)
                    coefficients[(top + row) * width + column] = -value if negative else value
                    state |= (SELF | negative << 21) << shift
                    update_neighbours(flags, position, stride, row, shift, negative, causal)
            flags[position] = state & ~ALL_CODED
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ahead, word


@kernel
def _segmentation_symbol(work):
    """Decode the four symbols that end a bit-plane (D.5), without a check of their values."""
    contexts, mq, words, count = work.contexts, work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ahead, word = mq[0], mq[1], mq[2], mq[3], mq[4]
    k = UNIFORM
    for _ in range(4):
        _, contexts[k], a, c, d, ahead, word = decode_symbol(contexts[k], words[word], count, a, c, d, ahead, word)
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ahead, word


@kernel
def _raw_significance_pass(work, width, height, value, causal):
    """Significance propagation pass of the bypass mode (D.6)."""
    flags, coefficients = work.flags, work.coefficients
    words, count, at = work.words, work.mq[DATA_WORDS], work.mq[RAW_POSITION]
    stride = width + 2
    for top in range(0, height, 4):
        rows = min(4, height - top)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[position]
            for row in range(rows):
                shift = 3 * row
                neighbourhood = state >> shift
                if neighbourhood & SELF or not neighbourhood & NEIGHBOURS:
                    continue
                state |= CODED << shift
                at += 1
                if raw_bit(words, count, at - 1):
                    negative = raw_bit(words, count, at)
                    at += 1
                    coefficients[(top + row) * width + column] = -value if negative else value
                    state |= (SELF | negative << 21) << shift
                    update_neighbours(flags, position, stride, row, shift, negative, causal)
            flags[position] = state
    work.mq[RAW_POSITION] = at


@kernel
def _raw_refinement_pass(work, width, height, half):
    """Magnitude refinement pass of the bypass mode (D.6)."""
    flags, coefficients = work.flags, work.coefficients
    words, count, at = work.words, work.mq[DATA_WORDS], work.mq[RAW_POSITION]
    stride = width + 2
    for top in range(0, height, 4):
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            due = (flags[position] >> 4) & ~(flags[position] >> 19) & FOUR_ROWS
            for row in range(4):
                if (due >> (3 * row)) & 1:
                    index = (top + row) * width + column
                    old = coefficients[index]
                    step = half if raw_bit(words, count, at) else -half
                    at += 1
                    coefficients[index] = old - step if old < 0 else old + step
            flags[position] |= due << 20
    work.mq[RAW_POSITION] = at


@kernel
def _reset(contexts):
    for k in range(contexts.size):
        contexts[k] = INITIAL_CONTEXTS[k]


@kernel
def decode_block(contributions, block, coding, planes, width, height, work):
    """Decode one code-block (Annex D).

    Parameters
    ----------
    contributions : Contributions
        Of which the code-block has at least one piece. Where the last one lacks bytes, no pass starts after them.
    block : int
        Index of the code-block.
    coding : SubbandCoding
    planes : int
        How many bit-planes the code-block has, 1 to `MAX_DECODED_PLANES`.
    width, height : int
        Of the code-block.
    work : Workspace
        `coefficients` receives width × height coefficients in raster order, times two (see above).
    """
    work.coefficients[: width * height] = 0
    work.flags[: (width + 2) * ((height + 3) // 4 + 2)] = 0
    _reset(work.contexts)
    style, truncated = coding.block_style, contributions.truncated[block] != 0
    causal = (style & VERTICALLY_CAUSAL) != 0
    plane = np.int64(planes - 1)
    kind = 2  # 0 significance propagation, 1 magnitude refinement, 2 cleanup
    index = np.int64(0)
    piece = np.int64(contributions.first[block])
    while piece >= 0:
        raw = (style & BYPASS) != 0 and index >= 10 and kind != 2
        end_pass = index + passes_to_segment_end(index, style)
        piece, passes, count = load_segment(contributions.data, contributions.pieces, piece, end_pass, work.words, raw)
        start_mq(work.mq, work.words, count)
        for _ in range(passes):
            if plane < 0 or (truncated and piece < 0 and _at_end(work.mq, raw, index)):
                return
            half, value = np.int32(1 << plane), np.int32(3 << plane)
            if kind == 0 and raw:
                _raw_significance_pass(work, width, height, value, causal)
            elif kind == 0:
                _significance_pass(work, width, height, value, causal, coding.zero_coding)
            elif kind == 1 and raw:
                _raw_refinement_pass(work, width, height, half)
            elif kind == 1:
                _refinement_pass(work, width, height, half)
            else:
                _cleanup_pass(work, width, height, value, causal, coding.zero_coding)
                if style & SEGMENTATION_SYMBOLS:
                    _segmentation_symbol(work)
                plane -= 1
            if style & RESET_CONTEXTS:
                _reset(work.contexts)
            kind = (kind + 1) % 3
            index += 1


@kernel
def _at_end(mq, raw, index):
    """Whether all bytes of the segment are used; the first pass always starts."""
    if raw:
        return mq[RAW_POSITION] >= mq[DATA_WORDS] * WORD_BITS
    return mq[NEXT_WORD] >= mq[DATA_WORDS] and index > 0
