"""DICOM objects with one of our codestreams, and the attributes that the standard requires (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import copy
import hashlib
import re
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, uid
from pydicom.config import disable_value_validation
from pydicom.encaps import encapsulate
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.valuerep import AMBIGUOUS_VR

from mammo_jax.compression.icons import make_icons_native
from mammo_jax.files import atomic_path
from mammo_jax.sources.dicom import LOSSY_COMPRESSED
from mammo_jax.sources.mammogram import SourceError

METHOD = "ISO_15444_1"  # Lossy Image Compression Method (0028,2114): JPEG 2000 Part 1
_TAG_OF_ERROR = re.compile(r"With tag \(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
REPLACED = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")  # of the old frames
OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
# Attributes that are wrong after lossy compression: the range of the pixel values, and signatures over the old pixels.
INVALIDATED = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "MACParametersSequence", "DigitalSignaturesSequence",
)  # fmt: skip


@contextmanager
def _damaged_elements() -> Iterator[None]:
    """Convert the exceptions of pydicom for elements whose values are not as their VR says, to SourceError.

    pydicom makes values of bytes when an element is used. Its messages may quote them, so that only the tag is kept.
    """
    try:
        with disable_value_validation(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")
            yield
    except (SourceError, MemoryError):
        raise
    except Exception as error:
        tag = _TAG_OF_ERROR.match(str(error))
        element = f"the element ({tag[1]},{tag[2]})" if tag else "an element"
        raise SourceError(
            f"{element} is damaged ({type(error).__name__}), and cannot be written; export the file again"
        ) from None


@_damaged_elements()
def compressed_instance(instance: Dataset, codestream: bytes, *, lossless: bool, ratio: float) -> Dataset:
    """Return a copy of a DICOM object whose pixel data are a codestream.

    With lossy compression the copy is a new, derived object. Its UID comes from the old UID and the codestream, so
    that every run gives the same one. It references its predecessor, and adds how it was compressed to the record of
    earlier compressions.

    Parameters
    ----------
    instance : pydicom.Dataset
        As from `mammo_jax.sources.dicom.read_instance`.
    codestream : bytes
        JPEG 2000 codestream of the object's own pixels. A byte that pads its fragment to an even length lies outside.
    lossless : bool
        Whether the codestream reproduces these pixels exactly.
    ratio : float
        Compression ratio reached, for Lossy Image Compression Ratio (0028,2112).

    Raises
    ------
    SourceError
        An element that every object needs is missing, an element is damaged, the object is big-endian, or it has an
        overlay in unused bits of its pixels, which would be lost.
    """
    check_convertible(instance)
    compressed = copy.deepcopy(instance)
    compressed.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless if lossless else uid.JPEG2000
    compressed.file_meta.ImplementationClassUID = uid.PYDICOM_IMPLEMENTATION_UID
    compressed.file_meta.pop("ImplementationVersionName", None)
    compressed.file_meta.MediaStorageSOPClassUID = compressed.SOPClassUID
    compressed.file_meta.MediaStorageSOPInstanceUID = compressed.SOPInstanceUID
    for keyword in REPLACED:
        compressed.pop(keyword, None)
    make_icons_native(compressed, instance.file_meta.TransferSyntaxUID)
    _choose_representations(compressed)
    if not lossless:
        _mark_as_derived(compressed, codestream, ratio)
    compressed.PixelData = encapsulate([codestream])
    compressed["PixelData"].VR = "OB"
    return compressed


def write_instance(path: Path, instance: Dataset) -> None:
    """Write a DICOM file, complete or not at all.

    Raises
    ------
    SourceError
        An element is damaged. Errors of the disk are OSErrors.
    """
    contents = BytesIO()
    with _damaged_elements():
        instance.save_as(contents, enforce_file_format=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(contents.getbuffer())


def check_convertible(instance: Dataset) -> None:
    """Raise SourceError for an object that cannot be written again with compressed pixel data."""
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not instance.get(keyword):
            raise SourceError(f"{keyword} is missing, which every DICOM object needs; export it again")
    if not instance.original_encoding[1]:
        raise SourceError("is big-endian, which the standard has retired; convert it to Explicit VR Little Endian")
    for group in OVERLAY_GROUPS:
        if (group, 0x0102) in instance and instance[group, 0x0102].value:
            raise SourceError("keeps an overlay in unused bits of its pixels; move it to OverlayData first")


def _choose_representations(instance: Dataset) -> None:
    """Choose the VR of elements that implicit VR left open, the retired curves among them (PS3.5 A.1, A.2)."""
    if not instance.original_encoding[0]:
        return
    correct_ambiguous_vr(instance, is_little_endian=True)
    for element in instance.iterall():
        if element.VR in AMBIGUOUS_VR:
            element.VR = "OW" if isinstance(element.value, bytes) else "US"


def _mark_as_derived(instance: Dataset, codestream: bytes, ratio: float) -> None:
    """Set the attributes of an object derived by lossy compression (PS3.3 C.7.6.1.1.2 to C.7.6.1.1.5)."""
    predecessor = Dataset()
    predecessor.ReferencedSOPClassUID = instance.SOPClassUID
    predecessor.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    if instance.get("LossyImageCompression") != LOSSY_COMPRESSED:
        predecessor.PurposeOfReferenceCodeSequence = [_code_item(codes.DCM.UncompressedPredecessor)]
    digest = hashlib.sha256(codestream).hexdigest()
    number = uuid.uuid5(uuid.NAMESPACE_OID, f"{instance.SOPInstanceUID} {digest}")
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = uid.UID(f"2.25.{number.int}")
    instance.ImageType = ["DERIVED", *(_values(instance, "ImageType")[1:] or ["PRIMARY"])]
    instance.LossyImageCompression = LOSSY_COMPRESSED
    instance.LossyImageCompressionRatio = [*_values(instance, "LossyImageCompressionRatio"), f"{ratio:.8g}"]
    instance.LossyImageCompressionMethod = [*_values(instance, "LossyImageCompressionMethod"), METHOD]
    description = f"lossy JPEG 2000, compression ratio {ratio:.8g}"
    instance.DerivationDescription = "; ".join([*_values(instance, "DerivationDescription"), description])
    derivation = _code_item(codes.DCM.LossyCompression)
    instance.DerivationCodeSequence = [*instance.get("DerivationCodeSequence", []), derivation]
    instance.SourceImageSequence = [*instance.get("SourceImageSequence", []), predecessor]
    for keyword in INVALIDATED:
        if keyword in instance:
            del instance[keyword]


def _values(instance: Dataset, keyword: str) -> list:
    """Values of an element as a list: none if it is missing or empty."""
    value = instance.get(keyword)
    return list(value) if isinstance(value, MultiValue) else [] if value in (None, "") else [value]


def _code_item(code: Code) -> Dataset:
    """Item of a code sequence (PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
