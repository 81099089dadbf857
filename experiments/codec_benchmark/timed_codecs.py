"""The codecs whose times are taken in turns: ours, and OpenJPEG through imagecodecs, pylibjpeg and glymur.

Each of the three libraries has its own build of OpenJPEG.
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openjpeg
import PIL

from mammo_jax.compression.codecs import (
    OTHER_CODECS,
    OUR_CODEC,
    OURS,
    ImageCodec,
    ratio_counting_bits_allocated,
    set_openjpeg_threads,
)
from mammo_jax.compression.image_quality import compare

SEARCH_STEPS = 4
SEARCH_DECIBELS = 4.0


def pylibjpeg_codec() -> ImageCodec:
    """OpenJPEG in pylibjpeg-openjpeg, whose wheels use one thread whatever is asked for."""

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        set_openjpeg_threads(threads)
        return openjpeg.decode(io.BytesIO(codestream))

    encoder = OTHER_CODECS["openjpeg"]  # its encoder is pylibjpeg's
    return replace(encoder, title=f"pylibjpeg {openjpeg.__version__} ({encoder.title})", decode=decode, threaded=False)


def imagecodecs_codec() -> ImageCodec:
    """OpenJPEG in imagecodecs, whose setting is a PSNR: one is searched that gives about pylibjpeg's size."""
    reference = pylibjpeg_codec()

    def encode(pixels: np.ndarray, bits: int, psnr: float, threads: int) -> bytes:
        return bytes(
            imagecodecs.jpeg2k_encode(
                pixels,
                level=psnr,  # type: ignore[arg-type]  # the stub says int, the codec takes dB with a fraction
                codecformat="j2k",
                reversible=False,
                bitspersample=bits,
                numthreads=threads,
            )
        )

    def psnr_for(pixels: np.ndarray, bits: int, ratio: float) -> float:
        codestream = reference.encode(pixels, bits, reference.setting_for(pixels, bits, ratio), 1)
        everywhere = np.ones(pixels.shape, bool)
        # OpenJPEG's own estimate of the PSNR ignores that samples are rounded, which matters above 50 dB or so.
        low = compare(pixels, reference.decode(codestream, bits, 1), everywhere, bits).psnr - 1
        high = low + SEARCH_DECIBELS
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            fits = len(encode(pixels, bits, middle, 1)) <= len(codestream)
            low, high = (middle, high) if fits else (low, middle)
        return low

    title = f"imagecodecs {imagecodecs.__version__} ({imagecodecs.jpeg2k_version()})"
    return ImageCodec(title, encode, OTHER_CODECS["openjpeg"].decode, setting_for=psnr_for)


def load_glymur(folder: Path) -> Any:
    """Import glymur, which brings no OpenJPEG, with the one in Pillow's wheel; its configuration goes to `folder`."""
    library = next((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*"), None)
    if library is not None:
        (folder / "glymur").mkdir(exist_ok=True)
        (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
        os.environ["XDG_CONFIG_HOME"] = str(folder)
    return importlib.import_module("glymur")


def set_glymur_threads(glymur: Any, threads: int) -> None:
    """Let glymur's OpenJPEG use so many threads in the calls that follow in this process."""
    set_openjpeg_threads(threads)
    glymur.set_option("lib.num_threads", threads)


def glymur_codec(folder: Path) -> ImageCodec:
    """OpenJPEG through glymur, which works on files (in `folder`) and has no parameter for the bits stored."""
    glymur = load_glymur(folder)
    path = folder / "image.j2k"

    def encode(pixels: np.ndarray, _bits: int, ratio: float, threads: int) -> bytes:
        set_glymur_threads(glymur, threads)
        path.unlink(missing_ok=True)
        glymur.Jp2k(path, data=pixels, cratios=[ratio], irreversible=True)
        return path.read_bytes()

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        set_glymur_threads(glymur, threads)
        path.write_bytes(codestream)
        return glymur.Jp2k(path)[:]

    title = f"glymur {glymur.version.version} (OpenJPEG {glymur.version.openjpeg_version})"
    return ImageCodec(title, encode, decode, setting_for=ratio_counting_bits_allocated, takes_ratio=True)


TIMED_CODECS: dict[str, Callable[[Path], ImageCodec]] = {
    OURS: lambda _: replace(OUR_CODEC, title=OURS),
    "imagecodecs": lambda _: imagecodecs_codec(),
    "pylibjpeg": lambda _: pylibjpeg_codec(),
    "glymur": glymur_codec,
}
"""How to make each codec, given a folder for temporary files."""
