"""Compressing an image to a ladder of ratios, with our codec or another.

Our codec reaches every size exactly. The others do not, and most of them take no size as a setting. So the setting is
searched that gives the largest codestream of at most the target size. Where even the coarsest setting gives more bytes
than that, up to `TOLERANCE` more are accepted; above, the codec cannot reach this ratio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

import codec
from codec.ratio import image_bytes, max_ratio, ratio_of, target_bytes, text_below
from mammo_jax.compression.codecs import OTHER_CODECS, OUR_CODEC, OURS
from mammo_jax.errors import UserError

CodecName = Literal["mammo_jax", "openjpeg", "htj2k", "jpegxl", "jpeg", "jpegls"]
TOLERANCE = 0.10


class CompressionError(UserError):
    """A codec cannot reach a ratio; the message names the codec, the image and the largest ratio possible."""


@dataclass(frozen=True)
class OtherEncoded:
    """An image compressed by another codec; fields as those of `codec.Encoded` with the same names.

    Attributes
    ----------
    codestream : bytes
        The largest of at most `target_bytes`, or at most `TOLERANCE` more.
    ratio : float
        The compression ratio asked for.
    target_bytes : int
    reconstruction : numpy.ndarray
        uint8 or uint16 [rows, columns], as the codec's own library decodes it.
    setting : float
        The codec's setting: a ratio, quantisation step, distance, quality or NEAR.
    encodes : int
        How many times the search encoded the image.
    """

    codestream: bytes
    ratio: float
    target_bytes: int
    reconstruction: np.ndarray
    setting: float
    encodes: int
    header_bytes: int | None = None
    padding_bytes: int = 0


def other_codec_ladder(
    name: str,
    pixels: np.ndarray,
    ratios: Sequence[float],
    *,
    bits_stored: int,
    threads: int = 1,
    reference: str = "allocated",
    tolerance: float = TOLERANCE,
) -> Iterator[OtherEncoded]:
    """Compress an image with another codec to every ratio, as nearly as it can.

    Parameters
    ----------
    name : str
        A key of `OTHER_CODECS`.
    pixels : numpy.ndarray
        uint8 or uint16 [rows, columns].
    ratios : sequence of float
    bits_stored : int
        Bits of a pixel that carry its value.
    threads : int
        Of the codecs that can use more than one.
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed size counts.
    tolerance : float
        How far above its target the smallest codestream may be, as a part of that.

    Raises
    ------
    codec.InvalidImageError
        The codec cannot code samples of so many bits.
    codec.UnreachableRatioError
        Even its coarsest setting gives a codestream that is more than `tolerance` too long.
    """
    search = _Search(name, pixels, bits_stored, threads)
    uncompressed = image_bytes(pixels, bits_stored, reference)
    for ratio in ratios:
        target = target_bytes(uncompressed, ratio)
        encodes_before = len(search.codestreams)
        index = search.nearest(target, ratio)
        codestream = search.codestreams[index]
        if len(codestream) > target * (1 + tolerance):
            largest = max_ratio(uncompressed, len(codestream))
            raise codec.UnreachableRatioError(
                f"{search.codec.title} cannot compress this image {ratio:g} times: {target} bytes are asked for, and"
                f" its coarsest setting gives {len(codestream)}; the largest ratio that it can have is"
                f" {text_below(largest)}",
                largest,
            )
        yield OtherEncoded(
            codestream=codestream,
            ratio=ratio,
            target_bytes=target,
            reconstruction=search.decoded(codestream),
            setting=float(search.settings[index]),
            encodes=len(search.codestreams) - encodes_before,
        )


def codec_ladder(
    name: CodecName,
    pixels: np.ndarray,
    ratios: Sequence[float],
    *,
    bits_stored: int,
    reference: str = "allocated",
    tolerance: float = TOLERANCE,
) -> Iterator[codec.Encoded | OtherEncoded]:
    """Compress an image to every ratio, with our codec (`codec.encode_ladder`) or another (`other_codec_ladder`)."""
    if name == OURS:
        return codec.encode_ladder(pixels, ratios, bits_stored=bits_stored, reference=reference)
    return other_codec_ladder(name, pixels, ratios, bits_stored=bits_stored, reference=reference, tolerance=tolerance)


def codec_title(name: CodecName) -> str:
    """Name of a codec for readers, with the library and its version."""
    return (OUR_CODEC if name == OURS else OTHER_CODECS[name]).title


def largest_ratio(name: str, pixels: np.ndarray, bits_stored: int) -> float:
    """The largest ratio that `other_codec_ladder` can reach, which the codec's coarsest setting gives."""
    search = _Search(name, pixels, bits_stored, 1)
    return (1 + TOLERANCE) * ratio_of(image_bytes(pixels, bits_stored), search.size(len(search.settings) - 1))


class _Search:
    """Search for the settings of one codec on one image; each is encoded once, for all ratios."""

    def __init__(self, name: str, pixels: np.ndarray, bits: int, threads: int):
        self.codec, self.pixels, self.bits, self.threads = OTHER_CODECS[name], pixels, bits, threads
        if bits > self.codec.max_bits:
            raise codec.InvalidImageError(
                f"{self.codec.title} holds samples of at most {self.codec.max_bits} bits, and these have {bits}"
            )
        self.settings = self.codec.settings(bits)
        self.codestreams: dict[int, bytes] = {}  # by the index of their setting

    def size(self, index: int) -> int:
        """Bytes of the codestream with the setting at `index`."""
        if index not in self.codestreams:
            setting = float(self.settings[index])
            self.codestreams[index] = self.codec.encode(self.pixels, self.bits, setting, self.threads)
        return len(self.codestreams[index])

    def decoded(self, codestream: bytes) -> np.ndarray:
        """Pixels as the codec's library decodes them, with the dtype of the image."""
        samples = self.codec.decode(codestream, self.bits, self.threads)
        return np.clip(samples, 0, (1 << self.bits) - 1).astype(self.pixels.dtype).reshape(self.pixels.shape)

    def nearest(self, target: int, ratio: float) -> int:
        """Index of the setting with the largest codestream of at most `target` bytes; the last if none is so small.

        Between an index known to be too large and one known to fit, linear interpolation and bisection alternate;
        until both are known, steps grow by a factor of 4.
        """
        last = len(self.settings) - 1
        too_large = max((index for index in self.codestreams if self.size(index) > target), default=-1)
        fits = min((index for index in self.codestreams if self.size(index) <= target), default=last + 1)
        step, bisect = 1, False
        while fits - too_large > 1:
            if too_large < 0 and fits > last:
                index = self._first_guess(ratio)
            elif too_large < 0 or fits > last:
                index = fits - step if too_large < 0 else too_large + step
                step *= 4
            else:
                index = (too_large + fits) // 2 if bisect else self._interpolated(too_large, fits, target)
                bisect = not bisect
            index = min(max(index, too_large + 1), fits - 1)
            if self.size(index) <= target:
                fits = index
            else:
                too_large = index
        return min(fits, last)

    def _first_guess(self, ratio: float) -> int:
        if not self.codec.takes_ratio:
            return (len(self.settings) - 1) // 2
        return int(np.searchsorted(self.settings, self.codec.setting_for(self.pixels, self.bits, ratio)))

    def _interpolated(self, too_large: int, fits: int, target: int) -> int:
        """Index where the size would be `target` if its logarithm were linear in the index."""
        sizes = np.log([self.size(too_large), self.size(fits), max(target, 1)])
        return round(too_large + (fits - too_large) * (sizes[0] - sizes[2]) / max(sizes[0] - sizes[1], 1e-9))
