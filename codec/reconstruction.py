"""What a decoder gives for a codestream, found from the encoder's own coefficients without entropy decoding."""

import numpy as np

from codec.code_blocks import CodedBlocks, SubbandWords
from codec.inverse_wavelet import inverse_97
from codec.jit import kernel
from codec.quantizer import FRACTION_BITS, MAGNITUDE_MASK, MAGNITUDE_SHIFT


def reconstruct(
    subbands: list[SubbandWords],
    steps: list[float],
    blocks: CodedBlocks,
    passes: np.ndarray,
    pixels: np.ndarray,
    bits_stored: int,
) -> None:
    """Write into `pixels` [rows, columns] the image that the first `passes` (int32 [n]) of each block give."""
    bands: list[np.ndarray | None] = []
    for index, (subband, step) in enumerate(zip(subbands, steps)):
        members = slice(*np.searchsorted(blocks.subband, [index, index + 1]))
        if not passes[members].any():
            bands.append(None)
            continue
        planes = blocks.bit_planes[members] - blocks.zero_planes[members]
        band = np.empty(subband.words.shape, np.float32)
        _dequantize(subband.words, blocks.area[members], planes, passes[members], step, band)
        bands.append(band)
    inverse_97(bands, pixels, level_shift=1 << (bits_stored - 1), lowest=0, largest=(1 << bits_stored) - 1)


@kernel
def _dequantize(words, area, planes, passes, step, band):
    """Reconstruct the coefficients of one subband at the middle of what is known of them (E.1.1.2, r = 1/2)."""
    scale = np.float32(step / (1 << FRACTION_BITS) / 2)
    for block in range(area.shape[0]):
        top, left, rows, columns = area[block]
        if passes[block] == 0:
            for row in range(top, top + rows):
                band[row, left : left + columns] = 0
            continue
        # The last pass: its bit-plane and kind (0 significance, 1 refinement, 2 cleanup; a block starts with 2).
        plane = planes[block] - 1 - (passes[block] + 1) // 3
        kind = (passes[block] + 1) % 3
        half = np.int32(1) << np.int32(plane + MAGNITUDE_SHIFT - 1)
        # Coefficients found in earlier planes are known to this plane only once it was refined.
        old_half = half if kind >= 1 else half << np.int32(1)
        for row in range(top, top + rows):
            line, result = words[row, left : left + columns], band[row, left : left + columns]
            for column in range(line.size):
                word = line[column]
                magnitude = word & np.int32(MAGNITUDE_MASK)
                old = magnitude >= 4 * half
                new = magnitude >= 2 * half and (kind == 2 or word & 1 == 1)
                unit = old_half if old else half
                value = (magnitude & -(unit << np.int32(1))) + unit
                coefficient = np.float32(value if old or new else np.int32(0)) * scale
                result[column] = -coefficient if word < 0 else coefficient
