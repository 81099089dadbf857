"""What lossy coding makes of padding pixels, and the range of padding values that still fits them (PS3.3 C.7.5.1.1.2).

Pixels of one padding value come back as several. The range is widened to hold them, but never so far that it would hold
a value to which any other pixel was decoded: software shows no pixel of that range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from mammo_jax.sources.dicom import padding_range

Range = tuple[int, int]


class WidenedRange(NamedTuple):
    """The smallest and largest padding value, and how many padding pixels were decoded to other values."""

    smallest: int
    largest: int
    outside: int


class DecodedPadding:
    """Counts of the values to which padding pixels, and all others, were decoded.

    Parameters
    ----------
    before : (int, int)
        Smallest and largest padding value of the original.
    bits : int
        Bits stored.
    """

    def __init__(self, before: Range, bits: int):
        self._before = before
        self._padding = np.zeros(1 << bits, np.int64)
        self._others = np.zeros(1 << bits, np.int64)

    def add(self, pixels: np.ndarray, decoded: np.ndarray) -> None:
        """Count the pixels of a frame, uint8 or uint16 [rows, columns]."""
        smallest, largest = self._before
        is_padding = (pixels >= smallest) & (pixels <= largest)
        of_padding = np.bincount(decoded[is_padding], minlength=len(self._padding))
        self._padding += of_padding
        self._others += np.bincount(decoded.ravel(), minlength=len(self._others)) - of_padding

    def widened(self) -> WidenedRange:
        """The range as far as padding pixels were decoded, but not up to a value that any other pixel has."""
        smallest, largest = self._before
        values, others = np.flatnonzero(self._padding), np.flatnonzero(self._others)
        if len(values):
            above, below = others[others > largest], others[others < smallest]
            largest = max(largest, min(int(values[-1]), int(above[0]) - 1 if len(above) else int(values[-1])))
            smallest = min(smallest, max(int(values[0]), int(below[-1]) + 1 if len(below) else int(values[0])))
        inside = self._padding[smallest : largest + 1].sum()
        return WidenedRange(smallest, largest, int(self._padding.sum() - inside))


def set_padding_range(instance: Dataset, widened: WidenedRange) -> None:
    """Set the padding elements where the range has become another; PixelPaddingValue is its end that is shown black."""
    ends = (widened.smallest, widened.largest)
    if ends == padding_range(instance):
        return
    if instance.PhotometricInterpretation == "MONOCHROME1":
        ends = ends[::-1]
    for keyword, value in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), ends):
        instance.add_new(keyword, "US", value)  # the dictionary leaves US or SS open
