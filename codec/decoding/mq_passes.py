"""The coding passes of a code-block with the MQ decoder (T.800 Annex D.3); their state is that of `block_state`."""

import numpy as np

from codec.decoding.block_state import GROUP_COLUMNS, SIGN_BIT, WORD_ROWS, bitmap_stride
from codec.decoding.mq_decoder import DATA_WORDS, decode_symbol
from codec.decoding.neighbour_flags import (
    FIRST_ROW,
    LATER,
    NONE,
    ONE_ROW,
    REACH,
    THREE_ROWS,
    TWO_ROWS,
    members_of_group,
    near_significance,
    sign_pattern,
    update_neighbours,
)
from codec.jit import kernel, trailing_zeros_64
from codec.mq_tables import REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM

SIGN_TABLE = (SIGN_CONTEXTS | SIGN_FLIPS << 7).astype(np.uint8)
FIRST_REFINEMENT = np.uintp(REFINEMENT)
ONE, COLUMN = np.uint64(1), np.uint64(15)


@kernel
def significance_pass(work, width, height, value, causal, zero_coding):
    """Significance propagation pass (D.3.1): insignificant coefficients with significant neighbours."""
    significant, coefficients, contexts = work.significant, work.coefficients, work.contexts
    neighbours, negative, reach = work.neighbours, work.negative, REACH[np.int64(causal)]
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group = (top // 4 + 1) * bitmap_stride(width) + left // GROUP_COLUMNS + 1
            found, members = significant[group], members_of_group(width, height, top, left)
            due = near_significance(significant, group, bitmap_stride(width), causal) & ~found & members
            coded = due
            first = (top // WORD_ROWS + 1) * (width + 2) + left + 1
            while due:
                k = trailing_zeros_64(np.int64(due))
                due &= due - ONE
                row, position = k & 3, first + (k >> 2)
                shift = 3 * (top % WORD_ROWS + row)
                pattern = (neighbours[np.uintp(position)] >> shift) & reach[np.uintp(row)]
                x = np.uintp(zero_coding[np.uintp(pattern)])
                bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], count, a, c, ct, at)
                if bit:
                    sign = SIGN_TABLE[np.uintp(sign_pattern(
                        pattern, negative[np.uintp(position - 1)] >> shift, negative[np.uintp(position)] >> shift,
                        negative[np.uintp(position + 1)] >> shift))]
                    x = np.uintp(sign & 31)
                    bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], count, a, c, ct, at)
                    bit ^= sign >> 7
                    coefficients[np.uintp((top + row) * width + left + (k >> 2))] = value | bit << SIGN_BIT
                    update_neighbours(neighbours, negative, position, width + 2, shift, bit)
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
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    half = np.int64(1) << plane
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group = (top // 4 + 1) * bitmap_stride(width) + left // GROUP_COLUMNS + 1
            due = significant[group] & ~work.coded[group]
            if due == 0:
                continue
            refined = work.refined[group]
            work.refined[group] = refined | due
            near = near_significance(significant, group, bitmap_stride(width), causal) & ~refined
            while due:
                k = trailing_zeros_64(np.int64(due))
                due &= due - ONE
                x = FIRST_REFINEMENT + np.uintp(2) * (refined >> np.uint64(k) & ONE) + (near >> np.uint64(k) & ONE)
                bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], count, a, c, ct, at)
                coefficients[np.uintp((top + (k & 3)) * width + left + (k >> 2))] += (bit << (plane + 1)) - half
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel
def cleanup_pass(work, width, height, value, causal, zero_coding):
    """Cleanup pass (D.3.4): the remaining coefficients; columns without significance around by a run-length symbol."""
    significant, coefficients, contexts = work.significant, work.coefficients, work.contexts
    neighbours, negative, reach = work.neighbours, work.negative, REACH[np.int64(causal)]
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    run, uniform = contexts[RUN_LENGTH], contexts[UNIFORM]
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group = (top // 4 + 1) * bitmap_stride(width) + left // GROUP_COLUMNS + 1
            found = significant[group]
            due = ~(found | work.coded[group]) & members_of_group(width, height, top, left)
            work.coded[group] = 0
            if due == 0:
                continue
            near = near_significance(significant, group, bitmap_stride(width), causal)
            near |= found
            near |= near >> TWO_ROWS
            empty = ~(near | near >> ONE_ROW) & FIRST_ROW if top + 4 <= height else NONE
            first = (top // WORD_ROWS + 1) * (width + 2) + left + 1
            while due:
                k = trailing_zeros_64(np.int64(due))
                bit = np.int64(1)
                in_run = (empty >> np.uint64(k)) & ONE
                if in_run:
                    bit, run, a, c, ct, at = decode_symbol(run, words[np.uintp(at)], count, a, c, ct, at)
                    if bit == 0:
                        due &= ~(COLUMN << np.uint64(k))
                        continue
                    # The uniform context has one state.
                    high, _, a, c, ct, at = decode_symbol(uniform, words[np.uintp(at)], count, a, c, ct, at)
                    low, _, a, c, ct, at = decode_symbol(uniform, words[np.uintp(at)], count, a, c, ct, at)
                    due &= ~(((ONE << np.uint64(2 * high + low)) - ONE) << np.uint64(k))
                    k += 2 * high + low
                due &= due - ONE
                row, position = k & 3, first + (k >> 2)
                shift = 3 * (top % WORD_ROWS + row)
                pattern = (neighbours[np.uintp(position)] >> shift) & reach[np.uintp(row)]
                if not in_run:
                    x = np.uintp(zero_coding[np.uintp(pattern)])
                    bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], count, a, c, ct, at)
                if bit:
                    sign = SIGN_TABLE[np.uintp(sign_pattern(
                        pattern, negative[np.uintp(position - 1)] >> shift, negative[np.uintp(position)] >> shift,
                        negative[np.uintp(position + 1)] >> shift))]
                    x = np.uintp(sign & 31)
                    bit, contexts[x], a, c, ct, at = decode_symbol(contexts[x], words[np.uintp(at)], count, a, c, ct, at)
                    bit ^= sign >> 7
                    coefficients[np.uintp((top + row) * width + left + (k >> 2))] = value | bit << SIGN_BIT
                    update_neighbours(neighbours, negative, position, width + 2, shift, bit)
                    found |= ONE << np.uint64(k)
                    empty &= ~(np.uint64(2) << (np.uint64(k) | THREE_ROWS))
            significant[group] = found
    contexts[RUN_LENGTH] = run
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel
def segmentation_symbol(work):
    """Decode the four symbols that end a bit-plane (D.5), without a check of their values."""
    contexts, mq, words, count = work.contexts, work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    for _ in range(4):
        _, _, a, c, ct, at = decode_symbol(contexts[UNIFORM], words[at], count, a, c, ct, at)
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at
