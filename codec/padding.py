"""Filling the last bytes, so that a codestream is exactly as long as asked, in a way that no decoder notices.

A code-block's segment may be longer than the coder needs. Where no block is included that could be lengthened, one
is included with a single pass that says that all is zero.
"""

from typing import NamedTuple

import numpy as np

from codec.code_blocks import CodedBlocks
from codec.jit import kernel
from codec.mq_coder import (
    CONTEXTS,
    REGISTER_BP,
    RUN_LENGTH,
    ZERO_CODING,
    encode_symbols,
    find_ending,
    pack_registers,
    start_encoder,
    write_segment,
)
from codec.packets import write_packet_header

NO_BLOCK = -1
# More than a header can grow by when one block is included or lengthened.
MOST_GROWTH = 12


class HeaderPlan(NamedTuple):
    """What packet headers depend on; the arrays are changed in place while bytes are given out."""

    packets: np.ndarray
    packet_of_block: np.ndarray
    zero_planes: np.ndarray
    passes: np.ndarray
    lengths: np.ndarray
    headers: np.ndarray
    scratch: np.ndarray


@kernel
def measure_header(plan, packet):
    """Bytes of the header of `packet`."""
    return write_packet_header(plan.packets[packet], plan.passes, plan.lengths, plan.zero_planes, plan.scratch, 0)


@kernel
def change_block(plan, block, passes, length, left):
    """Let `block` carry these passes and bytes if the bytes left allow it; returns the bytes left then, or -1."""
    packet = plan.packet_of_block[block]
    old_passes, old_length = plan.passes[block], plan.lengths[block]
    plan.passes[block], plan.lengths[block] = passes, length
    header = measure_header(plan, packet)
    rest = left - (length - old_length) - (header - plan.headers[packet])
    if rest < 0:
        plan.passes[block], plan.lengths[block] = old_passes, old_length
        return -1
    plan.headers[packet] = header
    return rest


def pad(left: int, blocks: CodedBlocks, plan: HeaderPlan) -> tuple[int, int]:
    """Give out the `left` bytes.

    Returns
    -------
    padding, blank
        Bytes of padding (a few more than `left` where a pass had to go), and the block that was included as blank
        for them, or `NO_BLOCK`.
    """
    blank = _fill(left, blocks, plan)
    if blank is not None:
        return left, blank
    # Where a segment's length needs another bit, its header grows, and one length in all cannot be had. The last
    # block goes without a pass or some, then, which leaves more bytes to fill.
    for block in np.flatnonzero(plan.passes)[::-1]:
        passes, length = int(plan.passes[block]), int(plan.lengths[block])
        for fewer in range(passes - 1, -1, -1):
            shorter = int(blocks.lengths[block, fewer - 1]) if fewer else 0
            left = change_block(plan, block, fewer, shorter, left)
            blank = _fill(left, blocks, plan)
            if blank is not None:
                return left, blank
        left = change_block(plan, block, passes, length, left)
    raise AssertionError(f"{left} bytes could not be filled")


def _fill(left: int, blocks: CodedBlocks, plan: HeaderPlan) -> int | None:
    """Lengthen a block, or else include a blank one, by `left` bytes in all; None where neither comes out even."""
    if left == 0 or _lengthen_any(plan, blocks.registers, blocks.ends, left):
        return NO_BLOCK
    blank = _include_blank(plan, blocks.area, blocks.bit_planes, left)
    return blank if blank != NO_BLOCK else None


@kernel
def _ends_at(plan, registers, ends, block, length):
    last = plan.passes[block] - 1
    return find_ending(registers[block, last], ends[block, last], length, np.empty(3, np.uint8)) >= 0


@kernel
def _lengthen_any(plan, registers, ends, left):
    """Lengthen one of the included blocks, the last that can be, so that exactly `left` bytes more are used."""
    for block in range(plan.passes.size - 1, -1, -1):
        if plan.passes[block] == 0:
            continue
        old = plan.lengths[block]
        for more in range(left, max(left - MOST_GROWTH, 0), -1):
            if not _ends_at(plan, registers, ends, block, old + more):
                continue
            rest = change_block(plan, block, plan.passes[block], old + more, left)
            if rest == 0:
                return True
            if rest > 0:
                change_block(plan, block, plan.passes[block], old, rest)
    return False


@kernel
def _include_blank(plan, area, bit_planes, left):
    """Include one block with a pass of zeros so that exactly `left` bytes more are used; returns it or `NO_BLOCK`."""
    for block in range(plan.passes.size):
        if plan.passes[block] > 0:
            continue
        _, packed, bp = blank_codeword(area[block, 2], area[block, 3])
        planes = plan.zero_planes[block]
        for length in range(left, max(left - MOST_GROWTH, -1), -1):
            if length % 2 == 1 and find_ending(packed, bp, length, np.empty(3, np.uint8)) < 0:
                continue
            for missing in range(bit_planes[block]):
                plan.zero_planes[block] = missing
                rest = change_block(plan, block, 1, length, left)
                if rest == 0:
                    return block
                if rest > 0:
                    change_block(plan, block, 0, 0, rest)
        plan.zero_planes[block] = planes
    return NO_BLOCK


@kernel
def blank_codeword(rows, columns):
    """The cleanup pass of a code-block of zeros: its bytes, and the coder's packed registers and BP at its end."""
    symbols = np.empty(rows * columns + 1, np.uint8)
    full = rows // 4 * columns
    count = full + rows % 4 * columns
    symbols[:full] = RUN_LENGTH << 1
    symbols[full:count] = ZERO_CODING << 1
    registers, states = np.empty(4, np.int32), np.empty(CONTEXTS, np.int32)
    output = np.zeros(64, np.uint8)
    start_encoder(registers, states)
    encode_symbols(symbols, count, registers, states, output)
    return output[1:], pack_registers(registers, output), registers[REGISTER_BP]


@kernel
def write_blank_segment(rows, columns, length, out, at):
    """Write exactly `length` bytes that decode as a block of zeros."""
    if length % 2 == 0:
        # All ones: what a decoder reads past the end too, and what it takes for one more probable symbol for ever.
        for n in range(0, length, 2):
            out[at + n] = 0xFF
            out[at + n + 1] = 0x7F
        return
    codeword, packed, bp = blank_codeword(rows, columns)
    write_segment(codeword, packed, bp, length, out, at)
