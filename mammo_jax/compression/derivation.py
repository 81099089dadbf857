"""What an object says of itself when lossy compression has derived it from another (PS3.3 C.7.6.1.1, C.12.4.1)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from pydicom import Dataset, uid
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammo_jax.compression.lossy_history import describe, record_earlier_steps, set_steps, values_of
from mammo_jax.compression.syntaxes import Syntax
from mammo_jax.sources.dicom import LOSSY_COMPRESSED
from mammo_jax.sources.mammogram import SourceError

# Attributes that are wrong after lossy compression: the range of the pixel values, and signatures over the old pixels.
INVALIDATED = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries",
    "MACParametersSequence", "DigitalSignaturesSequence",
)  # fmt: skip
# Value 3 of Image Type where the IOD asks for one: PS3.3 C.8.2.1.1.1, C.8.3.1.1.1. Nearly every CT image is axial.
_THIRD_TYPE = {uid.CTImageStorage: "AXIAL", uid.MRImageStorage: "OTHER"}
_FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
MAX_LONG_STRING = 64  # characters of an LO, PS3.5 6.2


def mark_as_derived(instance: Dataset, old_syntax: str, digest: str, syntax: Syntax, ratio: float) -> None:
    """Set the attributes of an object derived by lossy compression, in place.

    Its UID comes from the old UID and the codestreams, so that every run gives the same one. It references its
    predecessor, and adds how it was compressed to the record of earlier compressions.

    Parameters
    ----------
    instance : pydicom.Dataset
        A copy of the predecessor.
    old_syntax : str
        UID of its transfer syntax.
    digest : str
        Hash of the codestreams.
    syntax : Syntax
        Of the codestreams.
    ratio : float
        Compression ratio reached.
    """
    lossy_before = record_earlier_steps(instance, old_syntax)
    predecessor = _reference(instance, lossy_before)
    if predecessor is not None:
        instance.SourceImageSequence = [*(instance.get("SourceImageSequence") or []), predecessor]
    instance.SOPInstanceUID = derived_uid(f"{instance.SOPInstanceUID} {digest}")
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    _set_image_type(instance)
    instance.LossyImageCompression = LOSSY_COMPRESSED
    ratios, methods = (values_of(instance, f"LossyImageCompression{name}") for name in ("Ratio", "Method"))
    set_steps(instance, [*ratios, f"{ratio:.8g}"], [*methods, syntax.method])
    describe(instance, f"lossy {syntax.title}, compression ratio {ratio:.8g}")
    derivation = _code_item(codes.DCM.LossyCompression)
    instance.DerivationCodeSequence = [*(instance.get("DerivationCodeSequence") or []), derivation]
    for keyword in INVALIDATED:
        if keyword in instance:
            del instance[keyword]


def move_to_new_series(instance: Dataset, settings: str) -> None:
    """Give a derived object the series that all objects of its old series get with these settings, in place.

    Raises
    ------
    SourceError
        The object has no SeriesInstanceUID.
    """
    if not instance.get("SeriesInstanceUID"):
        raise SourceError("SeriesInstanceUID is missing, from which that of the new series is made; export it again")
    instance.SeriesInstanceUID = derived_uid(f"{instance.SeriesInstanceUID} {settings}")
    earlier = "".join(map(str, values_of(instance, "SeriesDescription")))
    kept = earlier[: MAX_LONG_STRING - len(settings) - 2]
    instance.SeriesDescription = f"{kept}, {settings}" if kept else settings


def derived_uid(name: str) -> uid.UID:
    """UID by PS3.5 B.2 that is always the same for a name."""
    return uid.UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}")


def _reference(instance: Dataset, lossy_before: bool) -> Dataset | None:
    """Item of Source Image Sequence; None where the object has no valid UIDs by which it could be found."""
    if not (uid.UID(instance.SOPClassUID).is_valid and uid.UID(instance.SOPInstanceUID).is_valid):
        return None
    predecessor = Dataset()
    predecessor.ReferencedSOPClassUID = instance.SOPClassUID
    predecessor.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    if not lossy_before:
        predecessor.PurposeOfReferenceCodeSequence = [_code_item(codes.DCM.UncompressedPredecessor)]
    return predecessor


def _set_image_type(instance: Dataset) -> None:
    values = ["DERIVED", *(values_of(instance, "ImageType")[1:] or ["PRIMARY"])]
    third = _THIRD_TYPE.get(uid.UID(instance.SOPClassUID))
    if third and len(values) < 3:
        values.append(third)
        describe(instance, f"image type {third} assumed")
    instance.ImageType = values
    for item in _frame_types(instance):
        item.FrameType = ["DERIVED", *values_of(item, "FrameType")[1:]]


def _frame_types(instance: Dataset) -> Iterator[Dataset]:
    """Items with a Frame Type (0008,9007), of multi-frame objects."""
    for keyword in _FUNCTIONAL_GROUPS:
        for groups in instance.get(keyword) or []:
            for element in groups:
                if element.VR == "SQ":
                    yield from (item for item in element.value if "FrameType" in item)


def _code_item(code: Code) -> Dataset:
    """Item of a code sequence (PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
