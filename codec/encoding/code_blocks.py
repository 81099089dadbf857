"""Embedded block coding of quantised subbands (T.800 Annex D): codewords and their truncation points.

The end of every pass is a possible truncation point. For each one the coder's registers are kept, so that a segment of
any length can be terminated there later without coding again, and the distortion that the passes so far remove.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codec.encoding.block_coder import code_subband_blocks
from codec.encoding.block_passes import ZERO_CODING_SYMBOLS
from codec.encoding.quantizer import BLOCK_SIDE, drop_fractions
from codec.mq_tables import ORIENTATION_CLASSES
from codec.workers import Workers

BLOCKS_A_TASK = 32
MAX_INT16_PLANES = 14


@dataclass(frozen=True)
class SubbandWords:
    """A quantised subband.

    Attributes
    ----------
    words : numpy.ndarray
        int32 [rows, columns]; after `CodedBlocks.drop_fractions` perhaps int16.
    orientation : str
    weight : float
        Squared error in the image of a squared unit of the words' magnitudes, ``step / 2^FRACTION_BITS``.
    bit_planes : int
        M_b.
    planes : numpy.ndarray
        As from `codec.encoding.quantizer.quantize`.
    """

    words: np.ndarray
    orientation: str
    weight: float
    bit_planes: int
    planes: np.ndarray


class CodedBlocks:
    """All code-blocks of an image in the order of their packets, n in number, with up to m passes.

    Parameters
    ----------
    subbands : list of SubbandWords
    subband, area : numpy.ndarray
        int32 [n] and [n, 4], as from `codec.encoding.packet_division.packet_blocks`.

    Attributes
    ----------
    bit_planes, zero_planes, passes : numpy.ndarray
        int32 [n]: M_b, how many of the most significant planes are zero, and the number of passes coded.
    complete : numpy.ndarray
        bool [n]: all bit-planes are coded.
    stop_slopes : numpy.ndarray
        float64 [n]: predicted slope below which passes were left out.
    lengths : numpy.ndarray
        int32 [n, m]: least bytes from which the first passes decode.
    gains : numpy.ndarray
        float64 [n, m]: squared error of the image that these passes remove.
    registers, ends : numpy.ndarray
        int64 and int32 [n, m]: the MQ coder at each pass end (`pack_registers`, BP).
    codewords, offsets : numpy.ndarray
        uint8: all bytes; int64 [n]: where each block's bytes start.
    """

    def __init__(self, subbands: list[SubbandWords], subband: np.ndarray, area: np.ndarray):
        count = len(subband)
        per_pass = (count, 3 * max(1, *(band.bit_planes for band in subbands)) - 2)
        self.subbands, self.subband, self.area = subbands, subband, area
        self.bit_planes = np.array([band.bit_planes for band in subbands], np.int32)[subband]
        sizes, widths = (
            np.array(each) for each in zip(*((band.planes.size, band.planes.shape[1]) for band in subbands))
        )
        places = (
            (np.cumsum(sizes) - sizes)[subband] + area[:, 0] // BLOCK_SIDE * widths[subband] + area[:, 1] // BLOCK_SIDE
        )
        self.planes = np.concatenate([band.planes.ravel() for band in subbands])[places]
        self.zero_planes = self.bit_planes - self.planes
        self.passes, self.complete = np.zeros(count, np.int32), np.zeros(count, np.bool_)
        self.stop_slopes = np.zeros(count, np.float64)
        self.lengths, self.ends = np.empty(per_pass, np.int32), np.empty(per_pass, np.int32)
        self.gains, self.registers = np.empty(per_pass, np.float64), np.empty(per_pass, np.int64)
        self.codewords, self.offsets = np.empty(0, np.uint8), np.zeros(count, np.int64)

    def code(self, members: np.ndarray, stop_slope: float, workers: Workers) -> None:
        """Code some blocks (again), by their indices in order; the words of `subbands` get their bit 0.

        A block's coding ends where the predicted slope is below `stop_slope`.
        """
        sizes = np.zeros(len(self.subband), np.int64)

        def run(task: np.ndarray) -> np.ndarray:
            band = self.subbands[self.subband[task[0]]]
            return code_subband_blocks(
                band.words, task, self.area, self.planes,
                ZERO_CODING_SYMBOLS[ORIENTATION_CLASSES[band.orientation]], band.weight,
                # The LL subband is small, and over a constant background any bit-plane may cost nearly nothing.
                0.0 if band.orientation == "LL" else stop_slope,
                self.passes, self.complete, self.lengths, self.gains, self.registers, self.ends, sizes,
            )  # fmt: skip

        added = workers.map(run, self._tasks(members))
        self.stop_slopes[members] = stop_slope
        self.offsets[members] = self.codewords.size + np.cumsum(sizes[members]) - sizes[members]
        self.codewords = np.concatenate([self.codewords, *added])

    def take_over_from(self, other: "CodedBlocks", first: int) -> None:
        """Use the coding of `other`'s last blocks for the blocks from `first` on, whose words are the same."""
        count = len(self.subband) - first
        theirs = len(other.subband) - count
        passes = min(self.lengths.shape[1], other.lengths.shape[1])
        for name in ("passes", "complete", "stop_slopes", "offsets"):
            getattr(self, name)[first:] = getattr(other, name)[theirs:]
        for name in ("lengths", "gains", "registers", "ends"):
            getattr(self, name)[first:, :passes] = getattr(other, name)[theirs:, :passes]
        self.codewords = other.codewords

    def drop_fractions(self) -> None:
        """Halve the memory of the words, which only reconstructions need after block coding."""
        for index, band in enumerate(self.subbands):
            if band.bit_planes <= MAX_INT16_PLANES:
                short = np.empty(band.words.shape, np.int16)
                drop_fractions(band.words, short)
                self.subbands[index] = replace(band, words=short)

    def _tasks(self, members: np.ndarray) -> Iterator[np.ndarray]:
        """Runs of blocks of one subband, short enough that threads share the work evenly."""
        borders = np.flatnonzero(np.diff(self.subband[members])) + 1
        for run in np.split(members, borders):
            for start in range(0, len(run), BLOCKS_A_TASK):
                yield run[start : start + BLOCKS_A_TASK]
