"""Mammograms in DICOM files: the stored values, which an archive would compress.

No VOI window and no rescale is applied: compression works on the stored values. The only change is that MONOCHROME1 is
inverted to the MONOCHROME2 sense. Of the header only the elements of an image are read (`dicom_header`), so that no
name, date or description is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder

import codec
from mammo_jax.sources.dicom_header import (
    check_kind,
    pydicom_errors,
    read_header,
    read_whole,
    shown_uid,
    transfer_syntax,
)
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.image_files import MAX_PIXELS, StoredImage, read_start
from mammo_jax.sources.jpeg_header import frame_header, missing_of_tile_parts
from mammo_jax.sources.mammogram import SourceError

_BY_PYDICOM = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.DeflatedExplicitVRLittleEndian: "",
    uid.RLELossless: "pydicom",
}
_BY_IMAGECODECS: dict[str, Callable[[bytes], np.ndarray]] = {
    uid.JPEGBaseline8Bit: imagecodecs.jpeg8_decode,
    uid.JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    uid.JPEGLossless: imagecodecs.jpeg8_decode,
    uid.JPEGLosslessSV1: imagecodecs.jpeg8_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEGLSNearLossless: imagecodecs.jpegls_decode,
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    uid.JPEG2000: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLossless: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLosslessRPCL: imagecodecs.jpeg2k_decode,
    uid.HTJ2K: imagecodecs.jpeg2k_decode,
}
READ_SYNTAXES = (*_BY_PYDICOM, *_BY_IMAGECODECS)
_JPEG_2000 = {uid.JPEG2000Lossless, uid.JPEG2000}
_JP2_SIGNATURE = b"jP  "  # the type of the first box, T.800 I.5.1
_HTJ2K = {uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
LOSSY_COMPRESSED = "01"  # Lossy Image Compression (0028,2110); once set, it is never reset
_LOSSY_SYNTAXES = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K}

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


def is_dicom(path: Path) -> bool:
    """Return whether a file has the DICOM prefix (PS3.10, section 7.1)."""
    return read_start(path, 132)[128:] == b"DICM"


def read_patient_id(path: Path, key: bytes) -> str | None:
    """Return the keyed hash of a file's PatientID, or None if it has none, without reading pixels."""
    with pydicom_errors(path):
        return _hashed_patient_id(_header(path), key)


def read_instance(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> tuple[Dataset, np.ndarray]:
    """Read a whole DICOM instance with its identifiers, and its stored pixel values.

    Returns
    -------
    instance : pydicom.Dataset
        Without PixelData. HighBit is that of the pixels returned.
    pixels : uint8 or uint16 array [rows, columns]
        The stored values; MONOCHROME1 is not inverted.

    Raises
    ------
    SourceError
        As `read_dicom`.
    """
    path = Path(path)
    with pydicom_errors(path):
        header = _header(path)
        check_kind(path, header, max_pixels)
        pixels = _stored_values(path, header)
        instance = read_whole(path, header.file_meta.TransferSyntaxUID)
        instance.HighBit = instance.BitsStored - 1  # where the pixels are now
        return instance, pixels


def read_dicom(path: Path | str, *, key: bytes | None = None, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """Read a single-frame, unsigned, 8- or 16-bit greyscale DICOM image.

    Parameters
    ----------
    path : path of a DICOM file
    key : key of `identifiers.load_key`; without it the result has no patient id
    max_pixels : largest rows × columns accepted

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
        pixels = _stored_values(path, header)
        if header.PhotometricInterpretation == "MONOCHROME1":
            pixels = pixels.dtype.type(2**header.BitsStored - 1) - pixels
        return StoredImage(
            pixels=pixels,
            bits_stored=int(header.BitsStored),
            pixel_pitch=_pixel_pitch(header),
            laterality=_laterality(header),
            view=_view(header),
            already_lossy=_is_already_lossy(header),
            patient_id=None if key is None else _hashed_patient_id(header, key),
        )


def _is_already_lossy(header: Dataset) -> bool:
    """Whether the attribute says so, or the way in which the file is compressed."""
    return (
        header.get("LossyImageCompression") == LOSSY_COMPRESSED or header.file_meta.TransferSyntaxUID in _LOSSY_SYNTAXES
    )


def _header(path: Path) -> Dataset:
    syntax = transfer_syntax(path)
    if syntax not in _BY_PYDICOM and syntax not in _BY_IMAGECODECS:
        raise SourceError(
            f"{path}: the transfer syntax {shown_uid(syntax)} is not supported; convert it to Explicit VR Little Endian"
        )
    return read_header(path, syntax)


def decode_frame(frame: bytes, syntax: str, *, max_pixels: int) -> np.ndarray:
    """Decode a greyscale frame that stands for itself, as an icon.

    Raises
    ------
    SourceError
        It is damaged, has colours or more pixels than `max_pixels`, or its transfer syntax is not supported.
    """
    coded = frame_header(frame)
    if syntax not in _BY_IMAGECODECS or coded is None or coded.components != 1:
        raise SourceError("the frame is none that can be decoded")
    if not 0 < coded.rows * coded.columns <= max_pixels:
        raise SourceError("the frame is too large")
    try:
        return _BY_IMAGECODECS[syntax](frame)
    except MemoryError:
        raise
    except Exception as error:  # imagecodecs has a class for each codec
        raise SourceError(f"the frame is damaged ({type(error).__name__})") from None


def _stored_values(path: Path, header: Dataset) -> np.ndarray:
    """Decode the samples to uint8 or uint16 [rows, columns], each below 2**BitsStored."""
    syntax = header.file_meta.TransferSyntaxUID
    dtype = np.dtype(f"u{header.BitsAllocated // 8}")
    if syntax in _BY_PYDICOM:
        samples = _decoded_by_pydicom(path, header, syntax)
        if samples.shape != (header.Rows, header.Columns):
            raise SourceError(f"{path}: PixelData does not hold one frame of Rows × Columns; export it again")
        return samples.astype(dtype)
    frame = get_frame(header.PixelData, 0, number_of_frames=1)
    if syntax in _JPEG_2000 | _HTJ2K:
        frame = _checked_codestream(path, frame)
    coded = frame_header(frame)
    if coded is None or coded.components != 1 or (coded.rows, coded.columns) != (header.Rows, header.Columns):
        raise SourceError(
            f"{path}: the compressed PixelData does not hold one greyscale frame of Rows × Columns; export it again"
        )
    samples = _BY_IMAGECODECS[syntax](frame)
    fits = samples.dtype.kind == "u" and int(samples.max()) < 2**header.BitsStored
    if not fits or samples.shape != (header.Rows, header.Columns):
        raise SourceError(
            f"{path}: the compressed PixelData does not decode to unsigned {header.BitsStored}-bit samples; "
            "export it again"
        )
    return samples.astype(dtype)


def _decoded_by_pydicom(path: Path, header: Dataset, syntax: uid.UID) -> np.ndarray:
    """Decode native and RLE samples. Other bits than those stored, where older files keep overlays, are cleared."""
    shift = header.get("HighBit", header.BitsStored - 1) + 1 - header.BitsStored
    decode = get_decoder(syntax).as_array
    if not shift:
        return decode(header, raw=True, decoding_plugin=_BY_PYDICOM[syntax])[0]
    # Left-justified. The decoder clears the bits above BitsStored, so it gets them all.
    stored = header.BitsStored
    header.BitsStored, header.HighBit = header.BitsAllocated, header.BitsAllocated - 1
    samples = decode(header, raw=True, decoding_plugin=_BY_PYDICOM[syntax])[0]
    header.BitsStored, header.HighBit = stored, stored - 1
    if (samples & (2**shift - 1)).any():
        raise SourceError(
            f"{path}: HighBit says that the lowest {shift} bits of each sample are unused, but they are not 0: either "
            f"HighBit is wrong, and should be BitsStored − 1 = {stored - 1}, or overlays are there; export it again"
        )
    return samples >> shift & (2**stored - 1)


def _checked_codestream(path: Path, frame: bytes) -> bytes:
    """Return the JPEG 2000 codestream of a frame, which is in a JP2 file in objects of some makers.

    Raises SourceError where it is damaged or ends early, which OpenJPEG may pass over. Of HTJ2K, and of other kinds
    that our decoder does not read, only the markers are checked: that every tile-part is there as long as it says.
    """
    codestream = codec.unwrap_jp2(frame) if frame[4:8] == _JP2_SIGNATURE else frame
    try:
        codec.check_codestream(codestream)
    except codec.UnsupportedCodestreamError:
        missing = missing_of_tile_parts(codestream)
        if missing:
            raise SourceError(f"{path}: the JPEG 2000 PixelData are not whole ({missing}); export it again") from None
    except codec.LimitError as error:
        raise SourceError(f"{path}: the JPEG 2000 PixelData need too much memory ({error})") from None
    except codec.CodestreamError as error:
        raise SourceError(f"{path}: the JPEG 2000 PixelData are not whole ({error}); export it again") from None
    return codestream


def _hashed_patient_id(header: Dataset, key: bytes) -> str | None:
    patient_id = str(header.get("PatientID") or "").strip()
    return keyed_hash(patient_id, key, "patient") if patient_id else None


def _pixel_pitch(header: Dataset) -> float | None:
    spacing = header.get("ImagerPixelSpacing") or header.get("PixelSpacing")
    if not spacing or len(spacing) != 2:
        return None
    rows, columns = (float(value) for value in spacing)
    usable = 0 < rows < math.inf and math.isclose(rows, columns, rel_tol=1e-3)
    return rows if usable else None


def _laterality(header: Dataset) -> Literal["L", "R"] | None:
    value = header.get("ImageLaterality") or header.get("Laterality")
    return value if value in ("L", "R") else None


def _view(header: Dataset) -> str | None:
    codes = header.get("ViewCodeSequence")
    if codes and (view := _VIEW_CODES.get(codes[0].get("CodeValue", ""))):
        return view
    position = header.get("ViewPosition")
    return position if position in _VIEW_CODES.values() else None
