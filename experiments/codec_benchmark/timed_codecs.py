"""The codecs whose times are taken in turns: ours, OpenJPEG through imagecodecs, pylibjpeg and glymur, and Grok.

Each of the three libraries has its own build of OpenJPEG. Grok takes part where its programs are installed (Debian's
package grokj2k-tools).
"""

from __future__ import annotations

import importlib
import io
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    openjpeg_threads,
    ratio_counting_bits_allocated,
    ratio_counting_bits_stored,
)
from mammo_jax.compression.image_quality import compare
from mammo_jax.runtime import environment_variables

SEARCH_STEPS = 4
SEARCH_DECIBELS = 4.0
GROK = "Grok"
SIZE_IN_SIZ = 8  # bytes from SOC to the size of the reference grid (T.800 A.5.1)


def pylibjpeg_codec() -> ImageCodec:
    """OpenJPEG in pylibjpeg-openjpeg, whose wheels use one thread whatever is asked for."""

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        with openjpeg_threads(threads):
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
    if library is None:
        return importlib.import_module("glymur")
    (folder / "glymur").mkdir(exist_ok=True)
    (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
    with environment_variables({"XDG_CONFIG_HOME": str(folder)}):  # read at import
        return importlib.import_module("glymur")


@contextmanager
def glymur_threads(glymur: Any, threads: int) -> Iterator[None]:
    """Let glymur's OpenJPEG use so many threads in the calls within a `with` block."""
    before = glymur.get_option("lib.num_threads")
    with openjpeg_threads(threads):
        glymur.set_option("lib.num_threads", threads)
        try:
            yield
        finally:
            glymur.set_option("lib.num_threads", before)


def glymur_codec(folder: Path) -> ImageCodec:
    """OpenJPEG through glymur, which works on files (in `folder`) and has no parameter for the bits stored."""
    glymur = load_glymur(folder)
    path = folder / "image.j2k"

    def encode(pixels: np.ndarray, _bits: int, ratio: float, threads: int) -> bytes:
        path.unlink(missing_ok=True)
        with glymur_threads(glymur, threads):
            glymur.Jp2k(path, data=pixels, cratios=[ratio], irreversible=True)
        return path.read_bytes()

    def decode(codestream: bytes, _bits: int, threads: int) -> np.ndarray:
        path.write_bytes(codestream)
        with glymur_threads(glymur, threads):
            return glymur.Jp2k(path)[:]

    title = f"glymur {glymur.version.version} (OpenJPEG {glymur.version.openjpeg_version})"
    return ImageCodec(title, encode, decode, setting_for=ratio_counting_bits_allocated, takes_ratio=True)


def has_grok() -> bool:
    """Whether Grok's programs are installed."""
    return all(shutil.which(f"grk_{work}") for work in ("compress", "decompress"))


def grok_codec(folder: Path) -> ImageCodec:
    """Grok's programs, on files in `folder`; its times are those of whole processes."""
    raw, path = folder / "grok.raw", folder / "grok.j2k"

    def run(work: str, threads: int, *arguments: str) -> None:
        subprocess.run([f"grk_{work}", "-H", str(threads), *arguments], capture_output=True, check=True)

    def encode(pixels: np.ndarray, bits: int, ratio: float, threads: int) -> bytes:
        rows, columns = pixels.shape
        pixels.astype("u1" if bits <= 8 else ">u2").tofile(raw)
        size = ("-F", f"{columns},{rows},1,{bits},u")
        run("compress", threads, "-i", str(raw), "-o", str(path), *size, "-I", "-r", f"{ratio}")
        return path.read_bytes()

    def decode(codestream: bytes, bits: int, threads: int) -> np.ndarray:
        path.write_bytes(codestream)
        run("decompress", threads, "-i", str(path), "-o", str(raw))
        columns, rows = struct.unpack_from(">II", codestream, SIZE_IN_SIZ)
        samples = np.fromfile(raw, "u1" if bits <= 8 else ">u2")
        return samples.astype(samples.dtype.newbyteorder("=")).reshape(rows, columns)

    said = subprocess.run(["grk_compress", "-version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version: *(\S+)", said)
    title = f"{GROK} {version[1] if version else ''} (with process start)"
    return ImageCodec(title, encode, decode, setting_for=ratio_counting_bits_stored, takes_ratio=True)


TIMED_CODECS: dict[str, Callable[[Path], ImageCodec]] = {
    OURS: lambda _: replace(OUR_CODEC, title=OURS),
    "imagecodecs": lambda _: imagecodecs_codec(),
    "pylibjpeg": lambda _: pylibjpeg_codec(),
    "glymur": glymur_codec,
} | ({"grok": grok_codec} if has_grok() else {})
"""How to make each codec, given a folder for temporary files."""
