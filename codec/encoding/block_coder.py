"""Coding a code-block pass by pass (T.800 Annex D), until the predicted slope is below the stop slope."""

from typing import NamedTuple

import numpy as np

from codec.encoding.bit_plane_statistics import (
    EFFICIENCY,
    BitPlaneStatistics,
    measure_bit_planes,
    observed_efficiency,
    predict_slope,
)
from codec.encoding.block_passes import CODED, cleanup_pass, refinement_pass, significance_pass
from codec.encoding.codeword_segments import pack_registers, shortest_segment
from codec.encoding.mq_encoder import REGISTER_BP, encode_symbols, start_encoder
from codec.encoding.quantizer import BLOCK_SIDE, MAGNITUDE_SHIFT
from codec.jit import kernel
from codec.mq_tables import CONTEXTS

MAX_CODEWORD_BYTES = 1 << 16
MAX_DECISIONS = 3 * BLOCK_SIDE * BLOCK_SIDE

# A pass over a bit-plane of value v hardly removes more than so many v² a byte in a high-pass subband. Straight
# lines reach that, as their contexts are the most certain.
MAX_SLOPE = 40.0


@kernel
def _load_block(band, place, words):
    """Copy a block column by column of each stripe, rows below it as zeros, without the bits 0 of earlier coding."""
    top, left, rows, columns = place
    keep = np.int32(-2)
    for row in range(0, rows // 4 * 4, 4):
        stripe = words[row * columns : (row + 4) * columns]
        a, b = band[top + row, left : left + columns], band[top + row + 1, left : left + columns]
        c, d = band[top + row + 2, left : left + columns], band[top + row + 3, left : left + columns]
        for column in range(a.size):
            stripe[4 * column], stripe[4 * column + 1] = a[column] & keep, b[column] & keep
            stripe[4 * column + 2], stripe[4 * column + 3] = c[column] & keep, d[column] & keep
    if rows % 4 > 0:
        stripe = words[rows // 4 * 4 * columns : (rows // 4 * 4 + 4) * columns]
        stripe[:] = 0
        for row in range(rows % 4):
            line = band[top + rows // 4 * 4 + row, left : left + columns]
            for column in range(line.size):
                stripe[4 * column + row] = line[column] & keep


@kernel
def _store_flags(words, band, place):
    """Put the words, and so bit 0 of each, back into the subband."""
    top, left, rows, columns = place
    for row in range(rows):
        line = band[top + row, left : left + columns]
        stripe = words[row // 4 * columns * 4 + row % 4 :]
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
    statistics: BitPlaneStatistics


class _Records(NamedTuple):
    """The arrays of `CodedBlocks` that have one element a pass, written for one task's blocks."""

    lengths: np.ndarray
    gains: np.ndarray
    registers: np.ndarray
    ends: np.ndarray


@kernel
def _start_block(work, columns, stripes, rows_outside):
    work.flags[: (stripes + 2) * (columns + 2)] = 0
    work.flags[stripes * (columns + 2) : (stripes + 1) * (columns + 2)] = rows_outside
    start_encoder(work.coder, work.states)
    work.output[0] = 0


@kernel
def _code_pass(kind, plane, work, columns, stripes, rows_outside, table):
    """Code one pass (0 significance, 1 refinement, 2 cleanup).

    Returns the squared error that it removes, and the numbers of its decisions and of its new significant coefficients.
    """
    unit = float(np.int64(1) << (plane + MAGNITUDE_SHIFT - 1))
    bit = plane + MAGNITUDE_SHIFT
    if kind == 1:
        count, ones, total = refinement_pass(work.words, work.flags, columns, stripes, bit, work.symbols)
        gain, new = unit * (total + unit * (0.75 * (count - ones) - 1.25 * ones)), 0
    else:
        if kind == 0:
            count, new, total = significance_pass(work.words, work.flags, columns, stripes, bit, table, work.symbols)
        else:
            count, new, total = cleanup_pass(
                work.words, work.flags, columns, stripes, bit, rows_outside, table, work.symbols
            )
        gain = unit * (3.0 * total - 2.25 * unit * new)
    encode_symbols(work.symbols, count, work.coder, work.states, work.output)
    return gain, count, new


@kernel
def _code_block(block, band, place, planes, weight, stop_slope, table, work, records):
    """Code a block's passes while the predicted slope is above the stop slope; returns how many passes."""
    _, _, rows, columns = place
    stripes, size = (rows + 3) // 4, rows * columns
    rows_outside = np.int64(0)
    for k in range(rows - 4 * (stripes - 1), 4):
        rows_outside |= np.int64(1) << (3 * k + CODED)
    statistics, efficiency = work.statistics, EFFICIENCY
    measure_bit_planes(band, place, planes, _lowest_plane(stop_slope), statistics)
    ending = np.empty(3, np.uint8)
    done, gain, length, plane_length = 0, 0.0, 0, 0
    old, coded, new_coded = 0, 0, 0
    for number in range(3 * planes - 2):
        plane, kind = planes - 1 - (number + 2) // 3, (number + 2) % 3
        if stop_slope > 0:
            predicted = predict_slope(
                size, plane, 0 if number == 0 else kind, old, coded, new_coded, efficiency, statistics
            )
            if predicted <= stop_slope:
                break
        if number == 0:
            _load_block(band, place, work.words)
            _start_block(work, columns, stripes, rows_outside)
        removed, decisions, new = _code_pass(kind, plane, work, columns, stripes, rows_outside, table)
        gain += removed
        end = work.coder[REGISTER_BP]
        packed = pack_registers(work.coder, work.output)
        before, length = length, shortest_segment(packed, end, ending)
        records.registers[block, done], records.ends[block, done] = packed, end
        records.lengths[block, done], records.gains[block, done] = length, gain * weight
        done += 1
        if kind == 0:
            plane_length, coded, new_coded = before, decisions - new, new
        elif kind == 2:
            efficiency = observed_efficiency(size, old, statistics.new[plane], max(length - plane_length, 1))
            old, coded, new_coded = old + statistics.new[plane], 0, 0
    if done > 0:
        _store_flags(work.words, band, place)
    return done


@kernel
def _lowest_plane(stop_slope):
    """The lowest bit-plane whose slope can be above `stop_slope`."""
    plane = 0
    while MAX_SLOPE * float(np.int64(1) << (plane + MAGNITUDE_SHIFT - 1)) ** 2 <= stop_slope:
        plane += 1
    return plane


@kernel
def code_subband_blocks(
    band, members, area, all_planes, table, weight, stop_slope,
    all_passes, complete, lengths, gains, registers, ends, sizes,
):  # fmt: skip
    """Code the blocks `members` of one subband; returns their codewords one after another."""
    work = _Workspace(
        np.empty(BLOCK_SIDE * BLOCK_SIDE, np.int32),
        np.empty((BLOCK_SIDE // 4 + 2) * (BLOCK_SIDE + 2), np.int64),
        np.empty(MAX_DECISIONS, np.uint8),
        np.empty(CONTEXTS, np.int32),
        np.empty(4, np.int32),
        np.empty(MAX_CODEWORD_BYTES, np.uint8),
        BitPlaneStatistics(np.empty(32, np.int64), np.empty(32, np.float64)),
    )
    records = _Records(lengths, gains, registers, ends)
    codewords, used = np.empty(MAX_CODEWORD_BYTES, np.uint8), 0
    slope = stop_slope / weight
    lowest_plane = _lowest_plane(slope)
    for block in members:
        planes = all_planes[block]
        all_passes[block], sizes[block] = 0, 0
        if planes > lowest_plane:
            all_passes[block] = _code_block(block, band, area[block], planes, weight, slope, table, work, records)
        complete[block] = all_passes[block] == max(3 * planes - 2, 0)
        if all_passes[block] == 0:
            continue
        size = work.coder[REGISTER_BP]
        sizes[block] = size
        if used + size > codewords.size:
            larger = np.empty(2 * codewords.size + size, np.uint8)
            larger[:used] = codewords[:used]
            codewords = larger
        codewords[used : used + size] = work.output[1 : size + 1]
        used += size
    return codewords[:used].copy()
