"""An image after transform, quantisation and block coding, from which codestreams of any length can be assembled."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codec.encoding.code_blocks import CodedBlocks, SubbandWords
from codec.encoding.forward_53 import forward_53
from codec.encoding.forward_97 import forward_97
from codec.encoding.packet_division import packet_blocks
from codec.encoding.quantizer import (
    BLOCK_SIDE,
    FRACTION_BITS,
    derived_quantization,
    keep_integers,
    quantize,
    reversible_quantization,
    subband_bit_planes,
    subband_norms,
    subband_steps,
    with_guard_bits,
)
from codec.encoding.rate_control import RateControl
from codec.encoding.slope_prediction import coding_stages, predict_stop_slope, slope_so_far
from codec.quantization import Quantization
from codec.subbands import subband_names, subband_shapes
from codec.workers import Workers

# Block coding stops at this part of the slope that rate control will probably end with. The slope that it does end with
# must be at least `MIN_SLOPE_RATIO` times the stop slope.
STOP_FRACTION = 0.7
MIN_SLOPE_RATIO = 1.05
# In an image of few code-blocks every pass counts: stopping too early has cost up to 0.2 dB. Full coding takes twice
# the time, stopping at a seventh of the slope a quarter more. The factor falls from 7 to 1 as code-blocks become many.
FEW_BLOCKS, MANY_BLOCKS = 2000, 3000
MAX_SAFETY_FACTOR = 7
MIN_STOP_SLOPE = 1.0
# Rows of code-blocks that one task quantises.
ROWS_A_TASK = 8


@dataclass(frozen=True)
class CodedImage:
    """The coded blocks of an image, and the parameters that a codestream's headers give.

    Attributes
    ----------
    shape, dtype : (int, int), numpy.dtype
        Of the pixels.
    bits_stored, levels : int
        Bits of a pixel that hold its value, and decomposition levels.
    quantization : Quantization
    packets : numpy.ndarray
        As of `codec.encoding.packet_division.packet_blocks`.
    blocks : CodedBlocks
    """

    shape: tuple[int, int]
    dtype: np.dtype
    bits_stored: int
    levels: int
    quantization: Quantization
    packets: np.ndarray
    blocks: CodedBlocks


def code_irreversibly(
    pixels: np.ndarray, bits: int, levels: int, packet_bytes: int, workers: Workers
) -> tuple[CodedImage, RateControl]:
    """Transform by the 9/7 filter, and code all passes that `packet_bytes` may have room for."""
    bands = forward_97(pixels, levels, 1 << (bits - 1), workers)
    return code_subbands(pixels, bits, bands, packet_bytes, workers)


def code_subbands(
    pixels: np.ndarray, bits: int, bands: list[np.ndarray], packet_bytes: int, workers: Workers
) -> tuple[CodedImage, RateControl]:
    """Do the same with the subbands of the 9/7 filter, which are overwritten."""
    image = _quantized_image(pixels, bits, bands, derived_quantization(bits, len(bands) // 3), quantize, workers)
    return image, _code_for(image, packet_bytes, workers)


def code_with_other_levels(
    image: CodedImage, coarse: list[np.ndarray], levels: int, workers: Workers
) -> tuple[CodedImage, RateControl]:
    """Replace the coarsest subbands of an image by others, so that it has so many `levels`.

    `coarse` are overwritten. Every bit-plane of theirs is coded; the finer subbands' coding is taken over.
    """
    quantization = derived_quantization(image.bits_stored, levels)
    steps = subband_steps(quantization, image.bits_stored, levels)
    finer = image.blocks.subbands[len(image.blocks.subbands) - (len(steps) - len(coarse)) :]
    planes = _quantize_bands(coarse, steps[: len(coarse)], quantize, workers) + [band.planes for band in finer]
    words = [band.view(np.int32) for band in coarse] + [band.words for band in finer]
    result = _image_of(image.shape, image.dtype, image.bits_stored, quantization, words, planes)
    members = np.flatnonzero(result.blocks.subband < len(coarse))
    result.blocks.take_over_from(image.blocks, len(members))
    result.blocks.code(members, 0.0, workers)
    return result, RateControl(result.blocks, result.packets)


def code_reversibly(pixels: np.ndarray, bits: int, levels: int, workers: Workers) -> CodedImage:
    """Transform by the 5/3 filter, and code every bit-plane of every block."""
    bands = forward_53(pixels, levels, 1 << (bits - 1))
    image = _quantized_image(pixels, bits, bands, reversible_quantization(bits, levels), keep_integers, workers)
    image.blocks.code(np.arange(len(image.blocks.passes)), 0.0, workers)
    return image


def _quantized_image(
    pixels: np.ndarray,
    bits: int,
    bands: list[np.ndarray],
    quantization: Quantization,
    quantize_rows: Callable[[np.ndarray, float, np.ndarray], None],
    workers: Workers,
) -> CodedImage:
    """Quantise the subbands in place, and divide them into code-blocks."""
    steps = subband_steps(quantization, bits, len(bands) // 3)
    planes = _quantize_bands(bands, steps, quantize_rows, workers)
    return _image_of(pixels.shape, pixels.dtype, bits, quantization, [band.view(np.int32) for band in bands], planes)


def _quantize_bands(
    bands: list[np.ndarray],
    steps: list[float],
    quantize_rows: Callable[[np.ndarray, float, np.ndarray], None],
    workers: Workers,
) -> list[np.ndarray]:
    """Quantise subbands in place, and count the bit-planes of their squares of `BLOCK_SIDE` × `BLOCK_SIDE`."""
    planes = [np.empty((-(-band.shape[0] // BLOCK_SIDE), -(-band.shape[1] // BLOCK_SIDE)), np.int32) for band in bands]
    parts = [
        (band[row * BLOCK_SIDE : (row + ROWS_A_TASK) * BLOCK_SIDE], step, of_band[row : row + ROWS_A_TASK])
        for band, step, of_band in zip(bands, steps, planes)
        for row in range(0, len(of_band), ROWS_A_TASK)
    ]
    workers.map(lambda part: quantize_rows(*part), parts)
    return planes


def _image_of(
    shape: tuple[int, ...],
    dtype: np.dtype,
    bits: int,
    quantization: Quantization,
    words: list[np.ndarray],
    planes: list[np.ndarray],
) -> CodedImage:
    """Divide quantised subbands into code-blocks, which are not coded yet."""
    (rows, columns), levels = shape, len(words) // 3
    steps = subband_steps(quantization, bits, levels)
    quantization = with_guard_bits(quantization, levels, [int(each.max(initial=0)) for each in planes])
    subbands = [
        SubbandWords(band, orientation, (norm * step / (1 << FRACTION_BITS)) ** 2, room, each)
        for band, (orientation, _), norm, step, room, each in zip(
            words,
            subband_names(levels),
            subband_norms(levels, quantization.reversible),
            steps,
            subband_bit_planes(quantization, levels),
            planes,
        )
    ]
    packets, subband, area = packet_blocks(subband_shapes(rows, columns, levels))
    blocks = CodedBlocks(subbands, subband, area)
    return CodedImage((rows, columns), dtype, bits, levels, quantization, packets, blocks)


def _safety_factor(blocks: int) -> float:
    """By how much coding of an image with so many blocks stops below the predicted slope."""
    few = (MANY_BLOCKS - blocks) / (MANY_BLOCKS - FEW_BLOCKS)
    return MAX_SAFETY_FACTOR ** min(max(few, 0), 1)


def _code_for(image: CodedImage, packet_bytes: int, workers: Workers) -> RateControl:
    """Code all passes that `packet_bytes` may have room for, coarse levels first."""
    blocks = image.blocks
    safety = _safety_factor(len(blocks.passes))
    guess = stop_slope = predict_stop_slope([band.words for band in blocks.subbands], packet_bytes, workers) / safety
    stages, weights = coding_stages(blocks, image.levels)
    for number, members in enumerate(stages):
        if number > 0:
            stop_slope = max(guess, STOP_FRACTION / safety * slope_so_far(blocks, weights, packet_bytes))
        blocks.code(members, stop_slope, workers)
    while True:
        control = RateControl(blocks, image.packets)
        if stop_slope == 0 or control.slope(packet_bytes) > MIN_SLOPE_RATIO * stop_slope:
            return control
        stop_slope = 0.0 if stop_slope < MIN_STOP_SLOPE else stop_slope / 4
        blocks.code(np.flatnonzero(~blocks.complete), stop_slope, workers)
