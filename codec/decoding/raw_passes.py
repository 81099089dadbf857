"""The coding passes of a code-block from raw bits, in the bypass mode (T.800 Annex D.6)."""

from codec.decoding.block_state import CODED, FOUR_ROWS, NEIGHBOURS, SELF
from codec.decoding.mq_decoder import DATA_WORDS, RAW_POSITION, raw_bit
from codec.decoding.neighbour_flags import update_neighbours
from codec.jit import kernel


@kernel
def raw_significance_pass(work, width, height, value, causal):
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
                shift, neighbourhood = 3 * row, state >> 3 * row
                if neighbourhood & SELF or not neighbourhood & NEIGHBOURS:
                    continue
                state |= CODED << shift
                at += 1
                if raw_bit(words, count, at - 1):
                    negative = raw_bit(words, count, at)
                    at += 1
                    coefficients[(top + row) * width + column] = -value if negative else value
                    state |= (SELF | negative << 21) << shift
                    update_neighbours(flags, position, stride, state, SELF << shift, causal)
            flags[position] = state
    work.mq[RAW_POSITION] = at


@kernel
def raw_refinement_pass(work, width, height, half):
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
