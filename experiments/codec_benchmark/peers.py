"""Our codec and OpenJPEG in this process: through imagecodecs, pylibjpeg and glymur, each with its own build of it."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openjpeg
import PIL
from openjpeg.utils import encode_array, get_openjpeg_version

import codec
from mammo_jax.compression.image_quality import compare
from mammo_jax.compression.ladder import OURS

SEARCH_STEPS = 4
SEARCHED_DECIBELS = 4.0


@dataclass(frozen=True)
class Peer:
    """A codec by its calls.

    Attributes
    ----------
    name : str
    setting : callable
        (pixels, bits stored, ratio) → what `encode` wants to be told; never timed.
    encode : callable
        (pixels, bits stored, setting) → codestream.
    decode : callable
        Codestream → pixels.
    takes_size : bool
        Whether it can be asked for a ratio.
    threaded : bool
        Whether it can use more than one thread.
    """

    name: str
    setting: Callable[[np.ndarray, int, float], float]
    encode: Callable[[np.ndarray, int, float], bytes]
    decode: Callable[[bytes], np.ndarray]
    takes_size: bool = True
    threaded: bool = True


def _ratio(_pixels: np.ndarray, _bits: int, ratio: float) -> float:
    return ratio


def _stored_ratio(pixels: np.ndarray, bits: int, ratio: float) -> float:
    """OpenJPEG's ratios count the bits stored."""
    return ratio * bits / (8 * pixels.itemsize)


def ours(threads: int, _folder: Path) -> Peer:
    """The codec of this project."""

    def encode(pixels: np.ndarray, bits: int, ratio: float) -> bytes:
        return codec.encode(pixels, ratio, bits_stored=bits, threads=threads).codestream

    def decode(codestream: bytes) -> np.ndarray:
        return codec.decode(codestream, threads=threads)

    return Peer(OURS, _ratio, encode, decode)


def with_pylibjpeg(threads: int, _folder: Path) -> Peer:
    """OpenJPEG in pylibjpeg-openjpeg, whose wheels use one thread whatever the variable says."""
    os.environ["OPJ_NUM_THREADS"] = str(threads)

    def encode(pixels: np.ndarray, bits: int, ratio: float) -> bytes:
        return bytes(encode_array(pixels, bits_stored=bits, compression_ratios=[ratio]))

    def decode(codestream: bytes) -> np.ndarray:
        return openjpeg.decode(io.BytesIO(codestream))

    version = ".".join(str(part) for part in get_openjpeg_version())
    return Peer(f"pylibjpeg {openjpeg.__version__} (OpenJPEG {version})", _stored_ratio, encode, decode, threaded=False)


def with_imagecodecs(threads: int, folder: Path) -> Peer:
    """OpenJPEG in imagecodecs, which takes a PSNR instead of a ratio: one that gives about pylibjpeg's size."""
    reference = with_pylibjpeg(threads, folder)

    def encode(pixels: np.ndarray, bits: int, psnr: float) -> bytes:
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

    def setting(pixels: np.ndarray, bits: int, ratio: float) -> float:
        codestream = reference.encode(pixels, bits, reference.setting(pixels, bits, ratio))
        everywhere = np.ones(pixels.shape, bool)
        # OpenJPEG's idea of the PSNR leaves out that samples are rounded, which matters above 50 dB or so.
        low = compare(pixels, reference.decode(codestream), everywhere, bits).psnr - 1
        high = low + SEARCHED_DECIBELS
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            fits = len(encode(pixels, bits, middle)) <= len(codestream)
            low, high = (middle, high) if fits else (low, middle)
        return low

    def decode(codestream: bytes) -> np.ndarray:
        return imagecodecs.jpeg2k_decode(codestream, numthreads=threads)

    name = f"imagecodecs {imagecodecs.__version__} ({imagecodecs.jpeg2k_version()})"
    return Peer(name, setting, encode, decode, takes_size=False)


def load_glymur(folder: Path) -> Any:
    """glymur, which brings no OpenJPEG, with the one in Pillow's wheel; `folder` takes the file that says so."""
    library = next((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*"), None)
    if library is not None:
        (folder / "glymur").mkdir(exist_ok=True)
        (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
        os.environ["XDG_CONFIG_HOME"] = str(folder)
    return importlib.import_module("glymur")


def with_glymur(threads: int, folder: Path) -> Peer:
    """OpenJPEG through glymur, which works on files (in `folder`) and cannot say that 16 bits carry 12."""
    glymur = load_glymur(folder)
    glymur.set_option("lib.num_threads", threads)
    path = folder / "image.j2k"

    def encode(pixels: np.ndarray, _: int, ratio: float) -> bytes:
        path.unlink(missing_ok=True)
        glymur.Jp2k(path, data=pixels, cratios=[ratio], irreversible=True)
        return path.read_bytes()

    def decode(codestream: bytes) -> np.ndarray:
        path.write_bytes(codestream)
        return glymur.Jp2k(path)[:]

    name = f"glymur {glymur.version.version} (OpenJPEG {glymur.version.openjpeg_version})"
    return Peer(name, _ratio, encode, decode)


PEERS: dict[str, Callable[[int, Path], Peer]] = {
    OURS: ours, "imagecodecs": with_imagecodecs, "pylibjpeg": with_pylibjpeg, "glymur": with_glymur,
}  # fmt: skip
