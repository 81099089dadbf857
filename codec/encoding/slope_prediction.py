"""Prediction of the slope at which rate control will stop, so that block coding can leave out passes below it.

The first prediction is from the coefficients alone. Block coding of a sample of the blocks then gives a better one.
Rate control checks the result in the end.
"""

import numpy as np

from codec.encoding.code_blocks import CodedBlocks
from codec.encoding.quantizer import BLOCK_SIDE, FINEST_STEP, FRACTION_BITS, MAGNITUDE_MASK
from codec.encoding.rate_control import truncation_points
from codec.jit import kernel, leading_zeros
from codec.workers import SINGLE_THREAD, Workers

# The model: a coefficient above the threshold T costs FIRST_BITS + log2(magnitude / T) bits. Over phantoms and real
# mammograms at ratios from 8 to 1000 the actual slope is 1.3 T² to 5 T², where T² is in squared grey levels a byte.
FIRST_BITS = 3.5
SAFETY = 0.6
# For smaller targets the model's slopes are too high, and there is little time to save.
MIN_TARGET_BYTES = 4096
BINS_AN_OCTAVE = 4
SAMPLES_A_SUBBAND = 1 << 15

# Blocks of this level and coarser ones are coded first; of the finest levels one block in so many represents all.
COARSE_LEVEL = 5
SAMPLED_LEVELS = 2
SAMPLING = 8
MIN_BLOCKS_FOR_STAGES = 200


def predict_stop_slope(words: list[np.ndarray], target_bytes: int, workers: Workers = SINGLE_THREAD) -> float:
    """A slope, in squared error a byte, well below the one at which `target_bytes` are reached; 0 for none.

    `words` are those of all subbands, int32, whose steps have about the same weight in the image (`FINEST_STEP`).
    """

    def histogram_of(band: np.ndarray) -> np.ndarray:
        counts = np.zeros(32 * BINS_AN_OCTAVE, np.int64)
        _count_magnitudes(band, max(1, band.size // SAMPLES_A_SUBBAND), counts)
        return counts

    histogram = np.sum(workers.map(histogram_of, words), axis=0)
    budget = 8 * max(target_bytes, MIN_TARGET_BYTES)
    count, bits = 0.0, 0.0
    for bin in range(histogram.size - 1, 0, -1):
        bits += count / BINS_AN_OCTAVE + FIRST_BITS * histogram[bin]
        count += histogram[bin]
        if bits > budget:
            threshold = 2.0 ** (bin / BINS_AN_OCTAVE - FRACTION_BITS - 1) * FINEST_STEP
            return SAFETY * threshold**2 if threshold > 2 * FINEST_STEP else 0.0
    return 0.0


@kernel
def _count_magnitudes(words, stride, histogram):
    """Add to `histogram` (by quarters of octaves) the magnitudes of every `stride`-th row, `stride` times each."""
    for row in range(0, words.shape[0], stride):
        for column in range(words.shape[1]):
            word = words[row, column] & np.int32(MAGNITUDE_MASK)
            top = 31 - leading_zeros(word | np.int32(4))
            histogram[4 * top + ((word >> (top - 2)) & 3)] += stride


def coding_stages(blocks: CodedBlocks, levels: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Divide the blocks into stages, coarse to fine; each stage gives the next one's stop slope.

    Returns
    -------
    stages : list of numpy.ndarray
        Indices of blocks; of the finest levels a sample is coded before the rest.
    weights : numpy.ndarray
        int64 [n]: how many blocks each one represents, until the last stage is coded.
    """
    level = levels - np.maximum(blocks.subband - 1, 0) // 3
    stage = np.clip(COARSE_LEVEL - level, 0, COARSE_LEVEL - SAMPLED_LEVELS)
    fine = level <= SAMPLED_LEVELS
    place = blocks.area[:, :2] // BLOCK_SIDE
    sampled = fine & ((3 * place[:, 0] + place[:, 1] + blocks.subband) % SAMPLING == 0)
    stage[fine & ~sampled] += 1
    if len(stage) < MIN_BLOCKS_FOR_STAGES:
        stage[:] = 0
    stages = [np.flatnonzero(stage == number) for number in range(stage.max() + 1)]
    return stages, np.where(sampled, SAMPLING, 1)


def slope_so_far(blocks: CodedBlocks, weights: np.ndarray, target_bytes: int) -> float:
    """Slope at which the blocks coded so far reach `target_bytes`; 0 if they do not.

    All blocks together reach it at a steeper slope.
    """
    block, _, slope, more_bytes = truncation_points(blocks)
    reached = np.searchsorted(np.cumsum(more_bytes * weights[block]), target_bytes)
    return float(slope[reached]) if reached < len(slope) else 0.0
