"""Codecs by their calls: ours, and others that a site could use, through the libraries that others wrote."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import imagecodecs
import numpy as np
from openjpeg.utils import encode_array, get_openjpeg_version

import codec
from codec.ratio import stored_ratio
from mammo_jax.runtime import environment_variables

OURS = "mammo_jax"
STEPS_PER_OCTAVE = 256
MAX_NEAR = 255  # ISO/IEC 14495-1: NEAR of near-lossless JPEG-LS
MAX_JPEG_BITS = 12
_SSIZ = 42  # place of the first component's precision − 1 in a codestream, T.800 A.5.1


def _no_settings(_bits: int) -> np.ndarray:
    return np.empty(0)


def _needs_search(_pixels: np.ndarray, _bits: int, _ratio: float) -> float:
    raise NotImplementedError("the setting for a ratio has to be searched")


@dataclass(frozen=True)
class ImageCodec:
    """A codec by its calls.

    Attributes
    ----------
    title : str
        Name, and the library with its version.
    encode : callable
        (pixels, bits stored, setting, threads) → codestream.
    decode : callable
        (codestream, bits stored, threads) → pixels, equal in value; their dtype may be another.
    settings : callable
        Bits stored → every setting that a search tries, from the largest codestream to the smallest. Empty for a codec
        whose setting is never searched.
    setting_for : callable
        (pixels, bits stored, ratio) → the setting for this compression ratio, which counts the bits allocated. Not
        possible for codecs whose setting has to be searched in `settings`.
    takes_ratio : bool
        Whether a setting is a compression ratio.
    max_bits : int
        The most bits stored that it can code.
    threaded : bool
        Whether it can use more than one thread.
    """

    title: str
    encode: Callable[[np.ndarray, int, float, int], bytes]
    decode: Callable[[bytes, int, int], np.ndarray]
    settings: Callable[[int], np.ndarray] = _no_settings
    setting_for: Callable[[np.ndarray, int, float], float] = _needs_search
    takes_ratio: bool = False
    max_bits: int = 16
    threaded: bool = True


def ratio_counting_bits_allocated(_pixels: np.ndarray, _bits: int, ratio: float) -> float:
    """`ImageCodec.setting_for` where the setting is the ratio itself."""
    return ratio


def ratio_counting_bits_stored(pixels: np.ndarray, bits: int, ratio: float) -> float:
    """`ImageCodec.setting_for` of OpenJPEG, whose ratios count the bits stored."""
    return stored_ratio(ratio, bits_allocated=8 * pixels.itemsize, bits_stored=bits)


def openjpeg_threads(threads: int) -> AbstractContextManager[None]:
    """Let OpenJPEG use so many threads in the calls within a `with` block."""
    return environment_variables({"OPJ_NUM_THREADS": str(threads)})


def _octaves(first: float, last: float) -> np.ndarray:
    """Settings from `first` up to `last` in equal steps of their logarithm."""
    return np.geomspace(first, last, 1 + round(STEPS_PER_OCTAVE * np.log2(last / first)))


def _scaled_up(pixels: np.ndarray, bits: int, full: int) -> np.ndarray:
    """Pixels as samples of `full` bits, for codecs that have no parameter for the bits stored."""
    return np.left_shift(pixels.astype(np.uint8 if full == 8 else np.uint16), full - bits)


def _scaled_down(samples: np.ndarray, bits: int, full: int) -> np.ndarray:
    """Undo `_scaled_up`, rounding to whole grey levels."""
    half = (1 << (full - bits)) >> 1
    return np.minimum((samples.astype(np.uint32) + half) >> (full - bits), (1 << bits) - 1)


def _ours() -> ImageCodec:
    def encode(pixels: np.ndarray, bits: int, ratio: float, threads: int) -> bytes:
        return codec.encode(pixels, ratio, bits_stored=bits, threads=threads).codestream

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        return codec.decode(codestream, threads=threads)

    return ImageCodec(
        "mammo_jax's own JPEG 2000", encode, decode, setting_for=ratio_counting_bits_allocated, takes_ratio=True
    )


def _openjpeg() -> ImageCodec:
    ratios = _octaves(1, 2**17)

    def encode(pixels: np.ndarray, bits: int, ratio: float, threads: int) -> bytes:
        with openjpeg_threads(threads):
            return bytes(encode_array(pixels, bits_stored=bits, compression_ratios=[ratio]))

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        return imagecodecs.jpeg2k_decode(codestream, numthreads=threads)

    title = f"OpenJPEG {'.'.join(map(str, get_openjpeg_version()))}"
    return ImageCodec(title, encode, decode, lambda _: ratios, setting_for=ratio_counting_bits_stored, takes_ratio=True)


def _htj2k() -> ImageCodec:
    # The quantisation step, as a part of the samples' range; above 1 nothing but the lowest subband would be left.
    steps = _octaves(2.0**-17, 1)

    def encode(pixels: np.ndarray, bits: int, step: float, _threads: int) -> bytes:
        full = 8 if bits <= 8 else 16
        samples = _scaled_up(pixels, bits, full)
        codestream = bytearray(imagecodecs.htj2k_encode(samples, level=step, reversible=False))
        # Every step is a part of the range (T.800 E.1.1), so the same codestream with the bits stored for its precision
        # has the pixels as they were, rather than scaled up.
        assert codestream[_SSIZ] == full - 1
        codestream[_SSIZ] = bits - 1
        return bytes(codestream)

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        # By OpenJPEG: OpenJPH 0.26 wraps 16-bit samples round that overshoot their range, white to black.
        return imagecodecs.jpeg2k_decode(codestream, numthreads=threads)

    return ImageCodec(f"HTJ2K ({_library('openjph')})", encode, decode, lambda _: steps)


def _jpegxl() -> ImageCodec:
    distances = _octaves(0.01, 25)  # the largest that the format's reference encoder takes

    def encode(pixels: np.ndarray, bits: int, distance: float, threads: int) -> bytes:
        return bytes(
            imagecodecs.jpegxl_encode(
                pixels, distance=distance, bitspersample=bits, photometric="gray", numthreads=threads
            )
        )

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        return imagecodecs.jpegxl_decode(codestream, numthreads=threads)

    return ImageCodec(f"JPEG XL ({_library('libjxl')})", encode, decode, lambda _: distances)


def _jpeg() -> ImageCodec:
    qualities = np.arange(100, 0, -1)

    def full(bits: int) -> int:
        return 8 if bits <= 8 else MAX_JPEG_BITS

    def encode(pixels: np.ndarray, bits: int, quality: float, _threads: int) -> bytes:
        samples = _scaled_up(pixels, bits, full(bits))
        return bytes(imagecodecs.jpeg8_encode(samples, level=int(quality), bitspersample=full(bits), optimize=True))

    def decode(codestream: bytes, bits: int, _threads: int) -> np.ndarray:
        return _scaled_down(imagecodecs.jpeg8_decode(codestream), bits, full(bits))

    title = f"JPEG ({_library('libjpeg_turbo')})"
    return ImageCodec(title, encode, decode, lambda _: qualities, max_bits=MAX_JPEG_BITS)


def _jpegls() -> ImageCodec:
    def nears(bits: int) -> np.ndarray:
        return np.arange(min(MAX_NEAR, (1 << bits) // 2 - 1) + 1)

    def encode(pixels: np.ndarray, _bits: int, near: float, _threads: int) -> bytes:
        return bytes(imagecodecs.jpegls_encode(pixels, level=int(near)))

    def decode(codestream: bytes, _bits: int, _threads: int) -> np.ndarray:
        return imagecodecs.jpegls_decode(codestream)

    return ImageCodec(f"JPEG-LS near-lossless ({_library('charls')})", encode, decode, nears)


def _library(name: str) -> str:
    """Version of one of the libraries in imagecodecs, as "charls-2.4.3"."""
    libraries = imagecodecs.version().split(", ")
    return next((library for library in libraries if library.startswith(name)), name)


OUR_CODEC = _ours()
OTHER_CODECS: dict[str, ImageCodec] = {
    "openjpeg": _openjpeg(), "htj2k": _htj2k(), "jpegxl": _jpegxl(), "jpeg": _jpeg(), "jpegls": _jpegls(),
}  # fmt: skip
