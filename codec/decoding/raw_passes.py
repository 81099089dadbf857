"""The coding passes of a code-block from raw bits, in the bypass mode (T.800 Annex D.6)."""

import numpy as np

from codec.decoding.block_state import GROUP_COLUMNS, SIGN_BIT, WORD_ROWS
from codec.decoding.mq_decoder import DATA_WORDS, RAW_POSITION, raw_bit
from codec.decoding.neighbour_flags import LATER, group_members, group_place, near_significance, update_neighbours
from codec.jit import kernel, trailing_zeros_64

ONE = np.uint64(1)


@kernel
def raw_significance_pass(work, width, height, value, causal):
    """Significance propagation pass of the bypass mode (D.6)."""
    significant, coefficients = work.significant, work.coefficients
    words, count, at = work.words, work.mq[DATA_WORDS], work.mq[RAW_POSITION]
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group, stride, first = group_place(width, top, left)
            found, members = significant[group], group_members(width, height, top, left)
            due = near_significance(significant, group, stride, causal) & ~found & members
            coded = due
            while due:
                k = trailing_zeros_64(np.int64(due))
                due &= due - ONE
                at += 1
                if raw_bit(words, count, at - 1):
                    negative = raw_bit(words, count, at)
                    at += 1
                    row, column = top + (k & 3), left + (k >> 2)
                    coefficients[row * width + column] = value | negative << SIGN_BIT
                    update_neighbours(
                        work.neighbours, work.signs, first + (k >> 2), width + 2, 3 * (row % WORD_ROWS), negative
                    )
                    found |= ONE << np.uint64(k)
                    later = LATER[k & 3] << np.uint64(k) & ~found & members
                    due |= later
                    coded |= later
            significant[group], work.coded[group] = found, coded
    work.mq[RAW_POSITION] = at


@kernel
def raw_refinement_pass(work, width, height, plane):
    """Magnitude refinement pass of the bypass mode (D.6)."""
    coefficients = work.coefficients
    words, count, at = work.words, work.mq[DATA_WORDS], work.mq[RAW_POSITION]
    half = np.int64(1) << plane
    for top in range(0, height, 4):
        for left in range(0, width, GROUP_COLUMNS):
            group, _, _ = group_place(width, top, left)
            due = work.significant[group] & ~work.coded[group]
            work.refined[group] |= due
            while due:
                k = trailing_zeros_64(np.int64(due))
                due &= due - ONE
                bit = raw_bit(words, count, at)
                at += 1
                coefficients[(top + (k & 3)) * width + left + (k >> 2)] += (bit << (plane + 1)) - half
    work.mq[RAW_POSITION] = at
