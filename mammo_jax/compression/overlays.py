"""Overlays in unused bits of the pixels, a retired way to store them: they become Overlay Data (PS3.3 C.9.2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread, uid

from mammo_jax.sources.dicom_header import pydicom_errors
from mammo_jax.sources.mammogram import SourceError

NATIVE = {
    uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian,
}  # fmt: skip
OVERLAY_GROUPS = range(0x6000, 0x6020, 2)  # PS3.5 7.6


def groups_in_pixels(instance: Dataset) -> list[int]:
    """Groups of the overlays whose Overlay Bit Position (60xx,0102) says that they are in the pixels."""
    return [group for group in OVERLAY_GROUPS if (group, 0x0102) in instance and instance[group, 0x0102].value]


def move_out_of_pixels(instance: Dataset, path: Path) -> None:
    """Move overlays from unused bits of the pixels to Overlay Data (60xx,3000), in place.

    Parameters
    ----------
    instance : pydicom.Dataset
        Without PixelData, as from `mammo_jax.sources.dicom.read_instance`.
    path : Path
        The file that it comes from, with native pixels.

    Raises
    ------
    SourceError
        The pixels are not those of one frame, or an overlay is not as large as the image.
    """
    groups = groups_in_pixels(instance)
    if not groups:
        return
    with pydicom_errors(path):
        whole = dcmread(path, specific_tags=["PixelData", "BitsAllocated"])
        order = "<" if whole.original_encoding[1] else ">"
        words = np.frombuffer(whole.PixelData, f"{order}u{whole.BitsAllocated // 8}")
    pixels = int(instance.Rows) * int(instance.Columns)
    for group in groups:
        size = [instance[group, element].value if (group, element) in instance else None for element in (0x10, 0x11)]
        position = instance[group, 0x0102].value
        if words.size < pixels or size != [instance.Rows, instance.Columns] or position >= 8 * words.itemsize:
            raise SourceError("says that an overlay is in unused bits of its pixels, but it does not fit them")
        packed = np.packbits(words[:pixels] >> position & 1, bitorder="little").tobytes()  # PS3.5 8.1.2
        data = packed + b"\0" * (len(packed) % 2)
        # The words of big-endian objects are swapped when these are written.
        value = data if order == "<" else np.frombuffer(data, "<u2").astype(">u2").tobytes()
        instance.add_new((group, 0x3000), "OW", value)
        instance[group, 0x0100].value, instance[group, 0x0102].value = 1, 0
