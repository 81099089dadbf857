"""Decoding of code-blocks: the three coding passes of each bit-plane (T.800 Annex D).

The state of a code-block is one word for every column of a stripe of four rows. Bits 0-17 are the significance of the
3 × 6 coefficients in and around the column, three to a row. From bit 18 on each row has three more flags: negative
(rows -1 to 4 of the stripe), and for rows 0 to 3 "coded in this bit-plane's significance pass" and "refined before".
Shifted right by three times the row, a word has the same layout for each coefficient; that is the index of the tables.

Magnitudes are stored times two, with the bit below the last decoded one set: the middle of the known interval (E.1.1.2
with r = 1/2).
"""

import numpy as np

from codec.decoding.coding_parameters import BYPASS, RESET_CONTEXTS, SEGMENTATION_SYMBOLS, VERTICALLY_CAUSAL
from codec.decoding.mq_decoder import (
    INITIAL_CONTEXTS,
    NEXT_WORD,
    WORD_BITS,
    decode_symbol,
    load_segment,
    raw_bit,
    start_mq,
)
from codec.decoding.neighbour_flags import sign_pattern, update_neighbours
from codec.decoding.packet_header_reader import passes_to_segment_end
from codec.jit import kernel
from codec.mq_tables import REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM

MAX_DECODED_PLANES = 30

# Bits of a word, as seen by row 0.
SELF, NEIGHBOURS, ANY = 1 << 4, 0x1EF, 0x3FFFF
NEGATIVE, CODED, REFINED = 1 << 21, 1 << 19, 1 << 20
ALL_CODED = CODED | CODED << 3 | CODED << 6 | CODED << 9
FOUR_ROWS = 0o1111

SIGN_TABLE = (SIGN_CONTEXTS | SIGN_FLIPS << 7).astype(np.uint8)


@kernel
def _significance_pass(flags, coefficients, width, height, value, causal, zero_coding, contexts, mq, words, count):
    """Significance propagation pass (D.3.1): insignificant coefficients with significant neighbours."""
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
def _refinement_pass(flags, coefficients, width, height, half, contexts, mq, words, count):
    """Magnitude refinement pass (D.3.3): coefficients that were significant before this bit-plane."""
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
def _cleanup_pass(flags, coefficients, width, height, value, causal, zero_coding, contexts, mq, words, count):
    """Cleanup pass (D.3.4): the remaining coefficients; columns without significance around by a run-length symbol."""
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
def _segmentation_symbol(contexts, mq, words, count):
    """Decode the four symbols that end a bit-plane (D.5), without a check of their values."""
    a, c, d, ahead, word = mq[0], mq[1], mq[2], mq[3], mq[4]
    k = UNIFORM
    for _ in range(4):
        _, contexts[k], a, c, d, ahead, word = decode_symbol(contexts[k], words[word], count, a, c, d, ahead, word)
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ahead, word


@kernel
def _raw_significance_pass(flags, coefficients, width, height, value, causal, words, count, at):
    """Significance propagation pass of the bypass mode (D.6); returns the position after the last bit read."""
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
    return at


@kernel
def _raw_refinement_pass(flags, coefficients, width, height, half, words, count, at):
    """Magnitude refinement pass of the bypass mode (D.6); returns the position after the last bit read."""
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
    return at


@kernel
def _reset(contexts):
    for k in range(contexts.size):
        contexts[k] = INITIAL_CONTEXTS[k]


@kernel
def decode_block(
    data, pieces, piece, truncated, planes, block_style, zero_coding, width, height,
    coefficients, flags, contexts, mq, words,
):  # fmt: skip
    """Decode one code-block (Annex D).

    Parameters
    ----------
    data, pieces : numpy.ndarray
        As in `codec.decoding.packet_reader.Contributions`.
    piece : int
        The block's first piece.
    truncated : bool
        Whether the last piece lacks bytes; then no pass starts after the last byte.
    planes : int
        How many bit-planes the block has, 1 to `MAX_DECODED_PLANES`.
    block_style : int
        Code-block style, T.800 Table A.19.
    zero_coding : numpy.ndarray
        uint8 [512]: the subband's row of `codec.mq_tables.ZERO_CODING_CONTEXTS`.
    width, height : int
        The block's size.
    coefficients : numpy.ndarray
        int32, receives width × height coefficients in raster order, times two (see above).
    flags, contexts, mq, words : numpy.ndarray
        int64, scratch.
    """
    for k in range(width * height):
        coefficients[k] = 0
    for k in range((width + 2) * ((height + 3) // 4 + 2)):
        flags[k] = 0
    _reset(contexts)
    causal = (block_style & VERTICALLY_CAUSAL) != 0
    plane = np.int64(planes - 1)
    kind = 2  # 0 significance propagation, 1 magnitude refinement, 2 cleanup
    index = np.int64(0)
    while piece >= 0:
        raw = (block_style & BYPASS) != 0 and index >= 10 and kind != 2
        end_pass = index + passes_to_segment_end(index, block_style)
        piece, passes, count = load_segment(data, pieces, piece, end_pass, words, raw)
        at = np.int64(0)
        start_mq(mq, words, count)
        for _ in range(passes):
            at_end = at >= count * WORD_BITS if raw else mq[NEXT_WORD] >= count and index > 0
            if plane < 0 or (truncated and piece < 0 and at_end):
                return
            half = np.int32(1 << plane)
            value = np.int32(3 << plane)
            if kind == 0 and raw:
                at = _raw_significance_pass(flags, coefficients, width, height, value, causal, words, count, at)
            elif kind == 0:
                _significance_pass(
                    flags, coefficients, width, height, value, causal, zero_coding, contexts, mq, words, count
                )
            elif kind == 1 and raw:
                at = _raw_refinement_pass(flags, coefficients, width, height, half, words, count, at)
            elif kind == 1:
                _refinement_pass(flags, coefficients, width, height, half, contexts, mq, words, count)
            else:
                _cleanup_pass(
                    flags, coefficients, width, height, value, causal, zero_coding, contexts, mq, words, count
                )
                if block_style & SEGMENTATION_SYMBOLS:
                    _segmentation_symbol(contexts, mq, words, count)
                plane -= 1
            if block_style & RESET_CONTEXTS:
                _reset(contexts)
            kind = (kind + 1) % 3
            index += 1
