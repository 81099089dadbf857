"""Mammograms in DICOM files: the stored values, which an archive would compress.

No VOI window and no rescale is applied: compression works on the stored values. The only change is that MONOCHROME1 is
inverted to the MONOCHROME2 sense. Of the header only the elements of an image are read (`dicom_header`), so that no
name, date or description is loaded.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydicom import Dataset, uid

from mammo_jax.sources.dicom_frames import JPEG_XL, JPEG_XL_RECOMPRESSION, Frames, is_decodable
from mammo_jax.sources.dicom_header import (
    check_kind,
    pydicom_errors,
    read_header,
    read_whole,
    shown_uid,
    transfer_syntax,
)
from mammo_jax.sources.dicom_structure import has_dicom_start
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.image_files import MAX_PIXELS, StoredImage, read_start
from mammo_jax.sources.mammogram import SourceError

LOSSY_COMPRESSED = "01"  # Lossy Image Compression (0028,2110); once set, it is never reset
_LOSSY_SYNTAXES = {
    uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K,
    JPEG_XL_RECOMPRESSION, JPEG_XL,
}  # fmt: skip

# PS3.16 CID 4014 "View for Mammography": SNOMED CT and the older SNOMED RT codes, with the abbreviations given there.
_VIEW_CODES = {
    "399162004": "CC", "R-10242": "CC",
    "399368009": "MLO", "R-10226": "MLO",
    "399260004": "ML", "R-10224": "ML",
    "399352003": "LM", "R-10228": "LM",
    "399099002": "LMO", "R-10230": "LMO",
    "399196006": "FB", "R-10244": "FB",
    "399188001": "SIO", "R-102D0": "SIO",
    "441555000": "ISO", "R-40AAA": "ISO",
    "399192008": "XCCL", "R-1024A": "XCCL",
    "399101009": "XCCM", "R-1024B": "XCCM",
}  # fmt: skip

PROCESSING, PRESENTATION = "FOR PROCESSING", "FOR PRESENTATION"
INTENTS = (PROCESSING, PRESENTATION)  # Presentation Intent Type (0008,0068), PS3.3 C.8.11.1
FrameChoice = Literal["central", "mip"] | int


class SeriesFacts(NamedTuple):
    """What a file is meant for, one of `INTENTS` or None where it does not say, and its number of frames."""

    intent: str | None
    frames: int


def is_dicom(path: Path) -> bool:
    """Return whether a file has the DICOM prefix (PS3.10, section 7.1), or begins as one of an image without it."""
    return has_dicom_start(read_start(path, 132))


def read_patient_id(path: Path, key: bytes) -> str | None:
    """Return the keyed hash of a file's PatientID, or None if it has none, without reading pixels."""
    with pydicom_errors(path):
        return hashed_patient_id(_header(path), key)


def read_side(path: Path) -> tuple[Literal["L", "R"] | None, str | None]:
    """Return laterality and view of a file, None where its header does not say, without reading pixels."""
    with pydicom_errors(path):
        header = _header(path)
        return laterality(header), view(header)


def read_instance(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> tuple[Dataset, Frames]:
    """Read a whole DICOM instance with its identifiers, and open its frames.

    Parameters
    ----------
    path : path of a DICOM file
    max_pixels : largest rows × columns accepted

    Returns
    -------
    instance : pydicom.Dataset
        Without PixelData. HighBit is that of the pixels returned.
    frames : Frames
        The stored values of each frame; MONOCHROME1 is not inverted.

    Raises
    ------
    SourceError
        As `read_dicom`.
    """
    path = Path(path)
    with pydicom_errors(path):
        header = _header(path)
        check_kind(path, header, max_pixels)
        frames = Frames(path, header)
        instance = read_whole(path, header.file_meta.TransferSyntaxUID)
        instance.HighBit = instance.BitsStored - 1  # where the pixels are now
        return instance, frames


def read_dicom(
    path: Path | str, *, key: bytes | None = None, max_pixels: int = MAX_PIXELS, frame: FrameChoice = "central"
) -> StoredImage:
    """Read an unsigned, 8- or 16-bit greyscale DICOM image, or one image of a multi-frame object.

    Parameters
    ----------
    path : path of a DICOM file
    key : key of `identifiers.load_key`; without it the result has no patient id
    max_pixels : largest rows × columns accepted
    frame : which one of several: the central one, the maximum-intensity projection of all ("mip"), or a number from 0

    Returns
    -------
    StoredImage
        `pixels` in the MONOCHROME2 sense, without overlays in the bits above BitsStored; `pixel_pitch`
        in mm from ImagerPixelSpacing, else PixelSpacing, None if it is missing or not square.

    Raises
    ------
    SourceError
        The file is damaged, too large, or not supported; the message names the element.
    """
    path = Path(path)
    with pydicom_errors(path):
        header = _header(path)
        check_kind(path, header, max_pixels)
        inverted = header.PhotometricInterpretation == "MONOCHROME1"
        pixels = _chosen(Frames(path, header), frame, darkest_is_largest=inverted)
        padding = padding_range(header)
        if inverted:
            largest = 2**header.BitsStored - 1
            pixels = pixels.dtype.type(largest) - pixels
            padding = padding and (largest - padding[1], largest - padding[0])
        return StoredImage(
            pixels=pixels,
            bits_stored=int(header.BitsStored),
            pixel_pitch=_pixel_pitch(header),
            laterality=laterality(header),
            view=view(header),
            already_lossy=is_already_lossy(header),
            padding_range=padding,
            patient_id=None if key is None else hashed_patient_id(header, key),
        )


def _chosen(frames: Frames, frame: FrameChoice, *, darkest_is_largest: bool) -> np.ndarray:
    """One frame, or the brightest of all frames' values at each pixel."""
    if frame == "central":
        return frames[len(frames) // 2]
    if frame != "mip":
        return frames[frame]
    brightest = np.minimum if darkest_is_largest else np.maximum
    projection = frames[0]
    for number in range(1, len(frames)):
        projection = brightest(projection, frames[number])
    return projection


def padding_range(header: Dataset) -> tuple[int, int] | None:
    """Return the smallest and largest of the stored values that are padding (PS3.3 C.7.5.1.1.2), or None."""
    value = header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = header.get("PixelPaddingRangeLimit")
    ends = (value, limit if isinstance(limit, int) else value)
    smallest, largest = max(min(ends), 0), min(max(ends), 2**header.BitsStored - 1)
    return (smallest, largest) if smallest <= largest else None


def read_series_facts(path: Path) -> SeriesFacts:
    """Read what decides which images may be together in a study, and how many a file has, without reading pixels.

    Raises
    ------
    SourceError
        As `read_dicom`.
    """
    with pydicom_errors(path):
        header = _header(path)
        intent = header.get("PresentationIntentType") or shown_uid(header.get("SOPClassUID"))
        words = str(intent).upper()
        known = next((known for known in INTENTS if words.endswith(known)), None)
        return SeriesFacts(known, int(header.get("NumberOfFrames") or 1))


def is_already_lossy(header: Dataset) -> bool:
    """Return whether the attribute says so, or the way in which the file is compressed."""
    return (
        header.get("LossyImageCompression") == LOSSY_COMPRESSED or header.file_meta.TransferSyntaxUID in _LOSSY_SYNTAXES
    )


def _header(path: Path) -> Dataset:
    syntax = transfer_syntax(path)
    check_syntax(path, syntax)
    return read_header(path, syntax)


def check_syntax(path: Path, syntax: str) -> None:
    """Raise SourceError for a transfer syntax that no decoder here reads."""
    if not is_decodable(syntax):
        raise SourceError(
            f"{path}: the transfer syntax {shown_uid(syntax)} is not supported; convert it to Explicit VR Little Endian"
        )


def hashed_patient_id(header: Dataset, key: bytes) -> str | None:
    """Return the keyed hash of PatientID, or None without one."""
    patient_id = str(header.get("PatientID") or "").strip()
    return keyed_hash(patient_id, key, "patient") if patient_id else None


def _pixel_pitch(header: Dataset) -> float | None:
    spacing = header.get("ImagerPixelSpacing") or header.get("PixelSpacing")
    if not spacing or len(spacing) != 2:
        return None
    rows, columns = (float(value) for value in spacing)
    usable = 0 < rows < math.inf and math.isclose(rows, columns, rel_tol=1e-3)
    return rows if usable else None


def laterality(header: Dataset) -> Literal["L", "R"] | None:
    """Return the breast's side."""
    value = header.get("ImageLaterality") or header.get("Laterality")
    return value if value in ("L", "R") else None


def view(header: Dataset) -> str | None:
    """Return the view's abbreviation in CID 4014 of PS3.16, or None for another."""
    codes = header.get("ViewCodeSequence")
    if codes and (view := _VIEW_CODES.get(codes[0].get("CodeValue", ""))):
        return view
    position = header.get("ViewPosition")
    return position if position in _VIEW_CODES.values() else None
