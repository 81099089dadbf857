"""Embedded block coding of quantised subbands (T.800 Annex D): codewords, and where and how well they can be cut.

Every pass end is a possible truncation point. For each of them the coder's registers are kept, so that a segment of
any length can be ended there later without coding again, and the distortion that the passes so far took away.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from codec.block_passes import (
    CODED,
    ZERO_CODING_SYMBOLS,
    cleanup_pass,
    refinement_pass,
    significance_pass,
)
from codec.jit import kernel
from codec.mq_coder import (
    CONTEXTS,
    ORIENTATION_CLASSES,
    REGISTER_BP,
    encode_symbols,
    pack_registers,
    shortest_segment,
    start_encoder,
)
from codec.quantizer import MAGNITUDE_MASK, MAGNITUDE_SHIFT

BLOCK = 64
BLOCKS_A_TASK = 32
LARGEST_CODEWORD = 1 << 16
MOST_DECISIONS = 3 * BLOCK * BLOCK


@dataclass(frozen=True)
class SubbandWords:
    """A quantised subband: int32 words [rows, columns], its orientation, and the image's squared error a unit².

    The unit is that of the words' magnitudes, ``step / 2^FRACTION_BITS``; `bit_planes` is M_b.
    """

    words: np.ndarray
    orientation: str
    weight: float
    bit_planes: int


@dataclass(frozen=True)
class CodedBlocks:
    """All code-blocks of an image in the order of their packets, n in number, with up to m passes.

    Attributes
    ----------
    subband : numpy.ndarray
        int32 [n], index of the subband.
    area : numpy.ndarray
        int32 [n, 4]: first row, first column, rows, columns within the subband.
    bit_planes, zero_planes, passes : numpy.ndarray
        int32 [n]: M_b, how many of these planes lead without a 1, and the number of passes coded.
    complete : numpy.ndarray
        bool [n]: no bit-plane is left uncoded.
    lengths : numpy.ndarray
        int32 [n, m]: fewest bytes that decode the first passes.
    gains : numpy.ndarray
        float64 [n, m]: squared error of the image that these passes take away.
    registers, ends : numpy.ndarray
        int64 and int32 [n, m]: the MQ coder at each pass end (`pack_registers`, BP).
    codewords, offsets : numpy.ndarray
        uint8: all bytes; int64 [n]: where each block's begin.
    """

    subband: np.ndarray
    area: np.ndarray
    bit_planes: np.ndarray
    zero_planes: np.ndarray
    passes: np.ndarray
    complete: np.ndarray
    lengths: np.ndarray
    gains: np.ndarray
    registers: np.ndarray
    ends: np.ndarray
    codewords: np.ndarray
    offsets: np.ndarray


def code_blocks(
    subbands: list[SubbandWords], subband: np.ndarray, area: np.ndarray, stop_slope: float, threads: int = 1
) -> CodedBlocks:
    """Code the blocks given by `subband` and `area` (as in `CodedBlocks`).

    A block's lower bit-planes are left uncoded once all the squared error that is left in it could not buy
    `stop_slope` for each byte of another plane like the last. The words of `subbands` get their bit 0.
    """
    count = len(subband)
    most_planes = max(1, *(band.bit_planes for band in subbands))
    per_pass = (count, 3 * most_planes - 2)
    planes, passes, complete = np.zeros(count, np.int32), np.zeros(count, np.int32), np.zeros(count, np.bool_)
    lengths, ends = np.empty(per_pass, np.int32), np.empty(per_pass, np.int32)
    gains, registers = np.empty(per_pass, np.float64), np.empty(per_pass, np.int64)
    sizes = np.zeros(count, np.int64)

    def run(task: slice) -> np.ndarray:
        band = subbands[subband[task.start]]
        table = ZERO_CODING_SYMBOLS[ORIENTATION_CLASSES[band.orientation]]
        results = (planes, passes, complete, lengths, gains, registers, ends, sizes)
        return _code_blocks(
            band.words, area[task], table, band.weight, stop_slope, *(result[task] for result in results)
        )

    with ThreadPoolExecutor(threads) as pool:
        codewords = list(pool.map(run, _tasks(subband)) if threads > 1 else map(run, _tasks(subband)))
    bit_planes = np.array([band.bit_planes for band in subbands], np.int32)[subband]
    return CodedBlocks(
        subband, area, bit_planes, bit_planes - planes, passes, complete,
        lengths, gains, registers, ends,
        np.concatenate(codewords), np.cumsum(sizes) - sizes,
    )  # fmt: skip


def _tasks(subband: np.ndarray) -> Iterable[slice]:
    """Runs of blocks of one subband, small enough that threads share the work evenly."""
    borders = np.flatnonzero(np.diff(subband)) + 1
    for first, last in zip([0, *borders], [*borders, len(subband)]):
        for start in range(first, last, BLOCKS_A_TASK):
            yield slice(start, min(start + BLOCKS_A_TASK, last))


@kernel
def _load_block(band, top, left, rows, columns, words):
    """Copy a block column by column of each stripe (rows below it are 0); returns all bits or-ed, and the energy."""
    stripes = (rows + 3) // 4
    bits, energy = np.int32(0), np.float64(0)
    for stripe in range(stripes):
        for k in range(4):
            row = 4 * stripe + k
            at = stripe * columns * 4 + k
            if row >= rows:
                for column in range(columns):
                    words[at + 4 * column] = 0
                continue
            for column in range(columns):
                word = band[top + row, left + column] & np.int32(-2)
                words[at + 4 * column] = word
                bits |= word & MAGNITUDE_MASK
                magnitude = np.float32((word & MAGNITUDE_MASK) >> 1)
                energy += np.float64(magnitude * magnitude)
    return bits, energy


@kernel
def _store_flags(words, band, top, left, rows, columns):
    """Put the words, and so bit 0 of each, back into the subband."""
    for row in range(rows):
        at = (row // 4) * columns * 4 + row % 4
        for column in range(columns):
            band[top + row, left + column] = words[at + 4 * column]


@kernel
def _code_blocks(
    band, area, table, weight, stop_slope,
    all_planes, all_passes, complete, lengths, gains, registers, ends, sizes,
):  # fmt: skip
    """Code some blocks of one subband; returns their codewords one after another."""
    words = np.empty(BLOCK * BLOCK, np.int32)
    flags = np.empty((BLOCK // 4 + 2) * (BLOCK + 2), np.int64)
    symbols = np.empty(MOST_DECISIONS, np.uint8)
    states = np.empty(CONTEXTS, np.uint8)
    coder = np.empty(4, np.int32)
    ending = np.empty(3, np.uint8)
    output = np.empty(LARGEST_CODEWORD, np.uint8)
    codewords = np.empty(LARGEST_CODEWORD, np.uint8)
    used = 0
    for block in range(area.shape[0]):
        top, left, rows, columns = area[block]
        bits, energy = _load_block(band, top, left, rows, columns, words)
        planes = 0
        while bits >> (MAGNITUDE_SHIFT + planes) != 0:
            planes += 1
        all_planes[block] = planes
        stripes = (rows + 3) // 4
        outside = np.int64(0)
        for k in range(rows - 4 * (stripes - 1), 4):
            outside |= np.int64(1) << (3 * k + CODED)
        flags[: (stripes + 2) * (columns + 2)] = 0
        flags[stripes * (columns + 2) : (stripes + 1) * (columns + 2)] = outside
        start_encoder(coder, states)
        output[0] = 0
        done, gain, left_over = 0, 0.0, energy * weight
        plane = planes - 1
        while plane >= 0 and left_over > stop_slope:
            unit = float(np.int64(1) << (plane + MAGNITUDE_SHIFT - 1))
            before = lengths[block, done - 1] if done > 0 else 0
            for kind in range(0 if done > 0 else 2, 3):
                bit = plane + MAGNITUDE_SHIFT
                if kind == 1:
                    count, ones, total = refinement_pass(words, flags, columns, stripes, bit, symbols)
                    gain += unit * (total + unit * (0.75 * (count - ones) - 1.25 * ones)) * weight
                else:
                    if kind == 0:
                        count, found, total = significance_pass(words, flags, columns, stripes, bit, table, symbols)
                    else:
                        count, found, total = cleanup_pass(words, flags, columns, stripes, bit, outside, table, symbols)
                    gain += unit * (3.0 * total - 2.25 * unit * found) * weight
                encode_symbols(symbols, count, coder, states, output)
                packed = pack_registers(coder, output)
                registers[block, done] = packed
                ends[block, done] = coder[REGISTER_BP]
                lengths[block, done] = shortest_segment(packed, coder[REGISTER_BP], ending)
                gains[block, done] = gain
                done += 1
            plane -= 1
            left_over = energy * weight - gain
            if left_over < stop_slope * (lengths[block, done - 1] - before):
                break
        all_passes[block] = done
        complete[block] = plane < 0
        if done > 0:
            _store_flags(words, band, top, left, rows, columns)
        size = coder[REGISTER_BP]
        sizes[block] = size
        if used + size > codewords.size:
            larger = np.empty(2 * codewords.size + size, np.uint8)
            larger[:used] = codewords[:used]
            codewords = larger
        codewords[used : used + size] = output[1 : size + 1]
        used += size
    return codewords[:used].copy()
