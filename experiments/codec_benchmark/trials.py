"""Time, size and quality of each codec on one image, in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from openjpeg.utils import encode_array

import codec
from codec.ratio import image_bytes, ratio_for_target, stored_ratio, target_bytes
from experiments.codec_benchmark.timed_codecs import GROK, glymur_threads, load_glymur
from mammo_jax.compression.codecs import OTHER_CODECS, OURS, ImageCodec
from mammo_jax.compression.image_quality import Quality, compare
from mammo_jax.compression.ladder import other_codec_ladder
from mammo_jax.preprocess import breast_mask

ONE_THREAD = "1 thread whatever asked"


@dataclass(frozen=True)
class Image:
    """An image to compress: its name, uint8 or uint16 pixels [rows, columns], bits stored, and mask of the breast."""

    name: str
    pixels: np.ndarray
    bits_stored: int
    breast: np.ndarray

    @classmethod
    def of(cls, name: str, pixels: np.ndarray, bits_stored: int) -> Image:
        """Create an image, and segment its breast."""
        return cls(name, pixels, bits_stored, breast_mask(pixels))

    def target_bytes(self, ratio: float) -> int:
        """Bytes of a codestream at a ratio, which counts the bits allocated."""
        return target_bytes(image_bytes(self.pixels, self.bits_stored), ratio)

    def quality(self, reconstruction: np.ndarray) -> Quality:
        """PSNR and SSIM of a reconstruction, in the whole image and in the breast."""
        return compare(self.pixels, reconstruction, self.breast, self.bits_stored)


@dataclass(frozen=True)
class Trial:
    """Measurements of one codec on one image, at one ratio and number of threads.

    Attributes
    ----------
    image : str
    group : {"ours", "OpenJPEG", "Grok", "other"}
        Times of the first three are taken in turns.
    codec : str
    threads : int
    ratio : float
    target_bytes : int
        0 for a codec that cannot be asked for a size.
    codestream_bytes : int
        0 for a codec that cannot reach the ratio.
    encode_seconds, decode_seconds : float
        Each the shortest of several runs.
    quality : Quality or None
        None where only times were measured.
    remark : str
        How the setting was found, or why the ratio cannot be reached.
    """

    image: str
    group: str
    codec: str
    threads: int
    ratio: float
    target_bytes: int
    codestream_bytes: int = 0
    encode_seconds: float = float("nan")
    decode_seconds: float = float("nan")
    quality: Quality | None = None
    remark: str = ""


def shortest_times(
    repeats: int, calls: Sequence[Callable[[], Any]], clock: Callable[[], float] = time.perf_counter
) -> tuple[list[float], list[Any]]:
    """Shortest time in seconds of `repeats` runs of each call, taken in turns, and the result of its last run."""
    times, results = [float("inf")] * len(calls), [None] * len(calls)
    for _ in range(repeats):
        for n, call in enumerate(calls):
            start = clock()
            results[n] = call()
            times[n] = min(times[n], clock() - start)
    return times, results


def find_settings(image: Image, ratios: Sequence[float], codecs: Sequence[ImageCodec]) -> list[list[float]]:
    """Find the setting of each codec for each ratio."""
    return [[each.setting_for(image.pixels, image.bits_stored, ratio) for each in codecs] for ratio in ratios]


def measure_timed_codecs(
    image: Image,
    ratios: Sequence[float],
    codecs: Sequence[ImageCodec],
    settings: Sequence[Sequence[float]],
    threads: int,
    repeats: int,
    with_quality: bool,
) -> list[Trial]:
    """Encode and decode at every ratio, the codecs in turns.

    `settings` are those of `find_settings`. The first call of each codec, which may compile or load code, is not timed.
    """
    pixels, bits = image.pixels, image.bits_stored
    trials = []
    for number, ratio in enumerate(ratios):
        encodes = [
            partial(each.encode, pixels, bits, setting, threads) for each, setting in zip(codecs, settings[number])
        ]
        if number == 0:
            for each, encode in zip(codecs, encodes):
                each.decode(encode(), bits, threads)
        encode_seconds, codestreams = shortest_times(repeats, encodes)
        decodes = [partial(each.decode, codestream, bits, threads) for each, codestream in zip(codecs, codestreams)]
        decode_seconds, decoded = shortest_times(repeats, decodes)
        for n, each in enumerate(codecs):
            group = "ours" if each.title == OURS else GROK if each.title.startswith(GROK) else "OpenJPEG"
            target = image.target_bytes(ratio) if each.takes_ratio else 0
            quality = image.quality(decoded[n].reshape(pixels.shape)) if with_quality else None
            remark = "" if each.threaded or threads == 1 else ONE_THREAD
            trials.append(
                Trial(
                    image.name, group, each.title, threads, ratio, target, len(codestreams[n]), encode_seconds[n],
                    decode_seconds[n], quality, remark,
                )
            )  # fmt: skip
    return trials


def measure_other_codec(image: Image, name: str, ratios: Sequence[float]) -> list[Trial]:
    """Measure one of the other codecs with one thread, at the nearest size that it reaches; times are of one run."""
    other, pixels, bits = OTHER_CODECS[name], image.pixels, image.bits_stored
    ladder = other_codec_ladder(name, pixels, ratios, bits_stored=bits)
    trials: list[Trial] = []
    remark = ""
    for ratio in ratios:
        trial = Trial(image.name, "other", other.title, 1, ratio, image.target_bytes(ratio))
        try:
            encoded = None if remark else next(ladder)
        except codec.UnreachableRatioError as error:
            encoded, remark = None, f"at most CR {error.largest_ratio:.0f}"
        except codec.InvalidImageError as error:
            encoded, remark = None, str(error)
        if encoded is None:
            trials.append(replace(trial, remark=remark))
            continue
        encode = partial(other.encode, pixels, bits, encoded.setting, 1)
        decode = partial(other.decode, encoded.codestream, bits, 1)
        (encode_seconds, decode_seconds), _ = shortest_times(1, [encode, decode])
        trials.append(
            replace(
                trial,
                codestream_bytes=len(encoded.codestream),
                encode_seconds=encode_seconds,
                decode_seconds=decode_seconds,
                quality=image.quality(encoded.reconstruction),
                remark=f"setting {encoded.setting:.4g}, found in {encoded.encodes} encodes",
            )
        )
    return trials


def ours_at_equal_bytes(image: Image, sizes: Sequence[int]) -> dict[int, Quality]:
    """Quality of our codec's codestreams of exactly these sizes."""
    distinct = sorted(set(sizes), reverse=True)
    uncompressed = image_bytes(image.pixels, image.bits_stored)
    ratios = [ratio_for_target(uncompressed, size) for size in distinct]
    ladder = codec.encode_ladder(image.pixels, ratios, bits_stored=image.bits_stored)
    return {size: image.quality(cast(np.ndarray, encoded.reconstruction)) for size, encoded in zip(distinct, ladder)}


@dataclass(frozen=True)
class LadderTimes:
    """Seconds for all ratios: our ladder with reconstructions, and OpenJPEG's layers, encoded once, each decoded.

    `layers_by` is the library with the shorter total: "pylibjpeg" or "glymur".
    """

    ours: float
    layers_encode: float
    layers_decode: float
    layers_by: str

    @property
    def layers(self) -> float:
        """One encode and a decode of each layer."""
        return self.layers_encode + self.layers_decode


def measure_ladders(image: Image, ratios: Sequence[float], threads: int, repeats: int, folder: Any) -> LadderTimes:
    """Time our ladder, and OpenJPEG's layers: encoded through pylibjpeg and through glymur, decoded through glymur.

    imagecodecs and pylibjpeg cannot decode a single layer, and pylibjpeg's encoder always uses one thread.
    """
    glymur = load_glymur(folder)
    pixels, bits = image.pixels, image.bits_stored
    falling = sorted(ratios, reverse=True)
    paths = {name: folder / f"layers_{name}.j2k" for name in ("pylibjpeg", "glymur")}

    def ours() -> int:
        ladder = codec.encode_ladder(pixels, ratios, bits_stored=bits, threads=threads)
        return sum(len(encoded.codestream) for encoded in ladder)

    def encode_by_pylibjpeg() -> None:
        allocated = 8 * pixels.itemsize
        stored = [stored_ratio(ratio, bits_allocated=allocated, bits_stored=bits) for ratio in falling]
        paths["pylibjpeg"].write_bytes(encode_array(pixels, bits_stored=bits, compression_ratios=stored))

    def encode_by_glymur() -> None:
        # It takes all bits allocated as stored, so that its ratios count the bits allocated.
        glymur.Jp2k(paths["glymur"], data=pixels, cratios=falling, irreversible=True)

    def decode_layers(path: Path) -> None:
        for layer in range(1, len(falling) + 1):
            file = glymur.Jp2k(path)
            file.layer = layer if layer < len(falling) else 0  # 0 stands for all layers
            file[:]

    calls: list[Callable[[], Any]] = [
        ours,
        encode_by_pylibjpeg,
        encode_by_glymur,
        *(partial(decode_layers, path) for path in paths.values()),
    ]
    with glymur_threads(glymur, threads):
        (own, *encodes, first_decode, second_decode), _ = shortest_times(repeats, calls)
    pairs = zip(encodes, (first_decode, second_decode), paths)
    return LadderTimes(own, *min(pairs, key=lambda pair: pair[0] + pair[1]))
