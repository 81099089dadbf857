"""Other codecs that a site could use, through the libraries that others wrote: their calls and their settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from openjpeg.utils import encode_array, get_openjpeg_version

STEPS_AN_OCTAVE = 256
LARGEST_NEAR = 255  # ISO/IEC 14495-1: NEAR of near-lossless JPEG-LS
MOST_JPEG_BITS = 12


@dataclass(frozen=True)
class Rival:
    """A codec by its calls.

    Attributes
    ----------
    title : str
        Name and library with version.
    settings : callable
        Bits stored → every setting, from the largest to the smallest result.
    encode, decode : callable
        (pixels, bits stored, setting, threads) → bytes; (bytes, bits stored, threads) → pixels, by value alone
        (whichever dtype).
    most_bits : int
        Bits stored that it can take.
    told_ratios : bool
        Whether a setting is a compression ratio, counting the bits stored.
    """

    title: str
    settings: Callable[[int], np.ndarray]
    encode: Callable[[np.ndarray, int, float, int], bytes]
    decode: Callable[[bytes, int, int], np.ndarray]
    most_bits: int = 16
    told_ratios: bool = False


def _octaves(first: float, last: float) -> np.ndarray:
    """Settings from `first` up to `last` in equal steps of their logarithm."""
    return np.geomspace(first, last, 1 + round(STEPS_AN_OCTAVE * np.log2(last / first)))


def _lifted(pixels: np.ndarray, bits: int, full: int) -> np.ndarray:
    """Pixels as samples of `full` bits, for codecs that cannot be told how many of them carry a value."""
    return np.left_shift(pixels.astype(np.uint8 if full == 8 else np.uint16), full - bits)


def _lowered(samples: np.ndarray, bits: int, full: int) -> np.ndarray:
    """Undo `_lifted`, rounding to whole grey levels."""
    half = (1 << (full - bits)) >> 1
    return np.minimum((samples.astype(np.uint32) + half) >> (full - bits), (1 << bits) - 1)


def _openjpeg() -> Rival:
    def encode(pixels: np.ndarray, bits: int, setting: float, threads: int) -> bytes:
        os.environ["OPJ_NUM_THREADS"] = str(threads)
        return bytes(encode_array(pixels, bits_stored=bits, compression_ratios=[setting]))

    ratios = _octaves(1, 2**17)
    return Rival(
        f"OpenJPEG {'.'.join(map(str, get_openjpeg_version()))}",
        lambda _: ratios,
        encode,
        lambda data, _, threads: imagecodecs.jpeg2k_decode(data, numthreads=threads),
        told_ratios=True,
    )


def _htj2k() -> Rival:
    def full(bits: int) -> int:
        return 8 if bits <= 8 else 16

    # The quantisation step, as a part of the samples' range; above 1 nothing but the lowest subband would be left.
    steps = _octaves(2.0**-17, 1)
    return Rival(
        f"HTJ2K ({_library('openjph')})",
        lambda _: steps,
        lambda pixels, bits, setting, _: bytes(
            imagecodecs.htj2k_encode(_lifted(pixels, bits, full(bits)), level=setting, reversible=False)
        ),
        lambda data, bits, _: _lowered(imagecodecs.htj2k_decode(data), bits, full(bits)),
    )


def _jpegxl() -> Rival:
    def encode(pixels: np.ndarray, bits: int, setting: float, threads: int) -> bytes:
        samples = _lifted(pixels, bits, max(bits, 8))
        return bytes(
            imagecodecs.jpegxl_encode(
                samples, distance=setting, bitspersample=max(bits, 8), photometric="gray", numthreads=threads
            )
        )

    distances = _octaves(0.01, 25)  # the largest that the format's reference encoder takes
    return Rival(
        f"JPEG XL ({_library('libjxl')})",
        lambda _: distances,
        encode,
        lambda data, bits, threads: _lowered(imagecodecs.jpegxl_decode(data, numthreads=threads), bits, max(bits, 8)),
    )


def _jpeg() -> Rival:
    def full(bits: int) -> int:
        return 8 if bits <= 8 else MOST_JPEG_BITS

    def encode(pixels: np.ndarray, bits: int, setting: float, _: int) -> bytes:
        samples = _lifted(pixels, bits, full(bits))
        return bytes(imagecodecs.jpeg8_encode(samples, level=int(setting), bitspersample=full(bits), optimize=True))

    qualities = np.arange(100, 0, -1)
    return Rival(
        f"JPEG ({_library('libjpeg_turbo')})",
        lambda _: qualities,
        encode,
        lambda data, bits, _: _lowered(imagecodecs.jpeg8_decode(data), bits, full(bits)),
        most_bits=MOST_JPEG_BITS,
    )


def _jpegls() -> Rival:
    return Rival(
        f"JPEG-LS near-lossless ({_library('charls')})",
        lambda bits: np.arange(min(LARGEST_NEAR, (1 << bits) // 2 - 1) + 1),
        lambda pixels, _, setting, __: bytes(imagecodecs.jpegls_encode(pixels, level=int(setting))),
        lambda data, _, __: imagecodecs.jpegls_decode(data),
    )


def _library(name: str) -> str:
    """Version of one of the libraries in imagecodecs, as "charls-2.4.3"."""
    libraries = imagecodecs.version().split(", ")
    return next((library for library in libraries if library.startswith(name)), name)


RIVALS: dict[str, Rival] = {
    "openjpeg": _openjpeg(), "htj2k": _htj2k(), "jpegxl": _jpegxl(), "jpeg": _jpeg(), "jpegls": _jpegls(),
}  # fmt: skip
