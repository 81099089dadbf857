"""A guess, from the coefficients alone, of the slope at which rate control will stop.

Block coding leaves out bit-planes that are flatter than a fraction of it; rate control checks the guess afterwards.
"""

import numpy as np

from codec.jit import kernel, leading_zeros
from codec.quantizer import FINEST_STEP, FRACTION_BITS, MAGNITUDE_MASK

# The model: a coefficient above the threshold T costs FIRST_BITS + log2(magnitude / T) bits. Over phantoms and real
# mammograms at ratios from 8 to 1000 the slope found is 1.3 T² to 5 T², where T² is in squared grey levels a byte.
FIRST_BITS = 3.5
SAFETY = 0.6
# For smaller targets the model guesses too high, and there is little to save anyway.
FEWEST_BYTES = 4096
BINS_AN_OCTAVE = 4
SAMPLES_A_SUBBAND = 1 << 16


def predict_stop_slope(words: list[np.ndarray], target_bytes: int) -> float:
    """Slope (squared error a byte) that is well below the one at which `target_bytes` are reached; 0 for none.

    `words` are those of all subbands, int32, whose steps weigh alike in the image (`FINEST_STEP`).
    """
    histogram = np.zeros(32 * BINS_AN_OCTAVE)
    for band in words:
        _count_magnitudes(band, max(1, band.size // SAMPLES_A_SUBBAND), histogram)
    budget = 8 * max(target_bytes, FEWEST_BYTES)
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
