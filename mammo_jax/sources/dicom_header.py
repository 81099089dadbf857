"""Headers of DICOM files: read within limits, and checked to be those of an image that can be compressed.

Every error is one SourceError that names the file and the element. In a damaged header any element may contain the text
of another, so messages quote numbers, UIDs and defined terms only.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread, uid
from pydicom.config import disable_value_validation
from pydicom.filereader import read_dataset

from mammo_jax.sources.dicom_structure import (
    PREFIX_END,
    check_structure,
    has_prefix,
    meta_information,
    syntax_without_meta,
)
from mammo_jax.sources.image_files import check_size
from mammo_jax.sources.mammogram import SourceError

MAX_FRAMES = 2**14
_FLOATING = ("FloatPixelData", "DoubleFloatPixelData")
ELEMENTS = [
    "SOPClassUID", "PatientID", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ImagerPixelSpacing", "PixelSpacing",
    "ImageLaterality", "Laterality", "ViewCodeSequence", "ViewPosition", "LossyImageCompression", "PixelData",
    "PresentationIntentType", "PixelPaddingValue", "PixelPaddingRangeLimit", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", *_FLOATING,
]  # fmt: skip
_DEFERRED = 2**16  # larger elements are read from the file when they are needed
_UID = re.compile(r"(?=.{1,64}$)[0-9]+(?:\.[0-9]+)*")  # as many write it: PS3.5 9.1, but with leading zeros
_NEWER_NAMES = {  # that pydicom does not have yet
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
# PS3.3 C.7.6.3.1.2, the retired ones too.
_PHOTOMETRIC_TERMS = {
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "XYB", "YBR_FULL", "YBR_FULL_422",
    "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT",
}  # fmt: skip
_WORDS = {"SamplesPerPixel": "colours", "PhotometricInterpretation": "colours", "PixelRepresentation": "signed samples"}
_ACCEPTED: dict[str, tuple[object, ...]] = {
    "SamplesPerPixel": (1,),
    "PhotometricInterpretation": ("MONOCHROME1", "MONOCHROME2"),
    "BitsAllocated": (8, 16),
    "PixelRepresentation": (0,),
}
# They have pixel data, but what a pixel shows is no image: labels, doses.
_NO_IMAGES = {uid.SegmentationStorage, uid.UID("1.2.840.10008.5.1.4.1.1.66.7"), uid.RTDoseStorage}


@contextmanager
def pydicom_errors(path: Path) -> Iterator[None]:
    """Convert any exception of pydicom or a decoder to SourceError, except those of memory.

    Damaged files can cause nearly any exception class. Messages and warnings may quote header values, so they are
    dropped and only the class is named.
    """
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")
            yield
    except (SourceError, MemoryError):
        raise
    except Exception as error:
        raise SourceError(f"{path}: is a damaged DICOM file ({type(error).__name__}); export it again") from None


def transfer_syntax(path: Path) -> uid.UID:
    """Return the UID of the transfer syntax.

    Raises
    ------
    SourceError
        The file cannot be opened, or does not say its transfer syntax.
    """
    try:
        contents = meta_information(path)
        if not contents:
            return syntax_without_meta(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    meta = read_dataset(io.BytesIO(contents), is_implicit_VR=False, is_little_endian=True)
    syntax = meta.get("TransferSyntaxUID")
    if not syntax:
        raise SourceError(f"{path}: TransferSyntaxUID is missing in the file meta information; export it again")
    return syntax


class BoundedFile(io.BufferedReader):
    """A file that is not read beyond its end: `read` takes memory for all bytes that it is asked for."""

    def __init__(self, path: Path):
        super().__init__(io.FileIO(str(path)))
        self._bytes = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most what is left of the file."""
        left = max(0, self._bytes - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _read(path: Path, **options: Any) -> Dataset:
    with BoundedFile(path) as stream:
        return dcmread(stream, force=not has_prefix(stream.peek(PREFIX_END)), **options)


def read_whole(path: Path, syntax: uid.UID) -> Dataset:
    """Read all elements but PixelData, those after it included."""
    check_structure(path, syntax)
    # Deferred, the pixels of a large object are not loaded only to be dropped.
    instance = _read(path, defer_size=_defer_size(syntax))
    del instance.PixelData
    _load_deferred(instance)
    instance.file_meta.TransferSyntaxUID = syntax  # where there is no meta information
    return instance


def _load_deferred(instance: Dataset) -> None:
    for tag in list(instance.keys()):
        if getattr(instance.get_item(tag, keep_deferred=True), "value", None) is None:
            instance[tag]  # pydicom reads the value on access


def read_header(path: Path, syntax: uid.UID) -> Dataset:
    """Read the elements that an image needs.

    Raises
    ------
    SourceError
        The file has too many elements, or too deep sequences.
    """
    check_structure(path, syntax)
    header = _read(path, specific_tags=ELEMENTS, defer_size=_defer_size(syntax))
    header.file_meta.TransferSyntaxUID = syntax  # where there is no meta information
    return header


def _defer_size(syntax: uid.UID) -> int | None:
    """A deferred element is sought in the file as it lies on the disk, where that of a deflated one is another."""
    return None if syntax == uid.DeflatedExplicitVRLittleEndian else _DEFERRED


def check_kind(path: Path, header: Dataset, max_pixels: int) -> None:
    """Raise SourceError unless the header is that of unsigned, 8- or 16-bit greyscale images."""
    _check_is_image(path, header)
    for element, values in _ACCEPTED.items():
        value = header.get(element)
        if value not in values:
            raise SourceError(
                f"{path}: {element} is {_shown(element, value)}"
                + (
                    "; export it again"
                    if value is None
                    else f", but {' or '.join(map(str, values))} is needed: "
                    f"{_WORDS.get(element, f'samples of {_shown(element, value)} bits')} are not supported, only "
                    "unsigned greyscale of 8 or 16 bits; convert it"
                )
            )
    for element in ("Rows", "Columns", "BitsStored"):
        if header.get(element) is None:
            raise SourceError(f"{path}: {element} is missing; export it again")
    frames = header.get("NumberOfFrames")
    if frames is not None and not 1 <= frames <= MAX_FRAMES:
        raise SourceError(f"{path}: NumberOfFrames is {int(frames)}; 1 to {MAX_FRAMES} is accepted; export it again")
    check_size(path, int(header.Rows), int(header.Columns), max_pixels)
    if not 1 <= header.BitsStored <= header.BitsAllocated:
        raise SourceError(
            f"{path}: BitsStored {header.BitsStored} does not fit BitsAllocated {header.BitsAllocated}; correct it"
        )
    if not header.BitsStored - 1 <= header.get("HighBit", header.BitsStored - 1) < header.BitsAllocated:
        raise SourceError(
            f"{path}: HighBit {header.HighBit} fits neither BitsStored {header.BitsStored} nor BitsAllocated "
            f"{header.BitsAllocated}; export it again"
        )


def _check_is_image(path: Path, header: Dataset) -> None:
    sop_class = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    name = shown_uid(sop_class)
    if sop_class in _NO_IMAGES or (
        not any(keyword in header for keyword in ("PixelData", *_FLOATING)) and "Image Storage" not in name
    ):
        raise SourceError(f"{path}: no image (SOP class {name}); there is nothing to compress")
    if any(keyword in header for keyword in _FLOATING):
        raise SourceError(f"{path}: has floating-point pixels (SOP class {name}); convert it to unsigned greyscale")
    if "PixelData" not in header:
        raise SourceError(f"{path}: PixelData is missing (SOP class {name}); export it again")


def is_uid(text: str) -> bool:
    """Whether a text is numbers with dots between them, as a UID is: no name of a hidden file or another folder."""
    return _UID.fullmatch(text) is not None


def standard_name(text: str) -> str | None:
    """Return the name of a UID in PS3.6 table A-1, or None for any other text."""
    return uid.UID(text).name if text in uid.UID_dictionary else _NEWER_NAMES.get(text)


def shown_uid(value: object) -> str:
    """Return the name of a UID of the standard, another UID itself, and no text that is none."""
    if not value:
        return "missing"
    text = str(value)
    return standard_name(text) or (text if is_uid(text) else "(no valid UID)")


def _shown(element: str, value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, int):
        return str(int(value))
    return str(value) if element == "PhotometricInterpretation" and value in _PHOTOMETRIC_TERMS else "another"
