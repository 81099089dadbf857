"""What stands in for quantisation in lossless coding (T.800 E.1.1, Table A.28): every step is 1, exponents only."""

from dataclasses import dataclass

import numpy as np

from codec.jit import kernel
from codec.quantizer import BLOCK, LOG2_GAIN, MAGNITUDE_SHIFT
from codec.wavelet import subband_names

NO_QUANTIZATION = 0


@dataclass(frozen=True)
class ReversibleQuantization:
    """What the QCD marker segment says of a reversible transform: an exponent a subband, and the guard bits."""

    bits_stored: int
    levels: int
    guard_bits: int = 0
    reversible: bool = True

    def exponents(self) -> list[int]:
        """Nominal range of every subband in bits (equation E-4), in the order of the codestream."""
        return [self.bits_stored + LOG2_GAIN[orientation] for orientation, _ in subband_names(self.levels)]

    def steps(self) -> list[float]:
        """Step size of every subband."""
        return [1.0] * (3 * self.levels + 1)

    def magnitude_bits(self) -> list[int]:
        """M_b, the number of magnitude bit-planes of every subband (equation E-2)."""
        return [self.guard_bits + exponent - 1 for exponent in self.exponents()]

    def marker_body(self) -> bytes:
        """Sqcd and SPqcd (A.6.4)."""
        return bytes([self.guard_bits << 5 | NO_QUANTIZATION, *(exponent << 3 for exponent in self.exponents())])


@kernel
def keep_integers(coefficients, planes):
    """Turn a subband of whole numbers into words, in place, and find the bit-planes of its code-blocks' squares.

    Parameters
    ----------
    coefficients : numpy.ndarray
        int32 [rows, columns], magnitudes below 2^24; holds the words afterwards (see `codec.quantizer`).
    planes : numpy.ndarray
        As of `codec.quantizer.quantize`.
    """
    rows, columns = coefficients.shape
    for down in range(planes.shape[0]):
        for across in range(planes.shape[1]):
            bits = np.int32(0)
            for row in range(down * BLOCK, min((down + 1) * BLOCK, rows)):
                line = coefficients[row, across * BLOCK : min((across + 1) * BLOCK, columns)]
                for column in range(line.size):
                    value = line[column]
                    magnitude = abs(value)
                    bits |= magnitude
                    sign = np.int32(-0x80000000) if value < 0 else np.int32(0)
                    line[column] = magnitude << np.int32(MAGNITUDE_SHIFT) | sign
            planes[down, across] = 0
            while bits >> planes[down, across] != 0:
                planes[down, across] += 1
