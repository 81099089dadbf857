"""Scalar dead-zone quantisation (T.800 Annex E), all steps derived from one base step (equation E-5).

The encoder keeps a coefficient as a 32-bit word: bit 31 is its sign, bits 1-30 its magnitude in steps with
`FRACTION_BITS` binary places; bit 0 is set where it became significant in a significance-propagation pass. So block
coding can measure distortions below the finest step, and a reconstruction needs no entropy decoding.
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from codec.jit import kernel
from codec.quantization import MANTISSA_BITS, NO_QUANTIZATION, SCALAR_DERIVED, Quantization
from codec.subbands import LOG2_GAIN, subband_names

FRACTION_BITS = 5
MAGNITUDE_SHIFT = FRACTION_BITS + 1
MAGNITUDE_MASK = 0x7FFFFFFE
SHORT_MASK = 0x7FFE
LOG2_BLOCK_SIDE = 6
BLOCK_SIDE = 1 << LOG2_BLOCK_SIDE  # rows and columns of a code-block
# Step of the finest HL and LH subbands, which have a norm near 1, in grey levels. Half a grey level keeps the smallest
# errors below that of rounding to whole levels; the exact value decides where the bit-planes fall. In trials over
# phantoms and real mammograms this value lost least against separate steps for each subband (0.01 dB at most, where
# 0.47 and 0.51 lose 0.1). A step for which black is near a power of two (0.5) costs up to 1 dB below 1 KB.
FINEST_STEP = 0.4885

# Synthesis filters, one half of each (they are symmetric; the last tap is the centre): low-pass, high-pass.
_FILTERS_97 = (
    (-0.09127176311424948, -0.05754352622849957, 0.5912717631142470, 1.1150870524569940),
    (0.02674875741080976, 0.01686411844287495, -0.07822326652898785, -0.2668641184428723, 0.6029490182363579),
)
_FILTERS_53 = (0.5, 1.0), (-0.125, -0.25, 0.75)


@lru_cache
def subband_norms(levels: int, reversible: bool = False) -> tuple[float, ...]:
    """L2 norm of each subband's synthesis basis vectors, in the order of the codestream.

    The squared error of the image is about the sum over all coefficients of (norm · error)².
    """
    low_pass, high_pass = (np.array([*half, *half[-2::-1]]) for half in (_FILTERS_53 if reversible else _FILTERS_97))
    low, high = low_pass, high_pass
    norms = {("LL", 0): 1.0}
    for level in range(1, levels + 1):
        of_low, of_high = float(np.linalg.norm(low)), float(np.linalg.norm(high))
        norms["LL", level] = of_low * of_low
        norms["HL", level] = norms["LH", level] = of_low * of_high
        norms["HH", level] = of_high * of_high
        low, high = (np.convolve(_upsampled(basis), low_pass) for basis in (low, high))
    return tuple(norms[name] for name in subband_names(levels))


def _upsampled(basis: np.ndarray) -> np.ndarray:
    result = np.zeros(2 * basis.size - 1)
    result[::2] = basis
    return result


def derived_quantization(bits: int, levels: int) -> Quantization:
    """Quantisation, without guard bits yet, that gives the level-1 HL and LH subbands the `FINEST_STEP`."""
    exponent = bits + levels - math.floor(math.log2(FINEST_STEP))
    mantissa = round((FINEST_STEP * 2.0 ** (exponent - bits - levels) - 1) * 2**MANTISSA_BITS)
    return Quantization(SCALAR_DERIVED, 0, (exponent,), (mantissa,))


def reversible_quantization(bits: int, levels: int) -> Quantization:
    """The same for a reversible transform: exponents are the nominal ranges of equation E-4, as every step is 1."""
    exponents = tuple(bits + LOG2_GAIN[orientation] for orientation, _ in subband_names(levels))
    return Quantization(NO_QUANTIZATION, 0, exponents, (0,) * len(exponents))


def subband_steps(quantization: Quantization, bits: int, levels: int) -> list[float]:
    """Step size of every subband, in the order of the codestream."""
    return [
        quantization.step(index, orientation, level, levels, bits)
        for index, (orientation, level) in enumerate(subband_names(levels))
    ]


def subband_bit_planes(quantization: Quantization, levels: int) -> list[int]:
    """M_b of every subband, in the order of the codestream."""
    return [quantization.magnitude_bits(index, level, levels) for index, (_, level) in enumerate(subband_names(levels))]


def with_guard_bits(quantization: Quantization, levels: int, planes: list[int]) -> Quantization:
    """Add the fewest guard bits with which every subband has at least its actual bit-planes, and two."""
    room = subband_bit_planes(quantization, levels)
    guard_bits = max(0, *(max(used, 2) - available for used, available in zip(planes, room)))
    return replace(quantization, guard_bits=guard_bits)


@kernel
def _quantize_rows(rows, scale, bits):
    """Quantise rows of coefficients; `bits` collects, by column, the magnitudes or-ed."""
    words = rows.view(np.int32)
    bits[:] = 0
    for row in range(rows.shape[0]):
        coefficients, line = rows[row], words[row]
        for column in range(coefficients.size):
            value = coefficients[column]
            magnitude = np.int32(abs(value) * scale)
            line[column] = magnitude << np.int32(1) | (np.int32(-0x80000000) if value < 0 else np.int32(0))
            bits[column] |= magnitude


@kernel
def quantize(coefficients, step, planes):
    """Quantise a subband in place, and count the bit-planes of its squares of `BLOCK_SIDE` × `BLOCK_SIDE`.

    Parameters
    ----------
    coefficients : numpy.ndarray
        float32 [rows, columns]; holds the words, int32, afterwards.
    step : float
    planes : numpy.ndarray
        int32 [rows of squares, columns of squares], written: how many bit-planes the largest magnitude has, 0 where
        all are below one step. Squares at the right and the bottom may be smaller.
    """
    columns = coefficients.shape[1]
    scale = np.float32((1 << FRACTION_BITS) / step)
    of_columns = np.empty(columns, np.int32)
    for down in range(planes.shape[0]):
        _quantize_rows(coefficients[down * BLOCK_SIDE : (down + 1) * BLOCK_SIDE], scale, of_columns)
        for across in range(planes.shape[1]):
            bits = np.int32(0)
            for column in range(across * BLOCK_SIDE, min((across + 1) * BLOCK_SIDE, columns)):
                bits |= of_columns[column]
            planes[down, across] = 0
            while bits >> (FRACTION_BITS + planes[down, across]) != 0:
                planes[down, across] += 1


@kernel
def keep_integers(coefficients, step, planes):  # noqa: ARG001
    """Turn integers into words, in place; called like `quantize`, with step 1.

    Parameters
    ----------
    coefficients : numpy.ndarray
        int32 [rows, columns], magnitudes below 2^24; holds the words afterwards.
    step : float
    planes : numpy.ndarray
        int32, written: bit-planes of the squares of `BLOCK_SIDE` × `BLOCK_SIDE`.
    """
    rows, columns = coefficients.shape
    for down in range(planes.shape[0]):
        for across in range(planes.shape[1]):
            bits = np.int32(0)
            for row in range(down * BLOCK_SIDE, min((down + 1) * BLOCK_SIDE, rows)):
                line = coefficients[row, across * BLOCK_SIDE : min((across + 1) * BLOCK_SIDE, columns)]
                for column in range(line.size):
                    value = line[column]
                    magnitude = abs(value)
                    bits |= magnitude
                    sign = np.int32(-0x80000000) if value < 0 else np.int32(0)
                    line[column] = magnitude << np.int32(MAGNITUDE_SHIFT) | sign
            planes[down, across] = 0
            while bits >> planes[down, across] != 0:
                planes[down, across] += 1


@kernel
def drop_fractions(words, short):
    """Write `words` as int16, without the bits below a step; for less than 15 bit-planes."""
    for row in range(words.shape[0]):
        line, output = words[row], short[row]
        for column in range(line.size):
            word = line[column]
            magnitude = (word & np.int32(MAGNITUDE_MASK)) >> np.int32(FRACTION_BITS)
            sign = np.int32(-0x8000) if word < 0 else np.int32(0)
            output[column] = sign | (magnitude & np.int32(SHORT_MASK)) | (word & np.int32(1))
