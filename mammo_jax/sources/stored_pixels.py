"""Any file that a source can read, its pixels or its header: DICOM, PNG, TIFF, PGM, greyscale JPEG of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np

from mammo_jax.sources.dicom import is_dicom, read_dicom
from mammo_jax.sources.header_only import element_tags, read_header_only
from mammo_jax.sources.image_files import (
    MAX_PIXELS,
    StoredImage,
    check_size,
    read_image,
    read_image_header,
    read_start,
)
from mammo_jax.sources.jpeg_header import FrameHeader, frame_header
from mammo_jax.sources.mammogram import SourceError

_JPEG_START = b"\xff\xd8\xff"
_TAGS = element_tags()


class StoredSize(NamedTuple):
    """What a header says of an image's size; `bits_allocated` is 8 or 16."""

    rows: int
    columns: int
    bits_allocated: int

    @property
    def pixels(self) -> int:
        """Rows × columns."""
        return self.rows * self.columns


def read_pixels(path: Path, *, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """Read one greyscale image of 8 or 16 bits; the format is detected from the first bytes.

    Raises
    ------
    SourceError
        As `read_dicom` and `read_image`; or a JPEG file is damaged, or has colours.
    """
    if is_dicom(path):
        return read_dicom(path, max_pixels=max_pixels)
    if read_start(path, 3) == _JPEG_START:
        return _read_jpeg(path, max_pixels)
    return read_image(path, max_pixels=max_pixels)


def read_size(path: Path, *, max_pixels: int = MAX_PIXELS) -> StoredSize:
    """Read the size of an image from the header of its file, and no pixels.

    Raises
    ------
    SourceError
        As `read_pixels`, as far as the header shows it.
    """
    if is_dicom(path):
        header = read_header_only(path, _TAGS)
        if header.problem:
            raise header.problem
        elements = header.elements
        return StoredSize(int(elements.Rows), int(elements.Columns), int(elements.BitsAllocated))
    if read_start(path, 3) == _JPEG_START:
        frame = _jpeg_frame(path, path.read_bytes(), max_pixels)
        return StoredSize(frame.rows, frame.columns, 8)
    image = read_image_header(path, max_pixels=max_pixels)
    return StoredSize(image.rows, image.columns, image.bits_allocated)


def _read_jpeg(path: Path, max_pixels: int) -> StoredImage:
    """Read a JPEG file of one component, or of three that are equal everywhere, as some programs save grey levels."""
    data = path.read_bytes()
    _jpeg_frame(path, data, max_pixels)
    try:
        pixels = imagecodecs.jpeg8_decode(data)
    except Exception as error:  # imagecodecs has a class for each codec
        raise SourceError(f"{path}: is a damaged JPEG file ({type(error).__name__}); download it again") from error
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise SourceError(f"{path}: is a JPEG file with colours; a greyscale image is needed, convert it")
    return StoredImage(np.ascontiguousarray(pixels), bits_stored=8, already_lossy=True)


def _jpeg_frame(path: Path, data: bytes, max_pixels: int) -> FrameHeader:
    header = frame_header(data)
    if header is None:
        raise SourceError(f"{path}: is a damaged JPEG file; download it again")
    check_size(path, header.rows, header.columns, max_pixels)
    return header
