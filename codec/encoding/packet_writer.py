"""Writing packets (T.800 B.9 and B.10): headers, and the codeword segments after them."""

from typing import NamedTuple

import numpy as np

from codec.encoding.code_blocks import CodedBlocks
from codec.encoding.codeword_segments import pack_registers, write_ones, write_prefix, write_segment
from codec.encoding.mq_encoder import REGISTER_BP, encode_symbols, start_encoder
from codec.encoding.packet_header_writer import SignalledState, write_packet_header
from codec.jit import kernel
from codec.mq_tables import CONTEXTS, RUN_LENGTH, ZERO_CODING


class LayerPlan(NamedTuple):
    """The passes and bytes of every code-block in a layer; all but `signalled` changes in place during rate control."""

    signalled: SignalledState
    layer: int
    packet_of_block: np.ndarray
    zero_planes: np.ndarray
    extra_lblock: np.ndarray
    passes: np.ndarray
    lengths: np.ndarray
    headers: np.ndarray
    scratch: np.ndarray


class Codewords(NamedTuple):
    """The arrays of `CodedBlocks` that hold the codewords and the truncation points."""

    area: np.ndarray
    passes: np.ndarray
    lengths: np.ndarray
    registers: np.ndarray
    ends: np.ndarray
    codewords: np.ndarray
    offsets: np.ndarray


def codewords_of(blocks: CodedBlocks) -> Codewords:
    """The part of `blocks` that kernels need to write segments."""
    return Codewords(
        blocks.area, blocks.passes, blocks.lengths, blocks.registers, blocks.ends, blocks.codewords, blocks.offsets
    )


@kernel
def whole_codeword(words, block):
    """A code-block's bytes, the coder's state after all of its passes, and the length of these passes."""
    last = words.passes[block] - 1
    codeword = words.codewords[words.offsets[block] :]
    return codeword, words.registers[block, last], words.ends[block, last], words.lengths[block, last]


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
def _write_blank_segment(rows, columns, length, out, at):
    """Write exactly `length` bytes that decode as a block of zeros."""
    if length % 2 == 0:
        write_ones(length, out, at)  # a decoder reads the more probable symbol from them, without end
        return
    codeword, packed, bp = blank_codeword(rows, columns)
    write_segment(codeword, packed, bp, length, out, at)


@kernel
def write_packets(plan, words, blank, out):
    """Write all packets of a layer (B.10): header, then what the layer adds to the codewords of its code-blocks."""
    at, packets = 0, plan.signalled.packets
    before = plan.signalled.lengths.copy()
    for packet in range(packets.shape[0]):
        at = write_packet_header(
            plan.signalled,
            plan.layer,
            packet,
            plan.passes,
            plan.lengths,
            plan.zero_planes,
            plan.extra_lblock,
            out,
            at,
            True,
        )
        for band in range(packets.shape[1]):
            first, rows, columns = packets[packet, band]
            for block in range(first, first + rows * columns):
                _write_block(block, plan, words, blank, before[block], out, at)
                at += plan.lengths[block] - before[block]


@kernel
def _write_block(block, plan, words, blank, start, out, at):
    """Write one code-block's segment, terminated after its last pass where it has just that length, else by `fill`.

    A codeword that a later layer may continue is not terminated: its bytes from `start` on are copied.
    """
    last, length = plan.passes[block] - 1, plan.lengths[block]
    if block == blank:
        _write_blank_segment(words.area[block, 2], words.area[block, 3], length, out, at)
    elif last >= 0:
        codeword, packed, bp, total = whole_codeword(words, block)
        if plan.signalled.may_follow[block]:
            copied = min(length, total)
            write_prefix(codeword, packed, bp, total, start, copied, out, at)
            write_ones(length - copied, out, at + copied - start)
        elif length <= total and length != words.lengths[block, last]:
            write_prefix(codeword, packed, bp, total, start, length, out, at)
        else:
            write_segment(codeword, words.registers[block, last], words.ends[block, last], length, out, at)
