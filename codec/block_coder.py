"""The coding of a code-block, pass by pass (T.800 Annex D): until its bit-planes promise too little for their bytes."""

from typing import NamedTuple

import numpy as np

from codec.block_passes import CODED, cleanup_pass, refinement_pass, significance_pass
from codec.jit import kernel
from codec.mq_coder import CONTEXTS, REGISTER_BP, encode_symbols, pack_registers, shortest_segment, start_encoder
from codec.quantizer import MAGNITUDE_MASK, MAGNITUDE_SHIFT

BLOCK = 64
LARGEST_CODEWORD = 1 << 16
MOST_DECISIONS = 3 * BLOCK * BLOCK

# What a pass over a bit-plane of value v takes away is hardly more than so many v² a byte in a high-pass subband,
# where each sign costs a bit. (In the LL subband all may be cheap, where the background is constant.)
STEEPEST_SLOPE = 8.0


@kernel(fastmath={"reassoc", "contract"})
def _survey_block(band, top, left, rows, columns):
    """All magnitude bits of a block or-ed, and its energy in squared units."""
    bits, energy = np.int32(0), np.float64(0)
    for row in range(top, top + rows):
        line = band[row, left : left + columns]
        row_energy = np.float32(0)
        for column in range(line.size):
            word = line[column] & np.int32(MAGNITUDE_MASK)
            bits |= word
            magnitude = np.float32(word >> np.int32(1))
            row_energy += magnitude * magnitude
        energy += row_energy
    return bits, energy


@kernel
def _load_block(band, top, left, rows, columns, words):
    """Copy a block column by column of each stripe, rows below it as zeros, without the bits 0 of earlier coding."""
    for stripe in range((rows + 3) // 4):
        for k in range(4):
            row = 4 * stripe + k
            stripe_words = words[stripe * columns * 4 : (stripe + 1) * columns * 4]
            if row >= rows:
                stripe_words[k::4] = 0
                continue
            line = band[top + row, left : left + columns]
            for column in range(line.size):
                stripe_words[4 * column + k] = line[column] & np.int32(-2)


@kernel
def _store_flags(words, band, top, left, rows, columns):
    """Put the words, and so bit 0 of each, back into the subband."""
    for row in range(rows):
        line = band[top + row, left : left + columns]
        stripe = words[(row // 4) * columns * 4 + row % 4 :]
        for column in range(line.size):
            line[column] = stripe[4 * column]


class _Workspace(NamedTuple):
    """Arrays that one task uses for all its blocks."""

    words: np.ndarray
    flags: np.ndarray
    symbols: np.ndarray
    states: np.ndarray
    coder: np.ndarray
    output: np.ndarray


class _Records(NamedTuple):
    """The arrays of `CodedBlocks` that are told for each pass, for one task's blocks."""

    lengths: np.ndarray
    gains: np.ndarray
    registers: np.ndarray
    ends: np.ndarray


@kernel
def _start_block(work, columns, stripes, outside):
    work.flags[: (stripes + 2) * (columns + 2)] = 0
    work.flags[stripes * (columns + 2) : (stripes + 1) * (columns + 2)] = outside
    start_encoder(work.coder, work.states)
    work.output[0] = 0


@kernel
def _code_pass(kind, plane, work, columns, stripes, outside, table):
    """Code one pass (0 significance, 1 refinement, 2 cleanup); returns the squared error that it takes away."""
    unit = float(np.int64(1) << (plane + MAGNITUDE_SHIFT - 1))
    bit = plane + MAGNITUDE_SHIFT
    if kind == 1:
        count, ones, total = refinement_pass(work.words, work.flags, columns, stripes, bit, work.symbols)
        gain = unit * (total + unit * (0.75 * (count - ones) - 1.25 * ones))
    else:
        if kind == 0:
            count, found, total = significance_pass(work.words, work.flags, columns, stripes, bit, table, work.symbols)
        else:
            count, found, total = cleanup_pass(
                work.words, work.flags, columns, stripes, bit, outside, table, work.symbols
            )
        gain = unit * (3.0 * total - 2.25 * unit * found)
    encode_symbols(work.symbols, count, work.coder, work.states, work.output)
    return gain


@kernel
def _code_block(block, planes, energy, weight, stop_slope, high_pass, rows, columns, table, work, records):
    """Code the block in `work.words`, its bit-planes down to where none can matter; returns the number of passes."""
    stripes = (rows + 3) // 4
    outside = np.int64(0)
    for k in range(rows - 4 * (stripes - 1), 4):
        outside |= np.int64(1) << (3 * k + CODED)
    _start_block(work, columns, stripes, outside)
    ending = np.empty(3, np.uint8)
    done, gain, length, plane_length = 0, 0.0, 0, 0
    for number in range(3 * planes - 2):
        plane, kind = planes - 1 - (number + 2) // 3, (number + 2) % 3
        if kind == 0 or number == 0:
            unit = float(np.int64(1) << (plane + MAGNITUDE_SHIFT - 1))
            if energy - gain <= stop_slope * max(plane_length, 1):
                break
            if high_pass and STEEPEST_SLOPE * unit * unit <= stop_slope:
                break
            plane_length = -length
        gain += _code_pass(kind, plane, work, columns, stripes, outside, table)
        end = work.coder[REGISTER_BP]
        packed = pack_registers(work.coder, work.output)
        length = shortest_segment(packed, end, ending)
        records.registers[block, done], records.ends[block, done] = packed, end
        records.lengths[block, done], records.gains[block, done] = length, gain * weight
        done += 1
        if kind == 2:
            plane_length += length
    return done


@kernel
def code_some_blocks(
    band, area, table, weight, stop_slope, high_pass,
    all_planes, all_passes, complete, lengths, gains, registers, ends, sizes,
):  # fmt: skip
    """Code some blocks of one subband; returns their codewords one after another."""
    work = _Workspace(
        np.empty(BLOCK * BLOCK, np.int32),
        np.empty((BLOCK // 4 + 2) * (BLOCK + 2), np.int64),
        np.empty(MOST_DECISIONS, np.uint8),
        np.empty(CONTEXTS, np.int32),
        np.empty(4, np.int32),
        np.empty(LARGEST_CODEWORD, np.uint8),
    )
    records = _Records(lengths, gains, registers, ends)
    codewords, used = np.empty(LARGEST_CODEWORD, np.uint8), 0
    for block in range(area.shape[0]):
        top, left, rows, columns = area[block]
        bits, energy = _survey_block(band, top, left, rows, columns)
        planes = 0
        while bits >> (MAGNITUDE_SHIFT + planes) != 0:
            planes += 1
        all_planes[block] = planes
        work.coder[REGISTER_BP] = 0
        if planes > 0 and energy * weight > stop_slope:
            _load_block(band, top, left, rows, columns, work.words)
            slope = stop_slope / weight
            all_passes[block] = _code_block(
                block, planes, energy, weight, slope, high_pass, rows, columns, table, work, records
            )
            _store_flags(work.words, band, top, left, rows, columns)
        complete[block] = all_passes[block] == max(3 * planes - 2, 0)
        size = work.coder[REGISTER_BP]
        sizes[block] = size
        if used + size > codewords.size:
            larger = np.empty(2 * codewords.size + size, np.uint8)
            larger[:used] = codewords[:used]
            codewords = larger
        codewords[used : used + size] = work.output[1 : size + 1]
        used += size
    return codewords[:used].copy()
