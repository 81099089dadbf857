"""Icons: small images inside an object, coded in the object's old transfer syntax."""

from __future__ import annotations

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.encaps import get_frame
from pydicom.tag import tag_in_exception

from mammo_jax.sources.dicom_frames import decode_frame
from mammo_jax.sources.mammogram import SourceError

MAX_PIXELS = 1024**2
REMOVED = "icon removed, which could not be decoded"


def make_icons_native(instance: Dataset, syntax: str) -> None:
    """Decode the encapsulated pixel data of icons, in place, so that they don't depend on the transfer syntax.

    Under an encapsulated syntax, pixel data inside a sequence may be native (PS3.5 A.4), but not of another compressed
    syntax. An icon that cannot be decoded is removed, and DerivationDescription says so.

    Parameters
    ----------
    instance : pydicom.Dataset
    syntax : str
        UID of the transfer syntax in which the icons are.
    """
    for element in _sequences(instance):
        for item in element.value:
            make_icons_native(item, syntax)
        encapsulated = [item for item in element.value if "PixelData" in item and item["PixelData"].is_undefined_length]
        if not all(_make_native(item, syntax) for item in encapsulated):
            del instance[element.tag]
            earlier = instance.get("DerivationDescription")
            instance.DerivationDescription = f"{earlier}; {REMOVED}" if earlier else REMOVED


def _sequences(instance: Dataset) -> list[DataElement]:
    found = []
    for tag in sorted(instance.keys()):
        with tag_in_exception(tag):  # pydicom makes the value here, which fails for a damaged one
            element = instance[tag]
        if element.VR == "SQ":
            found.append(element)
    return found


def _make_native(icon: Dataset, syntax: str) -> bool:
    """Decode one icon in place; False where that is impossible."""
    try:
        samples = decode_frame(get_frame(icon.PixelData, 0, number_of_frames=1), syntax, max_pixels=MAX_PIXELS)
    except SourceError:
        return False
    expected = (icon.get("Rows"), icon.get("Columns"))
    if samples.shape != expected or samples.itemsize * 8 != icon.get("BitsAllocated"):
        return False
    contents = np.ascontiguousarray(samples).tobytes()
    icon.PixelData = contents + b"\0" * (len(contents) % 2)
    icon["PixelData"].is_undefined_length = False
    icon["PixelData"].VR = "OW" if samples.itemsize == 2 else "OB"
    return True
