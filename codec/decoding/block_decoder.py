"""Decoding of code-blocks, pass by pass (T.800 Annex D)."""

import numpy as np

from codec.decoding.block_state import clear_state
from codec.decoding.coding_parameters import BYPASS, RESET_CONTEXTS, SEGMENTATION_SYMBOLS, VERTICALLY_CAUSAL
from codec.decoding.mq_decoder import (
    DATA_WORDS,
    INITIAL_CONTEXTS,
    NEXT_WORD,
    RAW_POSITION,
    WORD_BITS,
    load_segment,
    start_mq,
)  # fmt: skip
from codec.decoding.mq_passes import cleanup_pass, refinement_pass, segmentation_symbol, significance_pass
from codec.decoding.packet_header_reader import passes_to_segment_end
from codec.decoding.raw_passes import raw_refinement_pass, raw_significance_pass
from codec.jit import kernel

MAX_DECODED_PLANES = 30


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
        `coefficients` receives width × height coefficients in raster order.
    """
    clear_state(work, width, height)
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
            value = np.int64(3) << plane
            if kind == 0 and raw:
                raw_significance_pass(work, width, height, value, causal)
            elif kind == 0:
                significance_pass(work, width, height, value, causal, coding.zero_coding)
            elif kind == 1 and raw:
                raw_refinement_pass(work, width, height, plane)
            elif kind == 1:
                refinement_pass(work, width, height, plane, causal)
            else:
                cleanup_pass(work, width, height, value, causal, coding.zero_coding)
                if style & SEGMENTATION_SYMBOLS:
                    segmentation_symbol(work)
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
