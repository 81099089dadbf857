"""Division of bytes among several images so that all end at one slope, as the frames of an object that is one whole.

Where the slopes are equal, no byte would take away more distortion in another image: the sum of the squared errors is
the least that so many bytes can have (J.14.3, for the code-blocks of all images together).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from codec import ratio as compression_ratio
from codec.encoding.coded_image import MIN_SLOPE_RATIO, code_irreversibly
from codec.encoding.codestream_writer import FIXED_BYTES
from codec.encoding.decomposition import decomposition_levels
from codec.encoding.encoder import checked_image, smallest_codestream, unreachable
from codec.errors import InvalidImageError
from codec.workers import Workers

# Slopes at which the length of each image is measured, steepest first; between two of them it is taken as linear.
SLOPES_AN_OCTAVE = 4
SLOPES = np.append(2.0 ** (np.arange(56 * SLOPES_AN_OCTAVE, -8 * SLOPES_AN_OCTAVE, -1) / SLOPES_AN_OCTAVE), 0.0)
# An image whose passes end before the common slope is coded again for so many times the bytes.
MORE_BYTES = 4


@dataclass(frozen=True)
class _Curve:
    """Length of an image's codestream at each of `SLOPES`.

    Attributes
    ----------
    sizes : numpy.ndarray
        int64 [slopes]: with all passes whose slope is at least so steep; the last known size is repeated.
    known : int
        Number of slopes down to which all such passes are coded.
    coded_for : int
        Bytes of packets that it was coded for.
    """

    sizes: np.ndarray
    known: int
    coded_for: int


def divide_bytes(
    images: Sequence[np.ndarray],
    ratios: Iterable[float],
    *,
    bits_stored: int | None = None,
    reference: str = "allocated",
    threads: int = 1,
) -> list[list[int]]:
    """Divide ``floor(uncompressed bytes of all images / ratio)`` among them, so that all end at the same slope.

    `encode` reaches each of these sizes with the ratio that `codec.ratio.ratio_for_target` gives for it. One image is
    held at a time. Each is coded once, and again where it needs many more bytes than the mean.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        uint8 or uint16 [rows, columns], all of one shape and type.
    ratios : iterable of float
        Compression ratios of the whole.
    bits_stored, reference, threads
        As of `encode`.

    Returns
    -------
    list of list of int
        For each ratio the bytes of each image.

    Raises
    ------
    InvalidImageError, InvalidRatioError, UnreachableRatioError, OptionError
        As `encode`; InvalidImageError also where there is no image, or they differ in shape or type.
    """
    if not len(images):
        raise InvalidImageError("bytes can be divided among images only, and there is none")
    ratios = list(ratios)
    first, bits = checked_image(images[0], bits_stored)
    uncompressed = compression_ratio.image_bytes(first, bits, reference)
    totals = [compression_ratio.shared_target_bytes(uncompressed, len(images), ratio) for ratio in ratios]
    smallest = smallest_codestream(first.shape, bits)
    for ratio, total in zip(ratios, totals):
        if total < smallest * len(images):
            raise unreachable(ratio, total // len(images), smallest, uncompressed, first.shape)
    if not totals:
        return []
    with Workers(threads) as workers:
        return _divided(_Measured(images, first, bits, workers), totals)


class _Measured:
    """The curves of images, which are coded as often as that needs."""

    def __init__(self, images: Sequence[np.ndarray], first: np.ndarray, bits: int, workers: Workers):
        self._images, self._first, self._bits, self._workers = images, first, bits, workers

    def __len__(self) -> int:
        return len(self._images)

    def curve(self, index: int, packet_bytes: int) -> _Curve:
        """Code an image for so many bytes of packets, and measure it."""
        image, bits = checked_image(self._images[index], self._bits)
        if (image.shape, image.dtype) != (self._first.shape, self._first.dtype):
            raise InvalidImageError(
                f"image {index + 1} is {image.dtype} {image.shape}, but the first one {self._first.dtype} "
                f"{self._first.shape}: bytes are divided among images of one shape and type"
            )
        rows, columns = image.shape
        levels = decomposition_levels(rows, columns, bits)
        coded, control = code_irreversibly(image, bits, levels, packet_bytes, self._workers)
        left_out = coded.blocks.stop_slopes[~coded.blocks.complete]
        known = int(np.count_nonzero(MIN_SLOPE_RATIO * left_out.max(initial=0.0) <= SLOPES))
        sizes = FIXED_BYTES + control.bytes_down_to(SLOPES[:known])
        return _Curve(np.append(sizes, np.full(len(SLOPES) - known, sizes[-1])), known, packet_bytes)


def _divided(measured: _Measured, totals: list[int]) -> list[list[int]]:
    """Divide the totals; images that are not coded down to the flattest of their common slopes are coded again."""
    mean = max(totals) // len(measured)
    curves = [measured.curve(index, mean) for index in range(len(measured))]
    while True:
        sums = np.sum([curve.sizes for curve in curves], axis=0)
        ends = [min(int(np.searchsorted(sums, total)), len(SLOPES) - 1) for total in totals]
        short = [index for index, curve in enumerate(curves) if curve.known <= max(ends)]
        if not short:
            return [_sizes_between(curves, end, total) for end, total in zip(ends, totals)]
        for index in short:
            curves[index] = measured.curve(index, MORE_BYTES * curves[index].coded_for)


def _sizes_between(curves: list[_Curve], end: int, total: int) -> list[int]:
    """Sizes whose sum is `total`, each between those at the slope before `end` and at `end`, or above the last ones."""
    upper = [int(curve.sizes[end]) for curve in curves]
    lower = [int(curve.sizes[max(end - 1, 0)]) for curve in curves]
    if total > sum(upper):  # all passes are coded: the rest is filler
        lower, upper = upper, [size + 1 for size in upper]
    missing, width = total - sum(lower), max(sum(upper) - sum(lower), 1)
    parts = [divmod((high - low) * missing, width) for low, high in zip(lower, upper)]
    left = missing - sum(whole for whole, _ in parts)
    rounded_up = set(sorted(range(len(parts)), key=lambda index: -parts[index][1])[:left])
    return [low + whole + (index in rounded_up) for index, (low, (whole, _)) in enumerate(zip(lower, parts))]
