"""The pixels of any file that a source can read: DICOM, PNG, TIFF, PGM, and greyscale JPEG of published data sets."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from mammo_jax.sources.dicom import is_dicom, read_dicom
from mammo_jax.sources.image_files import MAX_PIXELS, StoredImage, check_size, read_image, read_start
from mammo_jax.sources.jpeg_header import frame_header
from mammo_jax.sources.mammogram import SourceError

_JPEG_START = b"\xff\xd8\xff"


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


def _read_jpeg(path: Path, max_pixels: int) -> StoredImage:
    """Read a JPEG file of one component, or of three that are equal everywhere, as some programs save grey levels."""
    data = path.read_bytes()
    header = frame_header(data)
    if header is None:
        raise SourceError(f"{path}: is a damaged JPEG file; download it again")
    check_size(path, header.rows, header.columns, max_pixels)
    try:
        pixels = imagecodecs.jpeg8_decode(data)
    except Exception as error:  # imagecodecs has a class for each codec
        raise SourceError(f"{path}: is a damaged JPEG file ({type(error).__name__}); download it again") from error
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise SourceError(f"{path}: is a JPEG file with colours; a greyscale image is needed, convert it")
    return StoredImage(np.ascontiguousarray(pixels), bits_stored=8, already_lossy=True)
