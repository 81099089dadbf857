"""Time and memory where an image is far from square or has many tiles: ours beside OpenJPEG in imagecodecs."""

from __future__ import annotations

import ctypes
import multiprocessing
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

import codec
from experiments.codec_benchmark.processes import peak_above_current
from experiments.codec_benchmark.timed_codecs import load_glymur

BITS = 12
RATIO = 15.0
OPENJPEG_PSNR = 60  # dB; at about this, OpenJPEG spends as many bytes on the images below
M_MMAP_THRESHOLD = -3  # of mallopt(3)
TILE_SIDES = (64, 128, 256, 1024)


@dataclass(frozen=True)
class ShapeTimes:
    """CPU time in seconds, ours and OpenJPEG's.

    `what` is the shape and the kind of codestream; encoding is None where only OpenJPEG encodes (tiles).
    """

    what: str
    encode: tuple[float, float] | None
    decode: tuple[float, float]

    def text(self) -> str:
        """One line of the table."""
        parts = [
            f"{work} {1000 * ours:7.0f} ms, OpenJPEG {1000 * other:7.0f} ms, {ours / other:4.2f} of it"
            for work, times in (("encode", self.encode), ("decode", self.decode))
            if times is not None
            for ours, other in [times]
        ]
        return f"{self.what:36}" + "; ".join(parts)


def shapes(pixels: int) -> list[tuple[int, int]]:
    """Shapes of about so many pixels, from one column to one row."""
    sides = [1, 2, 3, 8, 64, int(pixels**0.5)]
    tall = [(pixels // side, side) for side in sides]
    return tall + [(columns, rows) for rows, columns in tall[-2::-1]]


def textured_image(rows: int, columns: int) -> np.ndarray:
    """A random walk along the longer side, and noise: uint16 of `BITS` bits."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=rows * columns))
    values = (walk - walk.min()) / np.ptp(walk) * 4000 + rng.normal(size=walk.size) * 8
    image = np.clip(values, 0, (1 << BITS) - 1).astype(np.uint16)
    return image.reshape(rows, columns) if columns <= rows else np.ascontiguousarray(image.reshape(columns, rows).T)


def measure_shape(rows: int, columns: int, repeats: int) -> list[ShapeTimes]:
    """Encode and decode an image of this shape, at CR 15 and without loss, with one thread."""
    pixels = textured_image(rows, columns)
    openjpeg = partial(imagecodecs.jpeg2k_encode, pixels, codecformat="j2k", bitspersample=BITS, numthreads=1)
    kinds: dict[str, tuple[Callable[[], bytes], Callable[[], Any]]] = {
        f"CR {RATIO:g}": (
            lambda: codec.encode(pixels, RATIO, bits_stored=BITS).codestream,
            partial(openjpeg, level=OPENJPEG_PSNR, reversible=False),
        ),
        "lossless": (
            lambda: codec.encode_lossless(pixels, bits_stored=BITS).codestream,
            partial(openjpeg, level=0, reversible=True),
        ),
    }
    results = []
    for kind, (ours, other) in kinds.items():
        encode, (codestream, _) = _cpu_times(repeats, ours, other)
        decode = _decode_times(codestream, repeats)
        results.append(ShapeTimes(f"{rows} x {columns}, {kind}", encode, decode))
    return results


def measure_tiles(pixels: int, repeats: int, folder: Path) -> list[ShapeTimes]:
    """Decode OpenJPEG's codestreams of one square image of about so many pixels, in tiles of several sizes."""
    glymur = load_glymur(folder)
    whole = int(pixels**0.5)
    image = textured_image(whole, whole)
    results = []
    for side in (side for side in TILE_SIDES if side < whole):
        for ratio in (RATIO, 1):
            path = folder / f"tiles_{side}_{ratio:g}.j2k"
            glymur.Jp2k(path, data=image, cratios=[ratio], irreversible=ratio > 1, tilesize=(side, side))
            kind = f"CR {ratio:g}" if ratio > 1 else "lossless"
            times = _decode_times(path.read_bytes(), repeats)
            results.append(ShapeTimes(f"tiles of {side} x {side}, {kind}", None, times))
    return results


def decode_peak(codestream: bytes, small: bytes) -> float:
    """Peak memory of decoding in a fresh process, in bytes per pixel of the image, which it includes.

    `small` is another codestream of the kind, on which code is loaded and compiled before.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_decode_peak, codestream, small).result()


def _decode_peak(codestream: bytes, small: bytes) -> float:
    # Freed memory goes back to the system at once: what counts is the codec's need, not what the C library keeps.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    warnings.simplefilter("ignore", codec.CodecWarning)  # of forged codestreams
    codec.decode(small)
    pixels, peak = peak_above_current(lambda: codec.decode(codestream, strict=False))
    return peak / pixels.size


def _decode_times(codestream: bytes, repeats: int) -> tuple[float, float]:
    times, _ = _cpu_times(
        repeats, lambda: codec.decode(codestream), lambda: imagecodecs.jpeg2k_decode(codestream, numthreads=1)
    )
    return times


def _cpu_times(repeats: int, *calls: Callable[[], Any]) -> tuple[tuple[float, float], list[Any]]:
    """Shortest CPU time of each call, taken in turns after one call that is not timed; and the results."""
    results = [call() for call in calls]
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for number, call in enumerate(calls):
            start = time.process_time()
            call()
            best[number] = min(best[number], time.process_time() - start)
    return (best[0], best[1]), results
