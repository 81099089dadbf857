"""One file as one row of the table: what its header says, and whether it would be left out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydicom import Dataset
from pydicom.config import disable_value_validation

import codec
from mammo_jax.compression.dicom import check_convertible
from mammo_jax.compression.overlays import OVERLAY_GROUPS
from mammo_jax.compression.plan import identifier, shown
from mammo_jax.scan import terms
from mammo_jax.sources.dicom import INTENTS, hashed_patient_id, is_already_lossy, is_dicom, laterality, read_dicom, view
from mammo_jax.sources.header_only import HeaderOnly, PixelBytes, element_tags, read_header_only
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.image_files import read_image, read_image_header
from mammo_jax.sources.mammogram import SourceError

Check = Literal["headers", "pixels"]
COLUMNS = (
    "image_id", "path", "input_version", "checked", "kind", "file_bytes", "patient_id", "study_id", "series_id",
    "instance_id", "sop_class", "modality", "vendor", "intent", "laterality", "view", "rows", "columns", "frames",
    "photometric", "bits_allocated", "bits_stored", "transfer_syntax", "already_lossy", "lossy_ratios",
    "lossy_methods", "missing_bytes", "pixels_hash", "hash_of", "left_out_of", "left_out",
)  # fmt: skip
DICOM, OTHER_FILE = "DICOM", "other"
BOTH, COMPRESS = "compress, study", "compress"
PART_BYTES = 2**16
WHOLE, PART, PIXELS = "bytes", "part", "pixels"  # of what pixels_hash is the hash
_TAGS = element_tags((
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Manufacturer",
    "PresentationIntentType", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    *((group, 0x0102) for group in OVERLAY_GROUPS),
))  # fmt: skip


@dataclass(frozen=True)
class ScannedFile:
    """A file to scan.

    Attributes
    ----------
    path : Path
    image_id : str
        Keyed hash of its path below the folder, as in the tables of `compress`.
    name : str
        Its path below the folder as the table has it.
    version : str
        Changes with the file's size or modification time.
    size : int
        Bytes.
    problem : str or None
        Why it must not be opened.
    """

    path: Path
    image_id: str
    name: str
    version: str
    size: int
    problem: str | None = None


def describe(file: ScannedFile, key: bytes, check: Check) -> dict[str, Any]:
    """Return the row of a file; whatever its content is, there is one.

    Parameters
    ----------
    file : ScannedFile
    key : bytes
        Of the hashed ids.
    check : {"headers", "pixels"}
        Whether the pixels are decoded too.
    """
    row = row_without_facts(file, check, "")
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")  # of pydicom and Pillow, and quotes what is in the file
        try:
            if file.problem:
                raise SourceError(file.problem)
            _describe(file, key, check, row)
        except (SourceError, codec.CodecError) as error:
            reason = str(error).removeprefix(f"{file.path}: ").replace(str(file.path), file.image_id)
            row |= {"left_out": shown(reason), "left_out_of": row["left_out_of"] or BOTH}
        except MemoryError:
            raise  # `results_within_limits` says how much there was
        except Exception as error:  # no file can stop the scan
            row |= {"left_out": f"cannot be read ({type(error).__name__}); export it again", "left_out_of": BOTH}
    return row


def row_without_facts(file: ScannedFile, check: Check, reason: str) -> dict[str, Any]:
    """Return the row of a file of which nothing is known but why it would be left out."""
    return dict.fromkeys(COLUMNS, "") | {
        "image_id": file.image_id, "path": file.name, "input_version": file.version, "checked": check,
        "kind": OTHER_FILE, "file_bytes": file.size, "left_out_of": BOTH if reason else "", "left_out": reason,
    }  # fmt: skip


def _describe(file: ScannedFile, key: bytes, check: Check, row: dict[str, Any]) -> None:
    """Fill the row; raise what compress or study would raise."""
    if is_dicom(file.path):
        row["kind"] = DICOM
        header = read_header_only(file.path, _TAGS)
        row |= _dicom_facts(header, key)
        if header.pixel_bytes and (header.problem or check == "headers"):
            shape = [row[name] for name in ("rows", "columns", "bits_allocated")]
            row |= _hash_of_part(file.path, header.pixel_bytes, (_is_encapsulated(header), *shape), key)
        if header.problem:
            raise header.problem
        if check == "pixels":
            row |= _hash_of_pixels(read_dicom(file.path).pixels, key)
        row["left_out_of"] = COMPRESS
        check_convertible(header.elements)
        row["left_out_of"] = ""
        return
    image = read_image_header(file.path)
    row |= {
        "kind": image.kind, "rows": image.rows, "columns": image.columns, "frames": 1,
        "bits_allocated": image.bits_allocated, "bits_stored": image.bits_stored or "",
        "already_lossy": _yes(image.already_lossy),
    }  # fmt: skip
    if check == "pixels":
        row |= _hash_of_pixels(read_image(file.path).pixels, key)
    else:
        row |= _hash_of_part(file.path, PixelBytes(0, file.size), (image.kind,), key)


def _dicom_facts(header: HeaderOnly, key: bytes) -> dict[str, Any]:
    """Return the facts of a DICOM header, each "" where it is missing or damaged."""
    elements = header.elements
    facts: Mapping[str, Callable[[], Any]] = {
        "patient_id": lambda: hashed_patient_id(elements, key) or "",
        "study_id": lambda: _hashed_uid(elements, "StudyInstanceUID", key),
        "series_id": lambda: _hashed_uid(elements, "SeriesInstanceUID", key),
        "instance_id": lambda: _hashed_uid(elements, "SOPInstanceUID", key),
        "sop_class": lambda: terms.uid_name(elements.get("SOPClassUID")),
        "modality": lambda: terms.term(elements.get("Modality"), terms.MODALITIES),
        "vendor": lambda: terms.vendor(elements.get("Manufacturer")),
        "intent": lambda: terms.term(elements.get("PresentationIntentType"), INTENTS),
        "laterality": lambda: laterality(elements) or "",
        "view": lambda: view(elements) or "",
        "photometric": lambda: terms.term(elements.get("PhotometricInterpretation"), terms.PHOTOMETRIC),
        "rows": lambda: int(elements.Rows),
        "columns": lambda: int(elements.Columns),
        "frames": lambda: int(elements.get("NumberOfFrames") or 1),
        "bits_allocated": lambda: int(elements.BitsAllocated),
        "bits_stored": lambda: int(elements.BitsStored),
        "transfer_syntax": lambda: terms.uid_name(header.syntax),
        "already_lossy": lambda: _yes(is_already_lossy(elements)),
        "lossy_ratios": lambda: " ".join(
            f"{float(ratio):g}" for ratio in _values(elements, "LossyImageCompressionRatio")
        ),
        "lossy_methods": lambda: " ".join(
            terms.term(method, terms.LOSSY_METHODS) for method in _values(elements, "LossyImageCompressionMethod")
        ),
        "missing_bytes": lambda: (header.pixel_bytes and header.pixel_bytes.missing) or "",
    }
    return {name: _value(fact) for name, fact in facts.items()}


def _value(fact: Callable[[], Any]) -> Any:
    """Return a fact, or "" if it cannot be had: a value of a damaged header can raise nearly any exception."""
    try:
        return fact()
    except Exception:
        return ""


def _hashed_uid(elements: Dataset, keyword: str, key: bytes) -> str:
    """Return the same hash as compress has for hashed names."""
    value = str(elements.get(keyword) or "")
    return identifier(value, key, "uid") if value.strip() else ""


def _values(elements: Dataset, keyword: str) -> list[Any]:
    value = elements.get(keyword)
    if value in (None, ""):
        return []
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _is_encapsulated(header: HeaderOnly) -> bool:
    return header.syntax.is_transfer_syntax and not header.syntax.is_private and header.syntax.is_encapsulated


def whole_hash(file: ScannedFile) -> str:
    """Hash all bytes of the pixel data of a DICOM file, or of another file; "" if it cannot be read any more."""
    try:
        if not is_dicom(file.path):
            return hash_of_bytes(file.path, PixelBytes(0, file.size))
        place = read_header_only(file.path, element_tags()).pixel_bytes
        return hash_of_bytes(file.path, place) if place else ""
    except (SourceError, OSError):
        return ""


def _hash_of_part(path: Path, place: PixelBytes, more: tuple[Any, ...], key: bytes) -> dict[str, str]:
    """Hash the middle of the pixel data, where the breast is; files that differ there cannot be equal."""
    first = place.start + max(place.length - PART_BYTES, 0) // 2
    digest = hash_of_bytes(path, PixelBytes(first, min(place.length, PART_BYTES)))
    text = " ".join(map(str, (*more, place.length, digest)))
    return {"pixels_hash": keyed_hash(text, key, "pixels"), "hash_of": WHOLE if place.length <= PART_BYTES else PART}


def hash_of_bytes(path: Path, place: PixelBytes) -> str:
    """Return the SHA-256 of a part of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(place.start)
        remaining = place.length
        while remaining and (data := stream.read(min(remaining, 2**20))):
            digest.update(data)
            remaining -= len(data)
    return digest.hexdigest()


def _hash_of_pixels(pixels: np.ndarray, key: bytes) -> dict[str, str]:
    """Hash decoded pixels as 16-bit values, so that equal images of any format and bits allocated are found."""
    digest = hashlib.sha256(pixels.astype("<u2").data).hexdigest()
    rows, columns = pixels.shape
    return {"pixels_hash": keyed_hash(f"{rows} {columns} {digest}", key, "pixels"), "hash_of": PIXELS}
