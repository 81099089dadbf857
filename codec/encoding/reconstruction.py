"""The decoded image of a codestream, from the encoder's own coefficients without entropy decoding."""

import numpy as np

from codec.decoding.synthesis_97 import synthesise_97
from codec.decoding.wavelet_rows import finish
from codec.encoding.code_blocks import CodedBlocks
from codec.encoding.quantizer import BLOCK_SIDE, FRACTION_BITS, MAGNITUDE_MASK, MAGNITUDE_SHIFT, SHORT_MASK
from codec.jit import kernel
from codec.workers import Workers

# Pixel rows that are dequantised and synthesised at a time, so that no level's coefficients are held as a whole.
STRIP = 2 * BLOCK_SIDE
# Rows of subbands that the filters need above a strip and below it.
ABOVE, BELOW = 3, 2
NO_RANGE = 0, 0, 0  # of samples: for levels that do not give pixels


def reconstruct(
    blocks: CodedBlocks, steps: list[float], passes: np.ndarray, pixels: np.ndarray, bits_stored: int, workers: Workers
) -> None:
    """Write into `pixels` [rows, columns] the image that the first `passes` (int32 [n]) of each block give."""
    sample_range = 1 << (bits_stored - 1), 0, (1 << bits_stored) - 1
    parts = [_SubbandPart(blocks, index, step, passes) for index, step in enumerate(steps)]
    low = _low_pass(parts[:-3] if len(parts) > 1 else parts, workers)
    if len(parts) == 1:
        finish(low, pixels, *sample_range)
    else:
        _synthesise_level(low, parts[-3:], pixels, True, sample_range, workers)


def reconstruct_low_pass(
    blocks: CodedBlocks, steps: list[float], passes: np.ndarray, level: int, workers: Workers
) -> np.ndarray:
    """The LL subband of a decomposition level, float32, as `reconstruct` has it on its way to the image."""
    parts = [_SubbandPart(blocks, index, step, passes) for index, step in enumerate(steps[: len(steps) - 3 * level])]
    return _low_pass(parts, workers)


def _low_pass(parts: list["_SubbandPart"], workers: Workers) -> np.ndarray:
    """Synthesise all levels of `parts`."""
    low = parts[0].rows(0, len(parts[0].words))
    if not low.size:
        low = np.zeros(parts[0].words.shape, np.float32)
    for first in range(1, len(parts), 3):
        high = parts[first : first + 3]
        shape = len(low) + len(high[1].words), low.shape[1] + high[0].words.shape[1]
        output = np.empty(shape, np.float32)
        _synthesise_level(low, high, output, False, NO_RANGE, workers)
        low = output
    return low


def _synthesise_level(
    low: np.ndarray,
    high: list["_SubbandPart"],
    output: np.ndarray,
    final: bool,
    sample_range: tuple[int, int, int],
    workers: Workers,
) -> None:
    """Synthesise one level into `output` strip by strip."""

    def synthesise(start: int) -> None:
        stop = min(start + STRIP, len(output))
        skipped = max(start // 2 - ABOVE, 0)
        bands = [part.rows(skipped, stop // 2 + BELOW) for part in high]
        synthesise_97(low, *bands, skipped, (0, 0), output, final, sample_range, start, stop)

    workers.map(synthesise, range(0, len(output), STRIP))


class _SubbandPart:
    """The included passes of a subband's words."""

    def __init__(self, blocks: CodedBlocks, index: int, step: float, passes: np.ndarray):
        # Where a resolution has several precincts, a subband's blocks do not follow each other.
        included = np.flatnonzero((blocks.subband == index) & (passes > 0))
        self.words, self.step = blocks.subbands[index].words, step
        self.area, self.planes, self.passes = blocks.area[included], blocks.planes[included], passes[included]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Coefficients of some rows, float32; empty where all are 0."""
        stop = min(stop, len(self.words))
        members = np.flatnonzero((self.area[:, 0] < stop) & (self.area[:, 0] + self.area[:, 2] > start))
        if not members.size:
            return np.empty((0, 0), np.float32)
        result = np.zeros((stop - start, self.words.shape[1]), np.float32)
        _dequantize(self.words, members, self.area, self.planes, self.passes, self.step, start, result)
        return result


@kernel
def _dequantize(words, members, area, planes, passes, step, start, result):
    """Reconstruct coefficients at the middle of their known intervals (E.1.1.2, r = 1/2).

    `result` are the rows of the subband from `start` on.
    """
    shift = MAGNITUDE_SHIFT if words.itemsize == 4 else MAGNITUDE_SHIFT - FRACTION_BITS
    mask = np.int32(MAGNITUDE_MASK if words.itemsize == 4 else SHORT_MASK)
    scale = np.float32(step / (1 << shift))
    for block in members:
        top, left, rows, columns = area[block]
        # The last pass: its bit-plane and kind (0 significance, 1 refinement, 2 cleanup; a block starts with 2).
        plane = planes[block] - 1 - (passes[block] + 1) // 3
        kind = (passes[block] + 1) % 3
        half = np.int32(1) << np.int32(plane + shift - 1)
        # Coefficients significant in earlier planes are known down to this plane only after its refinement pass.
        old_half = half if kind >= 1 else half << np.int32(1)
        for row in range(max(top, start), min(top + rows, start + result.shape[0])):
            line, output = words[row, left : left + columns], result[row - start, left : left + columns]
            for column in range(line.size):
                word = np.int32(line[column])
                magnitude = word & mask
                old = magnitude >= 4 * half
                new = magnitude >= 2 * half and (kind == 2 or word & 1 == 1)
                unit = old_half if old else half
                value = (magnitude & -(unit << np.int32(1))) + unit
                coefficient = np.float32(value if old or new else np.int32(0)) * scale
                output[column] = -coefficient if word < 0 else coefficient
