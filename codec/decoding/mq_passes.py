"""The coding passes of a code-block with the MQ decoder (T.800 Annex D.3); their state is that of `block_state`."""

import numpy as np

from codec.decoding.block_state import ALL_CODED, ALL_SELF, ANY, CODED, FOUR_ROWS, NEIGHBOURS, SELF
from codec.decoding.mq_decoder import DATA_WORDS, decode_symbol
from codec.decoding.neighbour_flags import row_of, rows_near_significance, sign_pattern, update_neighbours
from codec.jit import kernel, trailing_zeros_64
from codec.mq_tables import REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM

SIGN_TABLE = (SIGN_CONTEXTS | SIGN_FLIPS << 7).astype(np.uint8)


@kernel
def significance_pass(work, width, height, value, causal, zero_coding):
    """Significance propagation pass (D.3.1): insignificant coefficients with significant neighbours."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    stride = width + 2
    for top in range(0, height, 4):
        rows = FOUR_ROWS >> 3 * max(top + 4 - height, 0)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = old = flags[np.uintp(position)]
            due = rows_near_significance(state) & ~(state >> 4) & rows
            if due == 0:
                continue
            west, east = flags[np.uintp(position - 1)], flags[np.uintp(position + 1)]
            while due:
                shift = trailing_zeros_64(due)
                due &= due - 1
                neighbourhood = state >> shift
                k = np.uintp(zero_coding[np.uintp(neighbourhood & NEIGHBOURS)])
                bit, contexts[k], a, c, ct, at = decode_symbol(contexts[k], words[np.uintp(at)], count, a, c, ct, at)
                state |= CODED << shift
                if bit:
                    sign = SIGN_TABLE[np.uintp(sign_pattern(west, east, neighbourhood, shift))]
                    k = np.uintp(sign & 31)
                    bit, contexts[k], a, c, ct, at = decode_symbol(contexts[k], words[np.uintp(at)], count, a, c, ct, at)
                    negative = bit ^ (sign >> 7)
                    coefficients[np.uintp((top + row_of(shift)) * width + column)] = (value ^ -negative) + negative
                    state |= (SELF | negative << 21) << shift
                    due |= (8 << shift) & ~(state >> 4) & rows
            new = (state ^ old) & ALL_SELF
            if new:
                update_neighbours(flags, position, stride, state, new, causal)
            flags[np.uintp(position)] = state
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel
def refinement_pass(work, width, height, half):
    """Magnitude refinement pass (D.3.3): coefficients that were significant before this bit-plane."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    stride = width + 2
    for top in range(0, height, 4):
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[np.uintp(position)]
            due = (state >> 4) & ~(state >> 19) & FOUR_ROWS
            flags[np.uintp(position)] = state | due << 20
            while due:
                shift = trailing_zeros_64(due)
                due &= due - 1
                neighbourhood = state >> shift
                refined = (neighbourhood >> 20) & 1
                k = np.uintp(REFINEMENT + max(2 * refined, np.int64(neighbourhood & NEIGHBOURS != 0)))
                bit, contexts[k], a, c, ct, at = decode_symbol(contexts[k], words[np.uintp(at)], count, a, c, ct, at)
                index = np.uintp((top + row_of(shift)) * width + column)
                old = coefficients[index]
                negative = np.int64(old) >> 63 ^ (bit - 1)  # 0 or -1, of what is added
                coefficients[index] = old + ((half ^ negative) - negative)
    mq[0], mq[1], mq[2], mq[3] = a, c, ct, at


@kernel
def cleanup_pass(work, width, height, value, causal, zero_coding):
    """Cleanup pass (D.3.4): the remaining coefficients; columns without significance around by a run-length symbol."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, ct, at = mq[0], mq[1], mq[2], mq[3]
    stride = width + 2
    run, uniform = contexts[RUN_LENGTH], contexts[UNIFORM]
    for top in range(0, height, 4):
        rows = FOUR_ROWS >> 3 * max(top + 4 - height, 0)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = old = flags[np.uintp(position)]
            due, is_one = ~(state >> 4 | state >> 19) & rows, False
            if state & ANY == 0 and rows == FOUR_ROWS:
                bit, run, a, c, ct, at = decode_symbol(run, words[np.uintp(at)], count, a, c, ct, at)
                if bit == 0:
                    continue
                # The uniform context has one state.
                high, _, a, c, ct, at = decode_symbol(uniform, words[np.uintp(at)], count, a, c, ct, at)
                low, _, a, c, ct, at = decode_symbol(uniform, words[np.uintp(at)], count, a, c, ct, at)
                due, is_one = FOUR_ROWS << 3 * (2 * high + low) & FOUR_ROWS, True
            west, east = flags[np.uintp(position - 1)], flags[np.uintp(position + 1)]
            while due:
                shift = trailing_zeros_64(due)
                due &= due - 1
                neighbourhood = state >> shift
                bit = np.int64(1)
                if not is_one:
                    k = np.uintp(zero_coding[np.uintp(neighbourhood & NEIGHBOURS)])
                    bit, contexts[k], a, c, ct, at = decode_symbol(contexts[k], words[np.uintp(at)], count, a, c, ct, at)
                is_one = False
                if bit:
                    sign = SIGN_TABLE[np.uintp(sign_pattern(west, east, neighbourhood, shift))]
                    k = np.uintp(sign & 31)
                    bit, contexts[k], a, c, ct, at = decode_symbol(contexts[k], words[np.uintp(at)], count, a, c, ct, at)
                    negative = bit ^ (sign >> 7)
                    coefficients[np.uintp((top + row_of(shift)) * width + column)] = (value ^ -negative) + negative
                    state |= (SELF | negative << 21) << shift
            new = (state ^ old) & ALL_SELF
            if new:
                update_neighbours(flags, position, stride, state, new, causal)
            flags[np.uintp(position)] = state & ~ALL_CODED
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
