"""A DICOM file's header alone: read up to the pixel data, and judged by the rules by which images are read.

What `read_dicom` refuses for its header is refused here with the same words, since the same functions say so. What only
the pixel data show, such as an end that is missing, is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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


def element_tags(more_elements: Iterable[str | tuple[int, int]] = ()) -> list[BaseTag]:
    """Return the tags of the elements that an image needs, and of more, given by keyword or number."""
    return [Tag(element) for element in (*ELEMENTS, *more_elements)]


def read_header_only(path: Path, tags: list[BaseTag]) -> HeaderOnly:
    """Read the elements that an image needs, and more of them.

    Parameters
    ----------
    path : path of a file with DICOM prefix
    tags : list of BaseTag
        Of `element_tags`.

    Raises
    ------
    SourceError
        The header cannot be read.
    """
    with pydicom_errors(path):
        syntax = transfer_syntax(path)
    problem = _problem(path, check_syntax, syntax)
    try:
        with pydicom_errors(path):
            check_structure(path, syntax)
            elements, pixel_bytes = _elements(path, syntax, tags)
    except SourceError as error:
        raise problem or error from None
    return HeaderOnly(syntax, elements, pixel_bytes, problem or _problem(path, check_kind, elements, MAX_PIXELS))


def _problem(path: Path, check: Callable[..., None], *arguments: Any) -> SourceError | None:
    """Return the error that a check of the file raises."""
    try:
        with pydicom_errors(path):
            check(path, *arguments)
    except SourceError as error:
        return error
    return None


def _elements(path: Path, syntax: uid.UID, tags: list[BaseTag]) -> tuple[Dataset, PixelBytes | None]:
    """Read the elements with these tags up to the pixel data, and say where these are."""
    found: list[tuple[int, int, int]] = []  # tag, length, start of the value

    with path.open("rb") as stream:  # its lengths are checked, and long values deferred

        def stop(tag: int, _representation: str | None, length: int) -> bool:
            stops = int(tag) >= _PIXEL_ELEMENTS  # an int is compared much faster than pydicom's tag
            if stops:
                found.append((tag, length, stream.tell()))
            return stops

        elements = read_partial(stream, stop, specific_tags=[*tags], defer_size=_DEFERRED)
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
