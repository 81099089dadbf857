"""The structure of a DICOM file, walked before pydicom reads it: how many elements, and how deep in sequences.

pydicom reads nested sequences again at every level above them, and makes an object of every element: a file of some
kilobytes can take minutes and gigabytes. The walk takes no memory, and stops at the first limit. It only counts; what
is wrong with an element is for pydicom to say, so that it ends quietly where it can't go on.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydicom import uid
from pydicom.datadict import dictionary_VR

from mammo_jax.sources.mammogram import SourceError

MAX_DEPTH = 24  # sequences in sequences; the deepest of PS3.3's image objects stay below 10
MAX_ELEMENTS = 200_000  # 1000 frames with 200 each
MAX_INFLATED = 2**30
MAX_META = 2**20
MAX_ABSENT = 2**24  # bytes that a length may promise beyond the end: pydicom takes memory for all of them
PREFIX_END = 132  # PS3.10, 7.1: the preamble and "DICM"
UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_FIRST_NUMBERS, _FIRST_LENGTH = 0xFF, 256  # of the first element where the prefix is missing
_REPRESENTATIONS = {b"UL", b"OB", b"UI", b"CS", b"DA", b"SH", b"LO", b"AE", b"UN"}
_LONG_LENGTHS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


class _Element(NamedTuple):
    """A data element or an item's delimiter: where its value starts, and how long that is."""

    tag: int
    representation: bytes  # b"" in implicit VR
    value: int
    length: int


class _Sequence(NamedTuple):
    """A sequence that is open: where it ends if its length is defined, and how the elements around it are coded."""

    end: int | None
    implicit_outside: bool


def has_prefix(start: bytes) -> bool:
    """Return whether a file's first bytes are the preamble and the prefix (PS3.10, 7.1)."""
    return start[128:PREFIX_END] == b"DICM"


def has_dicom_start(start: bytes) -> bool:
    """Return whether a file's first bytes are those of a DICOM file, or of one whose prefix is missing.

    Without prefix it must begin with an element of group 2 or 8, where every object begins, that can be short.
    """
    return has_prefix(start) or _first_encoding(start) is not None


def _first_encoding(start: bytes) -> tuple[bool, str] | None:
    """Whether the first element's VR is implicit, and its byte order; None if it is no element of group 2 or 8."""
    for order in "<>":
        if (explicit := _element(start, 0, implicit=False, order=order)) is None:
            continue
        group, number = explicit.tag >> 16, explicit.tag & 0xFFFF
        if group not in (2, 8) or number > _FIRST_NUMBERS:
            continue
        if explicit.representation in _REPRESENTATIONS and explicit.length <= _FIRST_LENGTH:
            return False, order
        implicit = _element(start, 0, implicit=True, order=order)
        if implicit is not None and order == "<" and group == 8 and implicit.length <= _FIRST_LENGTH:
            return True, order
    return None


def syntax_without_meta(path: Path) -> uid.UID:
    """Find the transfer syntax of a file without meta information from its first element.

    Raises
    ------
    SourceError
        The pixel data are compressed, and nothing says how.
    """
    with _mapped(path) as data:
        encoding = _first_encoding(data[_start(data) : _start(data) + PREFIX_END])
        if encoding is None:
            raise SourceError(f"{path}: TransferSyntaxUID is missing in the file meta information; export it again")
        implicit, order = encoding
        if _has_fragments(data, _start(data), implicit=implicit, order=order):
            raise SourceError(
                f"{path}: has no meta information, and so nothing says how its PixelData are compressed "
                "(TransferSyntaxUID); export it again"
            )
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if order == "<" else uid.ExplicitVRBigEndian


def _has_fragments(data: mmap.mmap, position: int, *, implicit: bool, order: str) -> bool:
    """Whether PixelData's length is undefined, which is so where it is encapsulated (PS3.5, A.4)."""
    tag = struct.pack(order + "HH", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF)
    undefined = struct.pack(order + "I", UNDEFINED)
    at = data.find(tag, position)
    while at >= 0:
        length_at = at + (4 if implicit else 8)
        if data[length_at : length_at + 4] == undefined:
            return True
        at = data.find(tag, at + 1)
    return False


def _start(data: mmap.mmap) -> int:
    return PREFIX_END if has_prefix(data[:PREFIX_END]) else 0


def check_structure(path: Path, syntax: str) -> None:
    """Raise SourceError for a file with too many elements or too deeply nested sequences.

    Parameters
    ----------
    path : Path
        A file for which `has_dicom_start` is true.
    syntax : str
        UID of its transfer syntax.
    """
    with _mapped(path) as data:
        start = _end_of_meta_information(data)
        if syntax == uid.DeflatedExplicitVRLittleEndian:
            _walk(path, _inflated(path, data[start:]), 0, implicit=False, order="<")
        else:
            order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
            _walk(path, data, start, implicit=syntax == uid.ImplicitVRLittleEndian, order=order)


def meta_information(path: Path) -> bytes:
    """Return the elements of a file's meta information, in explicit VR, little-endian (PS3.10, 7.1)."""
    with _mapped(path) as data:
        start = _start(data)
        return data[start : min(_end_of_meta_information(data), start + MAX_META)]


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _end_of_meta_information(data: mmap.mmap) -> int:
    """Where the data set begins: after the elements of group 2, which are in explicit VR, little-endian (PS3.10)."""
    position = _start(data)
    while element := _element(data, position, implicit=False, order="<"):
        if element.tag >> 16 != 2 or element.length == UNDEFINED:
            break
        position = element.value + element.length
    return position


def _inflated(path: Path, deflated: bytes) -> bytes:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = decompressor.decompress(deflated, MAX_INFLATED)
    if decompressor.unconsumed_tail:
        raise SourceError(
            f"{path}: inflates to more than {MAX_INFLATED} bytes; convert it to Explicit VR Little Endian"
        )
    return inflated


def _element(data: mmap.mmap | bytes, position: int, *, implicit: bool, order: str) -> _Element | None:
    """Read the tag and length of one element; None at the end, or where no length can be read."""
    try:
        group, number = struct.unpack_from(order + "HH", data, position)
        tag = group << 16 | number
        if implicit or tag >> 16 == 0xFFFE:  # items have no VR
            return _Element(tag, b"", position + 8, *struct.unpack_from(order + "I", data, position + 4))
        representation = data[position + 4 : position + 6]
        if representation in _LONG_LENGTHS:
            return _Element(tag, representation, position + 12, *struct.unpack_from(order + "I", data, position + 8))
        return _Element(tag, representation, position + 8, *struct.unpack_from(order + "H", data, position + 6))
    except struct.error:
        return None


def _walk(path: Path, data: mmap.mmap | bytes, position: int, *, implicit: bool, order: str) -> None:
    """Walk over all elements. Items are walked through, so that only sequences are kept in mind."""
    open_sequences: list[_Sequence] = []
    elements = 0
    while element := _element(data, position, implicit=implicit, order=order):
        position = element.value
        if not implicit and element.tag >> 16 != 0xFFFE and not element.representation.isalpha():
            return  # the walk went wrong, or the file is
        if element.tag == SEQUENCE_END and open_sequences:
            implicit = open_sequences.pop().implicit_outside
        elif element.tag == PIXEL_DATA and element.length == UNDEFINED:
            position = _end_of_fragments(data, position, order)
        elif element.tag not in (ITEM, ITEM_END, SEQUENCE_END):
            elements += 1
            if _is_sequence(element):
                end = None if element.length == UNDEFINED else position + element.length
                open_sequences.append(_Sequence(end, implicit))
                implicit = implicit or element.representation == b"UN"  # PS3.5, 6.2.2
            else:
                position += element.length
                _check_is_there(path, element, len(data))
        while open_sequences and open_sequences[-1].end is not None and position >= open_sequences[-1].end:
            implicit = open_sequences.pop().implicit_outside
        _check_limits(path, len(open_sequences), elements)


def _check_is_there(path: Path, element: _Element, size: int) -> None:
    if element.value + element.length > size + MAX_ABSENT:
        raise SourceError(
            f"{path}: the element ({element.tag >> 16:04X},{element.tag & 0xFFFF:04X}) has {element.length} bytes by "
            "its length, but the file ends before; export it again"
        )


def _is_sequence(element: _Element) -> bool:
    if element.length == UNDEFINED or element.representation:
        return element.length == UNDEFINED or element.representation == b"SQ"
    try:
        return dictionary_VR(element.tag) == "SQ"
    except KeyError:  # a private or unknown element, whose value pydicom leaves as it is
        return False


def _end_of_fragments(data: mmap.mmap | bytes, position: int, order: str) -> int:
    """Where the encapsulated pixel data end (PS3.5, A.4)."""
    while (item := _element(data, position, implicit=True, order=order)) and item.tag == ITEM:
        if item.length == UNDEFINED:
            return len(data)
        position = item.value + item.length
    return item.value if item else len(data)


def _check_limits(path: Path, depth: int, elements: int) -> None:
    if depth > MAX_DEPTH:
        raise SourceError(f"{path}: has sequences nested more than {MAX_DEPTH} deep; leave them out and try again")
    if elements > MAX_ELEMENTS:
        raise SourceError(f"{path}: has more than {MAX_ELEMENTS} elements; leave out those that are not needed")
