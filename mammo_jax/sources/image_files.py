"""Greyscale PNG, TIFF and PGM files. The size in the header is checked before memory is allocated for the pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from mammo_jax.sources.mammogram import SourceError

MAX_PIXELS = 2**28

_PGM_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PGM_HEADER = re.compile(rb"P5" + 3 * (_PGM_BLANK + rb"(\d{1,9})") + rb"\s")
_PGM_MAX_HEADER = 4096
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_JPEG = (6, 7)
_TIFF_BITS, _TIFF_COMPRESSION, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 259, 262, 339
_TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 322, 323


@dataclass(frozen=True)
class StoredImage:
    """The content of one image file: pixels and the metadata that its format has.

    Attributes
    ----------
    pixels : uint8 or uint16 array [rows, columns]
        In the MONOCHROME2 sense: larger is brighter.
    bits_stored : int or None
        None if the format does not have it (PNG, TIFF).
    pixel_pitch : float or None
        In mm, in the detector plane.
    laterality : {"L", "R"} or None
    view : str or None
    already_lossy : bool
    patient_id : str or None
        Keyed hash of the patient's id.
    padding_range : tuple of int or None
        The smallest and largest value of pixels that only fill up the rectangle, if the format has it (DICOM).
    """

    pixels: np.ndarray
    bits_stored: int | None
    pixel_pitch: float | None = None
    laterality: Literal["L", "R"] | None = None
    view: str | None = None
    already_lossy: bool = False
    patient_id: str | None = None
    padding_range: tuple[int, int] | None = None


def read_image(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """Read an 8- or 16-bit greyscale PNG, TIFF or binary PGM; the format is detected from the first bytes.

    Raises
    ------
    SourceError
        The file cannot be read, has another format, is damaged, or has more pixels than `max_pixels`.
    """
    path = Path(path)
    start = read_start(path, 16)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _read_png(path, max_pixels)
    if start.startswith(_TIFF_SIGNATURES):
        return _read_tiff(path, max_pixels)
    if start.startswith(b"P5"):
        return _read_pgm(path, max_pixels)
    raise SourceError(f"{path}: is neither PNG, TIFF, binary PGM (P5) nor DICOM; convert it to one of these")


def read_start(path: Path, size: int) -> bytes:
    """Return the first bytes of a file; SourceError if it cannot be opened."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def check_size(path: Path, rows: int, columns: int, max_pixels: int) -> None:
    """Raise SourceError for a size below 1×1 or above the caller's limit."""
    if rows < 1 or columns < 1:
        raise SourceError(f"{path}: the header says {rows}×{columns} pixels; the file is damaged")
    if rows * columns > max_pixels:
        raise SourceError(
            f"{path}: the header says {rows}×{columns} pixels, more than the limit of {max_pixels}; "
            "raise max_pixels if that is true"
        )


@contextmanager
def _pillow_errors(path: Path) -> Iterator[None]:
    # Pillow raises nearly any exception class for damaged files, so all of them are converted to SourceError.
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"{path}: is damaged or has an unsupported format ({error}); save it again") from error


def _pixels(path: Path, image: ImageFile) -> np.ndarray:
    """Decode a Pillow image of mode L or I;16 to a native uint8 or uint16 array."""
    array = np.asarray(image)
    if array.dtype.kind != "u" or array.ndim != 2 or array.shape != (image.height, image.width):
        raise SourceError(f"{path}: did not decode to a greyscale image")
    return np.ascontiguousarray(array, dtype=np.uint8 if array.itemsize == 1 else np.uint16)


def _read_png(path: Path, max_pixels: int) -> StoredImage:
    with _pillow_errors(path), PngImageFile(path) as image:
        check_size(path, image.height, image.width, max_pixels)
        if not image.tile or image.tile[0].args not in ("L", "I;16B"):
            raise SourceError(f"{path}: is a PNG of mode {image.mode}; 8- or 16-bit greyscale is needed, convert it")
        return StoredImage(_pixels(path, image), bits_stored=None)


def _read_tiff(path: Path, max_pixels: int) -> StoredImage:
    with _pillow_errors(path), TiffImageFile(path) as image:
        check_size(path, image.height, image.width, max_pixels)
        tags = image.tag_v2
        # The header may declare tiles that are far larger than the image.
        check_size(path, tags.get(_TIFF_TILE_LENGTH, 1), tags.get(_TIFF_TILE_WIDTH, 1), max_pixels)
        grey = image.mode in ("L", "I;16", "I;16B")
        if not grey or tags.get(_TIFF_BITS) not in ((8,), (16,)) or tags.get(_TIFF_SAMPLE_FORMAT, (1,)) != (1,):
            raise SourceError(
                f"{path}: is a TIFF of mode {image.mode}, bits {tags.get(_TIFF_BITS)}; "
                "8- or 16-bit unsigned greyscale is needed, convert it"
            )
        if image.n_frames != 1:
            raise SourceError(f"{path}: has {image.n_frames} pages; save each as a file of its own")
        pixels = _pixels(path, image)
        if tags[_TIFF_PHOTOMETRIC] == 0 and image.mode != "L":
            pixels = ~pixels  # WhiteIsZero, which Pillow inverts for 8 bits only
        return StoredImage(pixels, bits_stored=None, already_lossy=tags[_TIFF_COMPRESSION] in _TIFF_JPEG)


def _read_pgm(path: Path, max_pixels: int) -> StoredImage:
    """Read a binary PGM as netpbm's pgm(5) defines it: 16-bit samples are big-endian."""
    header = _PGM_HEADER.match(read_start(path, _PGM_MAX_HEADER))
    if header is None:
        raise SourceError(f"{path}: the PGM header is damaged; it must be P5, width, height, maxval")
    columns, rows, maxval = (int(field) for field in header.groups())
    check_size(path, rows, columns, max_pixels)
    if not 1 <= maxval <= 65535:
        raise SourceError(f"{path}: the PGM header's maxval is {maxval}; 1 to 65535 is allowed")
    dtype = np.dtype(np.uint8 if maxval < 256 else ">u2")
    expected = header.end() + rows * columns * dtype.itemsize
    if path.stat().st_size != expected:
        raise SourceError(
            f"{path}: has {path.stat().st_size} bytes, but {expected} by its header; "
            "it is truncated or contains several images"
        )
    pixels = np.fromfile(path, dtype, offset=header.end()).reshape(rows, columns)
    if pixels.max() > maxval:
        raise SourceError(f"{path}: has a pixel of {pixels.max()} above the header's maxval {maxval}; save it again")
    return StoredImage(pixels.astype(dtype.newbyteorder("=")), bits_stored=maxval.bit_length())
