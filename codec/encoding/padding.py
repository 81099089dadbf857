"""Using up the last bytes of a layer, so that the codestream is exactly as long as asked.

The last bytes lengthen codeword segments by the next bytes of their own codewords, which the decoder does not need
yet. Only where all coded data are used, filler follows, which no decoder reads. Only the last layer may have filler.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from codec.encoding.block_changes import bytes_with, change_block, measure_header
from codec.encoding.code_blocks import CodedBlocks
from codec.encoding.codeword_segments import can_append_ones, codeword_byte, find_ending, prefix_decodes
from codec.encoding.packet_writer import Codewords, LayerPlan, blank_codeword, codewords_of, whole_codeword
from codec.errors import LayerError
from codec.jit import kernel

NO_BLOCK = -1
# At most so many unneeded increases of Lblock lengthen the header for one code-block.
MAX_EXTRA_LBLOCK = 8
# Bytes, more than a header can grow by when one code-block is included or lengthened.
MAX_HEADER_GROWTH = 12


class Filling(NamedTuple):
    """How the last bytes were used.

    Attributes
    ----------
    padding : int
        Bytes of filler.
    blank, truncated : int
        The code-block that is included with a pass of zeros only, and the one whose last pass is included in part;
        `NO_BLOCK` where there is none.
    """

    padding: int = 0
    blank: int = NO_BLOCK
    truncated: int = NO_BLOCK


def fill(left: int, blocks: CodedBlocks, plan: LayerPlan, by_filler: bool) -> Filling:
    """Use exactly the `left` bytes, which are too few for any further pass.

    Raises
    ------
    LayerError
        All coded data are used, and filler is not allowed, or earlier layers leave no code-block to put it in.
    """
    words = codewords_of(blocks)
    filling = None
    if left <= _unused_bytes(words, plan):
        filling = _fill_exactly(left, blocks, plan, lambda rest: _fill_with_codewords(rest, words, plan))
    if filling is None and by_filler:
        filling = _fill_exactly(
            left, blocks, plan, lambda rest: _fill_with_filler(rest, words, plan, blocks.bit_planes)
        )
    if filling is None and by_filler:
        raise LayerError(f"all coded data are used, and no code-block takes {left} bytes of filler")
    if filling is None:
        raise LayerError(
            f"all coded data are used before the last {left} bytes, and only the last layer may have filler;"
            f" leave out this ratio"
        )
    return filling


def _unused_bytes(words: Codewords, plan: LayerPlan) -> int:
    """Bytes of codewords that no layer includes so far."""
    coded = np.flatnonzero(words.passes)
    return int((words.lengths[coded, words.passes[coded] - 1] - plan.lengths[coded]).sum())


def _fill_exactly(
    left: int, blocks: CodedBlocks, plan: LayerPlan, fill_rest: Callable[[int], Filling | None]
) -> Filling | None:
    """Use exactly the `left` bytes by `fill_rest`; where that fails, remove passes from a code-block first.

    (It fails where a segment's length needs another bit, so that its header grows and skips one total length.)
    """
    filling = fill_rest(left)
    if filling is not None:
        return filling
    for block in np.flatnonzero(plan.passes > plan.signalled.passes)[::-1]:
        passes, length = int(plan.passes[block]), int(plan.lengths[block])
        for fewer in range(passes - 1, int(plan.signalled.passes[block]) - 1, -1):
            left = change_block(plan, block, fewer, bytes_with(plan, blocks.lengths, block, fewer), left)
            filling = fill_rest(left)
            if filling is not None:
                return filling
        left = change_block(plan, block, passes, length, left)
    return None


def _fill_with_codewords(left: int, words: Codewords, plan: LayerPlan) -> Filling | None:
    """Use the bytes for codewords only; None where no exact fit exists, with the plan unchanged."""
    lengths, headers = plan.lengths.copy(), plan.headers.copy()
    left = lengthen_segments(left, words, plan)
    if left == 0:
        return Filling()
    truncated = _include_truncated_block(left, words, plan)
    if truncated != NO_BLOCK:
        return Filling(truncated=truncated)
    if _lengthen_headers(left, plan):
        return Filling()
    truncated = _add_truncated_pass(left, words, plan)
    if truncated != NO_BLOCK:
        return Filling(truncated=truncated)
    plan.lengths[:], plan.headers[:] = lengths, headers
    return None


def _fill_with_filler(left: int, words: Codewords, plan: LayerPlan, bit_planes: np.ndarray) -> Filling | None:
    """Use the bytes for the rest of the codewords, then for filler; a few bytes may be held back for an exact fit."""
    lengths, headers = plan.lengths.copy(), plan.headers.copy()
    for held in range(min(left, MAX_HEADER_GROWTH) + 1):
        rest = held + lengthen_segments(left - held, words, plan)
        if _lengthen_by_filler(rest, words, plan):
            return Filling(padding=rest)
        filler = _lengthen_header_and_fill(rest, words, plan)
        if filler >= 0:
            return Filling(padding=filler)
        blank = _include_blank(rest, plan, words.area, bit_planes)
        if blank != NO_BLOCK:
            return Filling(padding=int(plan.lengths[blank]), blank=blank)
        plan.lengths[:], plan.headers[:] = lengths, headers
    return None


@kernel
def lengthen_segments(left, words, plan):
    """Give code-blocks more bytes of their codewords than their passes need, the last code-blocks first.

    Returns the bytes left afterwards, mostly 0.
    """
    for block in range(plan.passes.size - 1, -1, -1):
        last = plan.passes[block] - 1
        if left == 0:
            break
        if last < plan.signalled.passes[block]:
            continue
        codeword, packed, bp, total = whole_codeword(words, block)
        length = plan.lengths[block]
        most = min(left, total - length)
        for more in range(most, max(most - MAX_HEADER_GROWTH, 0), -1):
            if not prefix_decodes(
                codeword, packed, bp, total, words.registers[block, last], words.ends[block, last], length + more
            ):
                continue
            rest = change_block(plan, block, last + 1, length + more, left)
            if rest >= 0:
                left = rest
                break
    return left


@kernel
def _include_truncated_block(left, words, plan):
    """Include one code-block with a part of its first pass that uses exactly `left` bytes.

    Returns it or `NO_BLOCK`.
    """
    for block in range(plan.passes.size):
        if plan.passes[block] == 0 and _truncate_next_pass(left, block, words, plan):
            return block
    return NO_BLOCK


@kernel
def _add_truncated_pass(left, words, plan):
    """Do the same with the next pass of a code-block of earlier layers; the finest first, where it harms least."""
    for block in range(plan.passes.size - 1, -1, -1):
        if 0 < plan.passes[block] == plan.signalled.passes[block] and _truncate_next_pass(left, block, words, plan):
            return block
    return NO_BLOCK


@kernel
def _truncate_next_pass(left, block, words, plan):
    """Include a part of the next pass of `block`, if that can use exactly `left` bytes."""
    passes, start = plan.passes[block], plan.lengths[block]
    # The rest of a truncated pass can follow in a later layer only with one more pass.
    if words.passes[block] - passes < (2 if plan.signalled.may_follow[block] else 1):
        return False
    codeword, packed, bp, total = whole_codeword(words, block)
    most = min(left, words.lengths[block, passes] - 1 - start)
    for more in range(most, max(left - MAX_HEADER_GROWTH, -1), -1):
        if start + more > 0 and codeword_byte(codeword, packed, bp, total, start + more - 1) == 0xFF:
            continue
        rest = change_block(plan, block, passes + 1, start + more, left)
        if rest == 0:
            return True
        if rest > 0:
            change_block(plan, block, passes, start, rest)
    return False


@kernel
def _lengthen_headers(left, plan):
    """Signal lengths of segments with more bits than needed, so that the headers use exactly `left` bytes more."""
    headers = plan.headers.copy()
    for block in range(plan.passes.size - 1, -1, -1):
        if plan.passes[block] == plan.signalled.passes[block]:
            continue
        packet = plan.packet_of_block[block]
        for extra in range(MAX_EXTRA_LBLOCK, 0, -1):
            plan.extra_lblock[block] = extra
            rest = left - (measure_header(plan, packet) - plan.headers[packet])
            if rest >= 0:
                plan.headers[packet] += left - rest
                left = rest
                break
            plan.extra_lblock[block] = 0
        if left == 0:
            return True
    plan.extra_lblock[:] = 0
    plan.headers[:] = headers
    return False


@kernel
def _lengthen_by_filler(left, words, plan):
    """Put exactly `left` bytes of filler into the last code-block that can take them after its whole codeword."""
    ending = np.empty(3, np.uint8)
    for block in range(plan.passes.size - 1, -1, -1):
        last, old = plan.passes[block] - 1, plan.lengths[block]
        if last < plan.signalled.passes[block] or old < words.lengths[block, words.passes[block] - 1]:
            continue
        for more in range(left, max(left - MAX_HEADER_GROWTH, 0), -1):
            if plan.signalled.may_follow[block]:  # the part of the codeword in earlier layers cannot get another ending
                fits = can_append_ones(more)
            else:
                fits = find_ending(words.registers[block, last], words.ends[block, last], old + more, ending) >= 0
            if not fits:
                continue
            rest = change_block(plan, block, last + 1, old + more, left)
            if rest == 0:
                return True
            if rest > 0:
                change_block(plan, block, last + 1, old, rest)
    return False


@kernel
def _lengthen_header_and_fill(left, words, plan):
    """Signal one length with more bits than needed, then do the same; returns the bytes of filler, or -1."""
    for block in range(plan.passes.size - 1, -1, -1):
        if plan.passes[block] == plan.signalled.passes[block]:
            continue
        packet = plan.packet_of_block[block]
        before = plan.headers[packet]
        for extra in range(1, MAX_EXTRA_LBLOCK + 1):
            plan.extra_lblock[block] = extra
            grown = measure_header(plan, packet)
            rest = left - (grown - before)
            if grown == before or rest < 0:
                continue
            plan.headers[packet] = grown
            if rest == 0 or _lengthen_by_filler(rest, words, plan):
                return rest
            plan.headers[packet] = before
        plan.extra_lblock[block] = 0
    return -1


@kernel
def _include_blank(left, plan, area, bit_planes):
    """Include one code-block with a pass of zeros that uses exactly `left` bytes; returns it or `NO_BLOCK`."""
    for block in range(plan.passes.size):
        if plan.passes[block] > 0:
            continue
        _, packed, bp = blank_codeword(area[block, 2], area[block, 3])
        planes = plan.zero_planes[block]
        # Earlier layers may have signalled this number as a lower bound.
        min_planes = 0 if plan.layer == 0 else min(planes, bit_planes[block] - 1)
        for length in range(left, max(left - MAX_HEADER_GROWTH, -1), -1):
            if length % 2 == 1 and find_ending(packed, bp, length, np.empty(3, np.uint8)) < 0:
                continue
            for missing in range(min_planes, bit_planes[block]):
                plan.zero_planes[block] = missing
                rest = change_block(plan, block, 1, length, left)
                if rest == 0:
                    return block
                if rest > 0:
                    change_block(plan, block, 0, 0, rest)
        plan.zero_planes[block] = planes
    return NO_BLOCK
