"""DICOM objects that carry a codestream of ours, and what the standard wants them to say (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import copy
import hashlib
import uuid
from pathlib import Path

from pydicom import Dataset, uid
from pydicom.config import disable_value_validation
from pydicom.encaps import encapsulate
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammo_jax.files import atomic_path
from mammo_jax.sources.mammogram import SourceError

LOSSY = "01"  # (0028,2110), which is never reset
METHOD = "ISO_15444_1"  # (0028,2114), Part 1 of JPEG 2000
OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
# What lossy pixels make wrong: their smallest and largest value, and signatures of what was there before.
NO_LONGER_TRUE = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "MACParametersSequence", "DigitalSignaturesSequence",
)  # fmt: skip


def compressed_instance(instance: Dataset, codestream: bytes, *, lossless: bool, ratio: float) -> Dataset:
    """Put a codestream into a copy of a DICOM object.

    A lossy one is a new object: it has a UID of its own, made from the old one and the codestream (the same again in
    every run), names its predecessor, and says how it was compressed, after what was said so before.

    Parameters
    ----------
    instance : pydicom.Dataset
        As from `mammo_jax.sources.dicom.read_instance`.
    codestream : bytes
        JPEG 2000, of the object's own pixels. The byte that makes its fragment even lies outside of it.
    lossless : bool
        Whether it gives these pixels back exactly.
    ratio : float
        Compression ratio reached, for (0028,2112).

    Raises
    ------
    SourceError
        The object is big-endian, or keeps an overlay in unused bits of its pixels, where it would be lost.
    """
    _refuse_what_would_be_lost(instance)
    made = copy.deepcopy(instance)
    made.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless if lossless else uid.JPEG2000
    made.file_meta.ImplementationClassUID = uid.PYDICOM_IMPLEMENTATION_UID
    made.file_meta.pop("ImplementationVersionName", None)
    if not lossless:
        _derive(made, codestream, ratio)
    made.PixelData = encapsulate([codestream])
    made["PixelData"].VR = "OB"
    return made


def write_instance(path: Path, instance: Dataset) -> None:
    """Write a DICOM file, whole or not at all."""
    with atomic_path(path) as temporary, disable_value_validation():
        instance.save_as(temporary, enforce_file_format=True)


def _refuse_what_would_be_lost(instance: Dataset) -> None:
    if not instance.original_encoding[1]:
        raise SourceError("is big-endian, which the standard has retired; convert it to Explicit VR Little Endian")
    for group in OVERLAY_GROUPS:
        if (group, 0x0102) in instance and instance[group, 0x0102].value:
            raise SourceError("keeps an overlay in unused bits of its pixels; move it to OverlayData first")


def _derive(made: Dataset, codestream: bytes, ratio: float) -> None:
    """Say what lossy compression made of an object (PS3.3 C.7.6.1.1.2 to C.7.6.1.1.5)."""
    predecessor = Dataset()
    predecessor.ReferencedSOPClassUID, predecessor.ReferencedSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    if made.get("LossyImageCompression") != LOSSY:
        predecessor.PurposeOfReferenceCodeSequence = [_coded(codes.DCM.UncompressedPredecessor)]
    digest = hashlib.sha256(codestream).hexdigest()
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{made.SOPInstanceUID} {digest}")
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid.UID(f"2.25.{name.int}")
    made.ImageType = ["DERIVED", *(_values(made, "ImageType")[1:] or ["PRIMARY"])]
    made.LossyImageCompression = LOSSY
    made.LossyImageCompressionRatio = [*_values(made, "LossyImageCompressionRatio"), f"{ratio:.8g}"]
    made.LossyImageCompressionMethod = [*_values(made, "LossyImageCompressionMethod"), METHOD]
    description = f"lossy JPEG 2000, compression ratio {ratio:.8g}"
    made.DerivationDescription = "; ".join([*_values(made, "DerivationDescription"), description])
    made.DerivationCodeSequence = [*made.get("DerivationCodeSequence", []), _coded(codes.DCM.LossyCompression)]
    made.SourceImageSequence = [*made.get("SourceImageSequence", []), predecessor]
    for keyword in NO_LONGER_TRUE:
        if keyword in made:
            del made[keyword]


def _values(instance: Dataset, keyword: str) -> list:
    """Values of an element, which may be missing, empty, one or several."""
    value = instance.get(keyword)
    return list(value) if isinstance(value, MultiValue) else [] if value in (None, "") else [value]


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
