"""The coding passes of a code-block with the MQ decoder (T.800 Annex D.3); their state is that of `block_state`."""

import numpy as np

from codec.decoding.block_state import ALL_CODED, ANY, CODED, FOUR_ROWS, NEIGHBOURS, REFINED, SELF
from codec.decoding.mq_decoder import DATA_WORDS, decode_symbol
from codec.decoding.neighbour_flags import sign_pattern, update_neighbours
from codec.jit import kernel
from codec.mq_tables import REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM

SIGN_TABLE = (SIGN_CONTEXTS | SIGN_FLIPS << 7).astype(np.uint8)


@kernel
def significance_pass(work, width, height, value, causal, zero_coding):
    """Significance propagation pass (D.3.1): insignificant coefficients with significant neighbours."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ct, at = mq[0], mq[1], mq[2], mq[3], mq[4]
    stride = width + 2
    for top in range(0, height, 4):
        rows = min(4, height - top)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[position]
            if state & ANY == 0:
                continue
            for row in range(rows):
                shift, neighbourhood = 3 * row, state >> 3 * row
                if neighbourhood & SELF or not neighbourhood & NEIGHBOURS:
                    continue
                k = zero_coding[neighbourhood & NEIGHBOURS]
                bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                state |= CODED << shift
                if bit:
                    sign = SIGN_TABLE[sign_pattern(flags, position, neighbourhood, shift)]
                    k = sign & 31
                    bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                    negative = bit ^ (sign >> 7)
                    coefficients[(top + row) * width + column] = -value if negative else value
                    state |= (SELF | negative << 21) << shift
                    update_neighbours(flags, position, stride, row, shift, negative, causal)
            flags[position] = state
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ct, at


@kernel
def refinement_pass(work, width, height, half):
    """Magnitude refinement pass (D.3.3): coefficients that were significant before this bit-plane."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ct, at = mq[0], mq[1], mq[2], mq[3], mq[4]
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
                bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                index = (top + row) * width + column
                old = coefficients[index]
                step = half if bit else -half
                coefficients[index] = old - step if old < 0 else old + step
            flags[position] = state | due << 20
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ct, at


@kernel
def cleanup_pass(work, width, height, value, causal, zero_coding):
    """Cleanup pass (D.3.4): the remaining coefficients; columns without significance around by a run-length symbol."""
    flags, coefficients, contexts = work.flags, work.coefficients, work.contexts
    mq, words, count = work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ct, at = mq[0], mq[1], mq[2], mq[3], mq[4]
    stride = width + 2
    for top in range(0, height, 4):
        rows = min(4, height - top)
        for column in range(width):
            position = ((top >> 2) + 1) * stride + column + 1
            state = flags[position]
            first, is_one = 0, False
            if rows == 4 and state & ANY == 0:
                k = RUN_LENGTH
                bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                if bit == 0:
                    continue
                k = UNIFORM
                bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                first = 2 * bit
                bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                first, is_one = first + bit, True
            for row in range(first, rows):
                shift, neighbourhood = 3 * row, state >> 3 * row
                if neighbourhood & (SELF | CODED):
                    continue
                bit = 1
                if not is_one:
                    k = zero_coding[neighbourhood & NEIGHBOURS]
                    bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                is_one = False
                if bit:
                    sign = SIGN_TABLE[sign_pattern(flags, position, neighbourhood, shift)]
                    k = sign & 31
                    bit, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
                    negative = bit ^ (sign >> 7)
                    coefficients[(top + row) * width + column] = -value if negative else value
                    state |= (SELF | negative << 21) << shift
                    update_neighbours(flags, position, stride, row, shift, negative, causal)
            flags[position] = state & ~ALL_CODED
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ct, at


@kernel
def segmentation_symbol(work):
    """Decode the four symbols that end a bit-plane (D.5), without a check of their values."""
    contexts, mq, words, count = work.contexts, work.mq, work.words, work.mq[DATA_WORDS]
    a, c, d, ct, at = mq[0], mq[1], mq[2], mq[3], mq[4]
    k = UNIFORM
    for _ in range(4):
        _, contexts[k], a, c, d, ct, at = decode_symbol(contexts[k], words[at], count, a, c, d, ct, at)
    mq[0], mq[1], mq[2], mq[3], mq[4] = a, c, d, ct, at
