"""Greyscale PNG, TIFF and PGM files. The size in the header is checked before memory is allocated for the pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from mammo_jax.sources.mammogram import SourceError

MAX_PIXELS = 2**28

_PGM_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PGM_HEADER = re.compile(rb"P5" + 3 * (_PGM_BLANK + rb"(\d{1,9})") + rb"\s")
_PGM_MAX_HEADER = 4096
USUAL_DEPTHS = (8, 10, 12, 14, 16)
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


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes
    ----------
    kind : {"PNG", "TIFF", "PGM"}
    rows, columns : int
    bits_allocated : {8, 16}
    bits_stored : int or None
        None if the format does not have it (PNG, TIFF).
    already_lossy : bool
    """

    kind: Literal["PNG", "TIFF", "PGM"]
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int | None = None
    already_lossy: bool = False


def read_image(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """Read an 8- or 16-bit greyscale PNG, TIFF or binary PGM; the format is detected from the first bytes.

    Raises
    ------
    SourceError
        The file cannot be read, has another format, is damaged, or has more pixels than `max_pixels`.
    """
    path = Path(path)
    readers = {"PNG": _read_png, "TIFF": _read_tiff, "PGM": _read_pgm}
    return readers[image_kind(path)](path, max_pixels)


def read_image_header(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read the header of a file that `read_image` reads, and no pixels.

    Raises
    ------
    SourceError
        As `read_image`, as far as the header shows it.
    """
    path = Path(path)
    kind = image_kind(path)
    if kind == "PGM":
        pgm = _pgm_layout(path, max_pixels)
        return ImageHeader(kind, pgm.rows, pgm.columns, 8 * pgm.dtype.itemsize, pgm.maxval.bit_length())
    with (_open_png if kind == "PNG" else _open_tiff)(path, max_pixels) as image:
        lossy = isinstance(image, TiffImageFile) and _is_lossy_tiff(image)
        bits = 8 if image.mode == "L" else 16
        return ImageHeader(kind, image.height, image.width, bits, already_lossy=lossy)


def image_kind(path: Path) -> Literal["PNG", "TIFF", "PGM"]:
    """Return a file's format by its first bytes; SourceError if it is none of these."""
    start = read_start(path, 16)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(_TIFF_SIGNATURES):
        return "TIFF"
    if start.startswith(b"P5"):
        return "PGM"
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
    # Pillow raises nearly any exception class for damaged files, so all of them are converted to SourceError. What it
    # raises itself says what is damaged; any other may quote a text of the file.
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        own = isinstance(error, SyntaxError | OSError)
        detail = getattr(error, "strerror", None) or (str(error) if own else type(error).__name__)
        raise SourceError(f"{path}: is damaged or has an unsupported format ({detail}); save it again") from error


def _pixels(path: Path, image: ImageFile) -> np.ndarray:
    """Decode a Pillow image of mode L or I;16 to a native uint8 or uint16 array."""
    array = np.asarray(image)
    if array.dtype.kind != "u" or array.ndim != 2 or array.shape != (image.height, image.width):
        raise SourceError(f"{path}: did not decode to a greyscale image")
    return np.ascontiguousarray(array, dtype=np.uint8 if array.itemsize == 1 else np.uint16)


def bits_of(stored: StoredImage, told: int | None) -> tuple[int, bool]:
    """Return the bits stored of an image file, and whether they were inferred from its pixels.

    Parameters
    ----------
    stored : StoredImage
    told : int or None
        What the user says of 16-bit PNG and TIFF files, which do not say themselves. Without it the bits are the usual
        depth (8, 10, 12, 14 or 16) that just holds the largest pixel: with 16 bits for an image of 12, the PSNR would
        be 24 dB too high.
    """
    bits = stored.bits_stored or (8 if stored.pixels.itemsize == 1 else told)
    if bits is not None:
        return bits, False
    largest = int(stored.pixels.max())
    return next(depth for depth in USUAL_DEPTHS if largest < 2**depth), True


@contextmanager
def _open_png(path: Path, max_pixels: int) -> Iterator[PngImageFile]:
    """Open a PNG that can be read, without its pixels."""
    with _pillow_errors(path), PngImageFile(path) as image:
        check_size(path, image.height, image.width, max_pixels)
        if not image.tile or image.tile[0].args not in ("L", "I;16B"):
            raise SourceError(f"{path}: is a PNG of mode {image.mode}; 8- or 16-bit greyscale is needed, convert it")
        yield image


def _read_png(path: Path, max_pixels: int) -> StoredImage:
    with _open_png(path, max_pixels) as image:
        return StoredImage(_pixels(path, image), bits_stored=None)


@contextmanager
def _open_tiff(path: Path, max_pixels: int) -> Iterator[TiffImageFile]:
    """Open a TIFF that can be read, without its pixels."""
    with _pillow_errors(path), TiffImageFile(path) as image:
        check_size(path, image.height, image.width, max_pixels)
        tags = image.tag_v2
        # The header may declare tiles that are far larger than the image.
        check_size(path, tags.get(_TIFF_TILE_LENGTH, 1), tags.get(_TIFF_TILE_WIDTH, 1), max_pixels)
        grey = image.mode in ("L", "I;16", "I;16B")
        bits = tags.get(_TIFF_BITS)
        if not grey or bits not in ((8,), (16,)) or tags.get(_TIFF_SAMPLE_FORMAT, (1,)) != (1,):
            numbers = isinstance(bits, tuple) and all(isinstance(number, int) for number in bits)
            raise SourceError(
                f"{path}: is a TIFF of mode {image.mode}, bits {bits if numbers else 'not numbers'}; "
                "8- or 16-bit unsigned greyscale is needed, convert it"
            )
        if image.n_frames != 1:
            raise SourceError(f"{path}: has {image.n_frames} pages; save each as a file of its own")
        yield image


def _is_lossy_tiff(image: TiffImageFile) -> bool:
    return image.tag_v2[_TIFF_COMPRESSION] in _TIFF_JPEG


def _read_tiff(path: Path, max_pixels: int) -> StoredImage:
    with _open_tiff(path, max_pixels) as image:
        pixels = _pixels(path, image)
        if image.tag_v2[_TIFF_PHOTOMETRIC] == 0 and image.mode != "L":
            pixels = ~pixels  # WhiteIsZero, which Pillow inverts for 8 bits only
        return StoredImage(pixels, bits_stored=None, already_lossy=_is_lossy_tiff(image))


class _PgmLayout(NamedTuple):
    """The header of a PGM file: its size, the largest value allowed, a sample's type, and where the samples begin."""

    rows: int
    columns: int
    maxval: int
    dtype: np.dtype
    offset: int


def _pgm_layout(path: Path, max_pixels: int) -> _PgmLayout:
    """Read the header of a binary PGM as netpbm's pgm(5) defines it: 16-bit samples are big-endian."""
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
    return _PgmLayout(rows, columns, maxval, dtype, header.end())


def _read_pgm(path: Path, max_pixels: int) -> StoredImage:
    pgm = _pgm_layout(path, max_pixels)
    pixels = np.fromfile(path, pgm.dtype, offset=pgm.offset).reshape(pgm.rows, pgm.columns)
    if pixels.max() > pgm.maxval:
        raise SourceError(
            f"{path}: has a pixel of {pixels.max()} above the header's maxval {pgm.maxval}; save it again"
        )
    return StoredImage(pixels.astype(pgm.dtype.newbyteorder("=")), bits_stored=pgm.maxval.bit_length())
