"""Compressing an image to a ladder of ratios, with our codec or another.

Ours hits every size to the byte. None of the others does, and most take no size at all: the setting is searched whose
result is the largest that fits. Only where a codec's coarsest setting still gives more bytes than asked for, up to
`TOLERANCE` more, is that taken; what is larger cannot be had at this ratio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

import codec
from codec.ratio import target_bytes, uncompressed_bytes
from mammo_jax.compression.other_codecs import RIVALS
from mammo_jax.errors import UserError

CodecName = Literal["mammo_jax", "openjpeg", "htj2k", "jpegxl", "jpeg", "jpegls"]
OURS = "mammo_jax"
TOLERANCE = 0.10


class CompressionError(UserError):
    """A codec that cannot have a ratio; the message names the codec, the image and the largest ratio there is."""


@dataclass(frozen=True)
class RivalEncoded:
    """What another codec made of an image; the fields are those of `codec.Encoded` of the same names.

    Attributes
    ----------
    codestream : bytes
        As close to `target_bytes` as the codec comes.
    ratio : float
        The compression ratio asked for.
    target_bytes : int
    reconstruction : numpy.ndarray
        uint8 or uint16 [rows, columns], as the codec's own library decodes it.
    setting : float
        What the codec was told.
    encodes : int
        How many trials the search took.
    """

    codestream: bytes
    ratio: float
    target_bytes: int
    reconstruction: np.ndarray
    setting: float
    encodes: int
    header_bytes: int | None = None
    padding_bytes: int = 0


def rival_ladder(
    name: str, pixels: np.ndarray, ratios: Sequence[float], *, bits_stored: int, threads: int = 1
) -> Iterator[RivalEncoded]:
    """Compress an image with another codec to every ratio (counting the bits allocated), as near as it comes.

    Parameters
    ----------
    name : str
        A key of `RIVALS`.
    pixels : numpy.ndarray
        uint8 or uint16 [rows, columns].
    ratios : sequence of float
    bits_stored : int
        Bits of a pixel that carry its value.
    threads : int
        For the codecs that can use some.

    Raises
    ------
    codec.InvalidImageError
        The codec cannot hold samples of so many bits.
    codec.UnreachableRatioError
        Its coarsest setting gives more than `TOLERANCE` too many bytes.
    """
    search = _Search(name, pixels, bits_stored, threads)
    uncompressed = uncompressed_bytes(*pixels.shape, bits_allocated=8 * pixels.itemsize, bits_stored=bits_stored)
    for ratio in ratios:
        target = target_bytes(uncompressed, ratio)
        before = len(search.made)
        index = search.nearest(target, ratio * bits_stored / (8 * pixels.itemsize))
        data = search.made[index]
        if len(data) > target * (1 + TOLERANCE):
            largest = pixels.nbytes / len(data)
            raise codec.UnreachableRatioError(
                f"{search.rival.title} cannot compress this image {ratio:g} times: {target} bytes are asked for, and"
                f" its coarsest setting gives {len(data)}; the largest ratio that it can have is {largest:.6g}",
                largest,
            )
        yield RivalEncoded(
            codestream=data,
            ratio=ratio,
            target_bytes=target,
            reconstruction=search.decoded(data),
            setting=float(search.settings[index]),
            encodes=len(search.made) - before,
        )


def codec_ladder(
    name: CodecName, pixels: np.ndarray, ratios: Sequence[float], *, bits_stored: int
) -> Iterator[codec.Encoded | RivalEncoded]:
    """Compress an image to every ratio, with our codec or another; see `codec.encode_ladder` and `rival_ladder`."""
    if name == OURS:
        return codec.encode_ladder(pixels, ratios, bits_stored=bits_stored)
    return rival_ladder(name, pixels, ratios, bits_stored=bits_stored)


def codec_title(name: CodecName) -> str:
    """Name of a codec for readers, with the library and its version."""
    return "mammo_jax's own JPEG 2000" if name == OURS else RIVALS[name].title


def largest_ratio(name: str, pixels: np.ndarray, bits_stored: int) -> float:
    """The largest ratio for which `rival_ladder` has a result, from the codec's coarsest setting."""
    search = _Search(name, pixels, bits_stored, 1)
    return pixels.nbytes * (1 + TOLERANCE) / search.size(len(search.settings) - 1)


class _Search:
    """Trials of one codec on one image; what is made once serves all ratios."""

    def __init__(self, name: str, pixels: np.ndarray, bits: int, threads: int):
        self.rival, self.pixels, self.bits, self.threads = RIVALS[name], pixels, bits, threads
        if bits > self.rival.most_bits:
            raise codec.InvalidImageError(
                f"{self.rival.title} holds samples of at most {self.rival.most_bits} bits, and these have {bits}"
            )
        self.settings = self.rival.settings(bits)
        self.made: dict[int, bytes] = {}

    def size(self, index: int) -> int:
        """Bytes that the setting at `index` gives."""
        if index not in self.made:
            setting = float(self.settings[index])
            self.made[index] = self.rival.encode(self.pixels, self.bits, setting, self.threads)
        return len(self.made[index])

    def decoded(self, data: bytes) -> np.ndarray:
        """Pixels as the codec's library decodes them, of the image's own dtype."""
        samples = self.rival.decode(data, self.bits, self.threads)
        return np.clip(samples, 0, (1 << self.bits) - 1).astype(self.pixels.dtype).reshape(self.pixels.shape)

    def nearest(self, target: int, stored_ratio: float) -> int:
        """Index of the setting with the largest result of at most `target` bytes; the last where none is so small."""
        last = len(self.settings) - 1
        below = max((index for index in self.made if self.size(index) > target), default=-1)
        fits = min((index for index in self.made if self.size(index) <= target), default=last + 1)
        step, between = 1, False
        while fits - below > 1:
            if below < 0 and fits > last:
                told = self.rival.told_ratios
                index = int(np.searchsorted(self.settings, stored_ratio)) if told else last // 2
            elif below < 0 or fits > last:
                index = fits - step if below < 0 else below + step
                step *= 4
            else:
                index = (below + fits) // 2 if between else self._interpolated(below, fits, target)
                between = not between
            index = min(max(index, below + 1), fits - 1)
            if self.size(index) <= target:
                fits = index
            else:
                below = index
        return min(fits, last)

    def _interpolated(self, below: int, fits: int, target: int) -> int:
        """Where the size would be `target` if its logarithm fell evenly."""
        sizes = np.log([self.size(below), self.size(fits), max(target, 1)])
        return round(below + (fits - below) * (sizes[0] - sizes[2]) / max(sizes[0] - sizes[1], 1e-9))
