"""Compressing files to exact ratios: DICOM to DICOM, PNG, TIFF and PGM to JPEG 2000, and a table of their sizes.

Results keep the names of the files they come from; the tables know images and patients by keyed hashes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

import codec
from codec.ratio import target_bytes
from mammo_jax.compressed_dicom import compressed_instance, write_instance
from mammo_jax.compression import CompressionError
from mammo_jax.files import atomic_path
from mammo_jax.image_quality import psnr
from mammo_jax.ratios import split_name
from mammo_jax.sources.dicom import is_dicom, read_instance
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.image_files import read_image

COLUMNS = (
    "image_id", "patient_id", "ratio", "rows", "columns", "bits_allocated", "bits_stored", "target_bytes",
    "codestream_bytes", "header_bytes", "padding_bytes", "file_bytes", "ratio_allocated", "ratio_stored",
    "bits_per_pixel", "psnr",
)  # fmt: skip


@dataclass(frozen=True)
class CompressionPlan:
    """How files are compressed, and where the results go.

    Attributes
    ----------
    out : Path
        The results' folder; with several ratios each has a folder of its own there.
    ratios : tuple of float
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed size counts.
    bits_stored : int or None
        Of PNG and TIFF files, which do not tell; None takes all that are allocated.
    jp2 : bool
        Write JP2 files instead of bare codestreams. In DICOM a codestream is always bare.
    key : bytes or None
        Key of the ids' hashes; None keeps file names and patient ids as they are.
    """

    out: Path
    ratios: tuple[float, ...]
    reference: str = "allocated"
    bits_stored: int | None = None
    jp2: bool = False
    key: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse ratios that mean nothing."""
        for ratio in self.ratios:
            target_bytes(0, ratio)
        if not self.ratios or len(set(self.ratios)) < len(self.ratios):
            raise CompressionError("ratios: write at least one, and each once")

    def folder(self, ratio: float) -> Path:
        """Where the results of a ratio go."""
        return self.out / split_name(ratio) if len(self.ratios) > 1 else self.out


@dataclass(frozen=True)
class InputFile:
    """A file to compress: its path, its result's path below the folder of a ratio, and its id in the tables."""

    path: Path
    result: Path
    image_id: str


def identifier(text: str, key: bytes | None, kind: str) -> str:
    """Hash a name; without a key it stays as it is."""
    return text if key is None else keyed_hash(text, key, kind)


def compress_file(plan: CompressionPlan, file: InputFile) -> list[dict[str, Any]]:
    """Compress one file to every ratio; returns one row of the table of sizes for each.

    Raises
    ------
    SourceError, codec.CodecError
        The file cannot be read, or not be compressed so far.
    """
    instance: Dataset | None = None
    pitch = None
    if is_dicom(file.path):
        instance, pixels = read_instance(file.path)
        bits = int(instance.BitsStored)
    else:
        stored = read_image(file.path)
        pixels, pitch = stored.pixels, stored.pixel_pitch
        bits = stored.bits_stored or (8 if pixels.itemsize == 1 else plan.bits_stored or 16)
    patient = str(instance.get("PatientID") or "") if instance else ""
    who = {"image_id": file.image_id, "patient_id": identifier(patient, plan.key, "patient") if patient else ""}
    rows = []
    for encoded in codec.encode_ladder(pixels, plan.ratios, bits_stored=bits, reference=plan.reference):
        path = plan.folder(encoded.ratio) / file.result
        if instance:
            ratio = encoded.ratio_allocated
            write_instance(path, compressed_instance(instance, encoded.codestream, lossless=False, ratio=ratio))
        else:
            contents = codec.wrap_jp2(encoded.codestream, pixel_pitch=pitch) if plan.jp2 else encoded.codestream
            with atomic_path(path) as temporary:
                temporary.write_bytes(contents)
        rows.append(who | _row(pixels, encoded, path.stat().st_size))
    return rows


def _row(pixels: np.ndarray, encoded: codec.Encoded, file_bytes: int) -> dict[str, Any]:
    assert encoded.reconstruction is not None  # the ladder always brings one
    size = len(encoded.codestream)
    return {
        "ratio": encoded.ratio,
        "rows": encoded.rows,
        "columns": encoded.columns,
        "bits_allocated": encoded.bits_allocated,
        "bits_stored": encoded.bits_stored,
        "target_bytes": encoded.target_bytes,
        "codestream_bytes": size,
        "header_bytes": encoded.header_bytes,
        "padding_bytes": encoded.padding_bytes,
        "file_bytes": file_bytes,
        "ratio_allocated": encoded.ratio_allocated,
        "ratio_stored": encoded.ratio_stored,
        "bits_per_pixel": 8 * size / pixels.size,
        "psnr": psnr(pixels, encoded.reconstruction, encoded.bits_stored),
    }
