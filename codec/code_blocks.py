"""Embedded block coding of quantised subbands (T.800 Annex D): codewords, and where and how well they can be cut.

Every pass end is a possible truncation point. For each of them the coder's registers are kept, so that a segment of
any length can be ended there later without coding again, and the distortion that the passes so far took away.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from codec.block_coder import code_some_blocks
from codec.block_passes import ZERO_CODING_SYMBOLS
from codec.mq_coder import ORIENTATION_CLASSES

BLOCKS_A_TASK = 32


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

    A block's lower bit-planes are left uncoded once they promise less than `stop_slope` for each byte. The words of
    `subbands` get their bit 0.
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
        return code_some_blocks(
            band.words,
            area[task],
            table,
            band.weight,
            stop_slope,
            band.orientation != "LL",
            *(result[task] for result in results),
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
