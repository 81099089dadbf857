"""The last bytes of a codestream or of one of its layers, so that it is exactly as long as asked.

They lengthen a code-block's segment by the next bytes of its own codeword, which the decoder does not need yet. Only
where all is coded and carried, filler has to do, which no decoder reads; a layer that is not the last has none.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from codec.encoding.block_changes import bytes_with, change_block, measure_header
from codec.encoding.code_blocks import CodedBlocks
from codec.encoding.codeword_segments import can_go_on_with_ones, codeword_byte, find_ending, prefix_decodes
from codec.encoding.packet_writer import Codewords, HeaderPlan, blank_codeword, codewords_of, whole_codeword
from codec.errors import LayerError
from codec.jit import kernel

NO_BLOCK = -1
# Increases of Lblock that a header is lengthened by, at most, for one block.
MOST_EXTRA_BITS = 8
# More than a header can grow by when one block is included or lengthened.
MOST_GROWTH = 12


class Filling(NamedTuple):
    """How the last bytes were given out.

    Attributes
    ----------
    padding : int
        Bytes of filler.
    blank, cut : int
        The block that is included with nothing but zeros, and the one whose first pass is carried in part, or
        `NO_BLOCK`.
    """

    padding: int = 0
    blank: int = NO_BLOCK
    cut: int = NO_BLOCK


def fill(left: int, blocks: CodedBlocks, plan: HeaderPlan, by_filler: bool) -> Filling:
    """Give out the `left` bytes that no whole pass fits into any more.

    Raises
    ------
    LayerError
        There is nothing to fill them with, and filler is not allowed, or earlier layers leave no block to put it in.
    """
    words = codewords_of(blocks)
    filling = None
    if left <= _bytes_to_come(words, plan):
        filling = _given_out(left, blocks, plan, lambda rest: _by_codewords(rest, words, plan))
    if filling is None and by_filler:
        filling = _given_out(left, blocks, plan, lambda rest: _by_filler(rest, words, plan, blocks.bit_planes))
    if filling is None and by_filler:
        raise LayerError(f"the image has nothing more to tell, and no block takes {left} bytes of filler")
    if filling is None:
        raise LayerError(
            f"the image has nothing more to tell in its last {left} bytes, and only the last layer may have filler;"
            f" leave out this ratio"
        )
    return filling


def _bytes_to_come(words: Codewords, plan: HeaderPlan) -> int:
    """Bytes of codewords that are not carried."""
    coded = np.flatnonzero(words.passes)
    return int((words.lengths[coded, words.passes[coded] - 1] - plan.lengths[coded]).sum())


def _given_out(
    left: int, blocks: CodedBlocks, plan: HeaderPlan, way: Callable[[int], Filling | None]
) -> Filling | None:
    """Give out bytes in one `way`, or, where that does not come out even, more of them, for a block gives up passes.

    (Where a segment's length needs another bit, its header grows, and one length in all cannot be had.)
    """
    filling = way(left)
    if filling is not None:
        return filling
    for block in np.flatnonzero(plan.passes > plan.told.passes)[::-1]:
        passes, length = int(plan.passes[block]), int(plan.lengths[block])
        for fewer in range(passes - 1, int(plan.told.passes[block]) - 1, -1):
            left = change_block(plan, block, fewer, bytes_with(plan, blocks.lengths, block, fewer), left)
            filling = way(left)
            if filling is not None:
                return filling
        left = change_block(plan, block, passes, length, left)
    return None


def _by_codewords(left: int, words: Codewords, plan: HeaderPlan) -> Filling | None:
    """Give out bytes to codewords only; None where that does not come out even, and all is as before."""
    lengths, headers = plan.lengths.copy(), plan.headers.copy()
    left = lengthen(left, words, plan)
    if left == 0:
        return Filling()
    cut = _include_cut(left, words, plan)
    if cut != NO_BLOCK:
        return Filling(cut=cut)
    if _grow_headers(left, plan):
        return Filling()
    cut = _cut_next_pass(left, words, plan)
    if cut != NO_BLOCK:
        return Filling(cut=cut)
    plan.lengths[:], plan.headers[:] = lengths, headers
    return None


def _by_filler(left: int, words: Codewords, plan: HeaderPlan, bit_planes: np.ndarray) -> Filling | None:
    """Give out bytes to filler, after what there is of codewords, less some that one length may need."""
    lengths, headers = plan.lengths.copy(), plan.headers.copy()
    for held in range(min(left, MOST_GROWTH) + 1):
        rest = held + lengthen(left - held, words, plan)
        if _lengthen_by_filler(rest, words, plan):
            return Filling(padding=rest)
        filler = _grow_and_lengthen(rest, words, plan)
        if filler >= 0:
            return Filling(padding=filler)
        blank = _include_blank(rest, plan, words.area, bit_planes)
        if blank != NO_BLOCK:
            return Filling(padding=int(plan.lengths[blank]), blank=blank)
        plan.lengths[:], plan.headers[:] = lengths, headers
    return None


@kernel
def lengthen(left, words, plan):
    """Let blocks carry more bytes of their codewords than their passes need, the last ones first.

    Returns the bytes that are left then: mostly none.
    """
    for block in range(plan.passes.size - 1, -1, -1):
        carried = plan.passes[block] - 1
        if left == 0:
            break
        if carried < plan.told.passes[block]:
            continue
        codeword, packed, bp, total = whole_codeword(words, block)
        length = plan.lengths[block]
        most = min(left, total - length)
        for more in range(most, max(most - MOST_GROWTH, 0), -1):
            if not prefix_decodes(
                codeword, packed, bp, total, words.registers[block, carried], words.ends[block, carried], length + more
            ):
                continue
            rest = change_block(plan, block, carried + 1, length + more, left)
            if rest >= 0:
                left = rest
                break
    return left


@kernel
def _include_cut(left, words, plan):
    """Include one block with a part of its first pass so that exactly `left` bytes more are used.

    Returns it or `NO_BLOCK`.
    """
    for block in range(plan.passes.size):
        if plan.passes[block] == 0 and _cut_off(left, block, words, plan):
            return block
    return NO_BLOCK


@kernel
def _cut_next_pass(left, words, plan):
    """Do the same with the next pass of a block of earlier layers; the finest first, where it harms least."""
    for block in range(plan.passes.size - 1, -1, -1):
        if 0 < plan.passes[block] == plan.told.passes[block] and _cut_off(left, block, words, plan):
            return block
    return NO_BLOCK


@kernel
def _cut_off(left, block, words, plan):
    """Let `block` carry a part of its next pass, if that can use exactly `left` bytes."""
    passes, start = plan.passes[block], plan.lengths[block]
    # What is cut off can follow in a later layer only with one more pass.
    if words.passes[block] - passes < (2 if plan.told.may_follow[block] else 1):
        return False
    codeword, packed, bp, total = whole_codeword(words, block)
    most = min(left, words.lengths[block, passes] - 1 - start)
    for more in range(most, max(left - MOST_GROWTH, -1), -1):
        if start + more > 0 and codeword_byte(codeword, packed, bp, total, start + more - 1) == 0xFF:
            continue
        rest = change_block(plan, block, passes + 1, start + more, left)
        if rest == 0:
            return True
        if rest > 0:
            change_block(plan, block, passes, start, rest)
    return False


@kernel
def _grow_headers(left, plan):
    """Tell the lengths of blocks with more bits than they need, so that exactly `left` bytes more are used."""
    headers = plan.headers.copy()
    for block in range(plan.passes.size - 1, -1, -1):
        if plan.passes[block] == plan.told.passes[block]:
            continue
        packet = plan.packet_of_block[block]
        for extra in range(MOST_EXTRA_BITS, 0, -1):
            plan.extra_bits[block] = extra
            rest = left - (measure_header(plan, packet) - plan.headers[packet])
            if rest >= 0:
                plan.headers[packet] += left - rest
                left = rest
                break
            plan.extra_bits[block] = 0
        if left == 0:
            return True
    plan.extra_bits[:] = 0
    plan.headers[:] = headers
    return False


@kernel
def _lengthen_by_filler(left, words, plan):
    """Let one of the blocks whose codewords are used up, the last that can, take exactly `left` bytes of filler."""
    ending = np.empty(3, np.uint8)
    for block in range(plan.passes.size - 1, -1, -1):
        last, old = plan.passes[block] - 1, plan.lengths[block]
        if last < plan.told.passes[block] or old < words.lengths[block, words.passes[block] - 1]:
            continue
        for more in range(left, max(left - MOST_GROWTH, 0), -1):
            if plan.told.may_follow[block]:  # what earlier layers carry of the codeword cannot get another ending
                fits = can_go_on_with_ones(more)
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
def _grow_and_lengthen(left, words, plan):
    """Tell the length of a block with more bits than it needs, then do the same; returns the bytes of filler, or -1."""
    for block in range(plan.passes.size - 1, -1, -1):
        if plan.passes[block] == plan.told.passes[block]:
            continue
        packet = plan.packet_of_block[block]
        before = plan.headers[packet]
        for extra in range(1, MOST_EXTRA_BITS + 1):
            plan.extra_bits[block] = extra
            grown = measure_header(plan, packet)
            rest = left - (grown - before)
            if grown == before or rest < 0:
                continue
            plan.headers[packet] = grown
            if rest == 0 or _lengthen_by_filler(rest, words, plan):
                return rest
            plan.headers[packet] = before
        plan.extra_bits[block] = 0
    return -1


@kernel
def _include_blank(left, plan, area, bit_planes):
    """Include one block with a pass of zeros so that exactly `left` bytes more are used; returns it or `NO_BLOCK`."""
    for block in range(plan.passes.size):
        if plan.passes[block] > 0:
            continue
        _, packed, bp = blank_codeword(area[block, 2], area[block, 3])
        planes = plan.zero_planes[block]
        # Earlier layers may have told that it is no less than it is.
        fewest_planes = 0 if plan.layer == 0 else min(planes, bit_planes[block] - 1)
        for length in range(left, max(left - MOST_GROWTH, -1), -1):
            if length % 2 == 1 and find_ending(packed, bp, length, np.empty(3, np.uint8)) < 0:
                continue
            for missing in range(fewest_planes, bit_planes[block]):
                plan.zero_planes[block] = missing
                rest = change_block(plan, block, 1, length, left)
                if rest == 0:
                    return block
                if rest > 0:
                    change_block(plan, block, 0, 0, rest)
        plan.zero_planes[block] = planes
    return NO_BLOCK
