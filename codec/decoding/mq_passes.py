"""The coding passes of a code-block with the MQ decoder (T.800 Annex D.3); their state is that of `block_state`."""

import numpy as np

from codec.decoding.block_state import GROUP_COLUMNS, SIGN_BIT, WORD_ROWS
from codec.decoding.mq_decoder import DATA_WORDS, INITIAL_CONTEXTS, decode_symbol
from codec.decoding.neighbour_flags import (
    FIRST_ROW,
    LATER,
    NONE,
    ONE_ROW,
    REACH,
    THREE_ROWS,
    TWO_ROWS,
    group_members,
    group_place,
    near_significance,
    sign_pattern,
    update_neighbours,
)
from codec.jit import kernel, trailing_zeros_64
from codec.mq_tables import REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM

CONTEXT_MASK, FLIP_SHIFT = 31, 7
SIGN_TABLE = (SIGN_CONTEXTS | SIGN_FLIPS << FLIP_SHIFT).astype(np.uint8)
ONE, FOUR_ROWS = np.uint64(1), np.uint64(15)
UNIFORM_VALUE = int(INITIAL_CONTEXTS[UNIFORM])  # which has one state
FIRST_REFINEMENT, REFINED_BEFORE = np.uintp(REFINEMENT), np.uintp(2)


@kernel(forceinline=True)
def _read_sign(pattern, signs, position, shift, contexts, words, end, a, c, ct, at):
    """Decode a sign (D.3.2); returns 1 for negative, and the decoder's state."""
    west, own = signs[np.uintp(position - 1)] >> shift, signs[np.uintp(position)] >> shift
    east = signs[np.uintp(position + 1)] >> shift
    sign = SIGN_TABLE[np.uintp(sign_pattern(pattern, west, own, east))]
    x = np.uintp(sign & CONTEXT_MASK)
    bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], end, a, c, ct, at)
    return bit ^ (sign >> FLIP_SHIFT), a, c, ct, at


@kernel
def significance_pass(work, width, height, value, causal, zero_coding):
    """Significance propagation pass (D.3.1): insignificant coefficients with significant neighbours."""
    significant, coefficients, contexts = work.significant, work.coefficients, work.contexts
    neighbours, signs, reach = work.neighbours, work.signs, REACH[np.int64(causal)]
    mq, words, end = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group, stride, first = group_place(width, top, left)
            found, members = significant[group], group_members(width, height, top, left)
            due = near_significance(significant, group, stride, causal) & ~found & members
            coded = due
            while due:
                k = trailing_zeros_64(np.int64(due))
                due &= due - ONE
                row, position = k & 3, first + (k >> 2)
                shift = 3 * (top % WORD_ROWS + row)
                pattern = (neighbours[np.uintp(position)] >> shift) & reach[np.uintp(row)]
                x = np.uintp(zero_coding[np.uintp(pattern)])
                bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], end, a, c, ct, at)
                if bit:
                    bit, a, c, ct, at = _read_sign(pattern, signs, position, shift, contexts, words, end, a, c, ct, at)
                    coefficients[np.uintp((top + row) * width + left + (k >> 2))] = value | bit << SIGN_BIT
                    update_neighbours(neighbours, signs, position, width + 2, shift, bit)
                    found |= ONE << np.uint64(k)
                    later = LATER[np.uintp(row)] << np.uint64(k) & ~found & members
                    due |= later
                    coded |= later
            significant[group], work.coded[group] = found, coded
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel
def refinement_pass(work, width, height, plane, causal):
    """Magnitude refinement pass (D.3.3): coefficients that were significant before this bit-plane."""
    significant, coefficients, contexts = work.significant, work.coefficients, work.contexts
    mq, words, end = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    half = np.int64(1) << plane
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group, stride, _ = group_place(width, top, left)
            due = significant[group] & ~work.coded[group]
            if due == 0:
                continue
            refined = work.refined[group]
            work.refined[group] = refined | due
            near = near_significance(significant, group, stride, causal) & ~refined
            while due:
                k = trailing_zeros_64(np.int64(due))
                due &= due - ONE
                before, neighboured = refined >> np.uint64(k) & ONE, near >> np.uint64(k) & ONE
                x = FIRST_REFINEMENT + REFINED_BEFORE * before + neighboured
                bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], end, a, c, ct, at)
                coefficients[np.uintp((top + (k & 3)) * width + left + (k >> 2))] += (bit << (plane + 1)) - half
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel(forceinline=True)
def _decode_run(run, next_word, end, a, c, ct, at):
    """Decode where the first significant coefficient of a column is (D.3.4); returns the row, 4 for none.

    All three symbols together need no second word.
    """
    bit, run, a, c, ct, at = decode_symbol(run, next_word, end, a, c, ct, at)
    row = np.int64(4)
    if bit:
        high, _, a, c, ct, at = decode_symbol(UNIFORM_VALUE, next_word, end, a, c, ct, at)
        low, _, a, c, ct, at = decode_symbol(UNIFORM_VALUE, next_word, end, a, c, ct, at)
        row = 2 * high + low
    return row, run, a, c, ct, at


@kernel(forceinline=True)
def _empty_columns(found, near, rows):
    """The bitmap, in the first row, of the columns that begin with a run-length symbol."""
    near |= found
    near |= near >> TWO_ROWS
    return ~(near | near >> ONE_ROW) & FIRST_ROW if rows >= 4 else NONE


@kernel
def cleanup_pass(work, width, height, value, causal, zero_coding):
    """Cleanup pass (D.3.4): the remaining coefficients; columns without significance around by a run-length symbol."""
    significant, coefficients, contexts = work.significant, work.coefficients, work.contexts
    neighbours, signs, reach = work.neighbours, work.signs, REACH[np.int64(causal)]
    mq, words, end, run = work.mq, work.words, work.mq[DATA_WORDS], contexts[RUN_LENGTH]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group, stride, first = group_place(width, top, left)
            found = significant[group]
            due = ~(found | work.coded[group]) & group_members(width, height, top, left)
            work.coded[group] = 0
            if due == 0:
                continue
            empty = _empty_columns(found, near_significance(significant, group, stride, causal), height - top)
            while due:
                k, bit = trailing_zeros_64(np.int64(due)), np.int64(1)
                in_run = (empty >> np.uint64(k)) & ONE
                if in_run:
                    row, run, a, c, ct, at = _decode_run(run, words[np.uintp(at)], end, a, c, ct, at)
                    due &= ~(((ONE << np.uint64(row)) - ONE) << np.uint64(k))
                    if row == 4:
                        continue
                    k += row
                due &= due - ONE
                row, position = k & 3, first + (k >> 2)
                shift = 3 * (top % WORD_ROWS + row)
                pattern = (neighbours[np.uintp(position)] >> shift) & reach[np.uintp(row)]
                if not in_run:
                    x = np.uintp(zero_coding[np.uintp(pattern)])
                    bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], end, a, c, ct, at)
                if bit:
                    bit, a, c, ct, at = _read_sign(pattern, signs, position, shift, contexts, words, end, a, c, ct, at)
                    coefficients[np.uintp((top + row) * width + left + (k >> 2))] = value | bit << SIGN_BIT
                    update_neighbours(neighbours, signs, position, width + 2, shift, bit)
                    found |= ONE << np.uint64(k)
                    empty &= ~(np.uint64(2) << (np.uint64(k) | THREE_ROWS))  # the next column
            significant[group] = found
    contexts[RUN_LENGTH] = run
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel
def segmentation_symbol(work):
    """Decode the four symbols that end a bit-plane (D.5), without a check of their values."""
    mq, words, end = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    for _ in range(4):
        _, _, a, c, ct, at = decode_symbol(UNIFORM_VALUE, words[at], end, a, c, ct, at)
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at
