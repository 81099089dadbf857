"""A DICOM file's header alone: read up to the pixel data, and judged by the rules by which images are read.

What `read_dicom` refuses for its header is refused here with the same words, since the same functions say so. What only
the pixel data show, such as an end that is missing, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydicom import Dataset, uid
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from mammo_jax.sources.dicom import check_syntax
from mammo_jax.sources.dicom_header import ELEMENTS, check_kind, pydicom_errors, transfer_syntax
from mammo_jax.sources.dicom_structure import check_structure
from mammo_jax.sources.image_files import MAX_PIXELS
from mammo_jax.sources.mammogram import SourceError

_PIXEL_ELEMENTS = 0x7FE00008  # Float Pixel Data, the first of the three; (7FE0,0010) is Pixel Data
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_DEFERRED = 2**16  # larger elements are read from the file when they are needed


class PixelBytes(NamedTuple):
    """Where the value of PixelData lies in the file: for encapsulated data up to the file's end.

    Attributes
    ----------
    start, length : int
        Bytes.
    missing : int
        Bytes that the file ends too early, by the element's length.
    """

    start: int
    length: int
    missing: int = 0


@dataclass(frozen=True)
class HeaderOnly:
    """A header without pixel data.

    Attributes
    ----------
    syntax : UID
        Transfer syntax.
    elements : Dataset
        Those that were asked for. PixelData is there, but empty, where the file has it.
    pixel_bytes : PixelBytes or None
        None without PixelData, and in a deflated file.
    problem : SourceError or None
        Why `read_dicom` refuses the file; None where it does not, as far as the header shows.
    """

    syntax: uid.UID
    elements: Dataset
    pixel_bytes: PixelBytes | None
    problem: SourceError | None


def read_header_only(path: Path, more_elements: Iterable[str | tuple[int, int]]) -> HeaderOnly:
    """Read the elements that an image needs, and more of them.

    Parameters
    ----------
    path : path of a file with DICOM prefix
    more_elements : keywords or tags

    Raises
    ------
    SourceError
        The header cannot be read.
    """
    with pydicom_errors(path):
        syntax = transfer_syntax(path)
        elements, pixel_bytes = _elements(path, syntax, [Tag(element) for element in (*ELEMENTS, *more_elements)])
    try:
        with pydicom_errors(path):
            check_syntax(path, syntax)
            check_kind(path, elements, MAX_PIXELS)
    except SourceError as error:
        return HeaderOnly(syntax, elements, pixel_bytes, error)
    return HeaderOnly(syntax, elements, pixel_bytes, None)


def _elements(path: Path, syntax: uid.UID, wanted: list[BaseTag]) -> tuple[Dataset, PixelBytes | None]:
    """Read the wanted elements up to the pixel data, and say where these are."""
    found: list[tuple[int, int, int]] = []  # tag, length, start of the value

    with path.open("rb") as stream:

        def stop(tag: int, _representation: str | None, length: int) -> bool:
            if tag >= _PIXEL_ELEMENTS:
                found.append((tag, length, stream.tell()))
            return tag >= _PIXEL_ELEMENTS

        elements = read_partial(stream, stop, specific_tags=wanted, defer_size=_DEFERRED)
        size = path.stat().st_size
    if not found or found[0][0] != _PIXEL_DATA:
        return elements, None
    _, length, start = found[0]
    elements.add_new(_PIXEL_DATA, "OB", b"")
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        return elements, None
    if length == _UNDEFINED:
        return elements, PixelBytes(start, size - start)
    return elements, PixelBytes(start, min(length, size - start), max(start + length - size, 0))
