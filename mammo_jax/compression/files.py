"""Compress files to exact ratios: DICOM to DICOM; PNG, TIFF and PGM to JPEG 2000; and a table of their sizes.

Results keep the names of their input files, and so does the table, unless names are hashed there. Patients are known by
keyed hashes only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

import codec
from codec.ratio import bits_per_pixel, exact_ratio, image_bytes, ratio_of
from mammo_jax.compression.deidentify import deidentify
from mammo_jax.compression.dicom import compressed_instance, write_instance
from mammo_jax.compression.image_quality import psnr
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.files import atomic_path, sha256_file
from mammo_jax.ratios import split_name
from mammo_jax.sources.dicom import is_dicom, read_instance
from mammo_jax.sources.dicom_header import pydicom_errors
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.image_files import read_image

COLUMNS = (
    "image_id", "path", "patient_id", "sop_instance_uid", "new_sop_instance_uid", "input_version", "ratio", "layer",
    "burned_in_annotation", "rows", "columns", "bits_allocated", "bits_stored", "codestream_bytes", "header_bytes",
    "padding_bytes", "file_bytes", "file_sha256", "ratio_allocated", "ratio_stored", "bits_per_pixel", "psnr",
)  # fmt: skip
MAX_BITS = 16


@dataclass(frozen=True)
class CompressionPlan:
    """How files are compressed, and where the results go.

    Attributes
    ----------
    out : Path
        Folder of the results. Several ratios have a folder each in it, unless they are layers.
    ratios : tuple of float
    layers : bool
        Write one codestream with a quality layer for each ratio.
    lossless : bool
        Write one lossless codestream, whose first layers are the ratios.
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed size counts.
    bits_stored : int or None
        Of PNG and TIFF files, which do not say; None stands for all bits allocated.
    jp2 : bool
        Write JP2 files instead of bare codestreams. In DICOM a codestream is always bare.
    key : bytes or None
        Key of the hashed ids; None keeps file names and patient ids as they are.
    hashed_names : bool
        Whether the tables have hashes, made with the key, in place of paths and SOP Instance UIDs.
    deidentified : bool
        Take the identity out of DICOM objects: `mammo_jax.compression.deidentify`. With hashed names, the results have
        them too.
    """

    out: Path
    ratios: tuple[float, ...] = ()
    layers: bool = False
    lossless: bool = False
    reference: str = "allocated"
    bits_stored: int | None = None
    jp2: bool = False
    key: bytes | None = None
    hashed_names: bool = False
    deidentified: bool = False

    def __post_init__(self) -> None:
        """Raise `CompressionError` or `codec.InvalidRatioError` for invalid or contradictory settings."""
        for ratio in self.ratios:
            exact_ratio(ratio)
        if len(set(self.ratios)) < len(self.ratios):
            raise CompressionError("ratios: write each once")
        if not self.ratios and (self.layers or not self.lossless):
            raise CompressionError("ratios: write at least one, or ask for lossless files alone")
        if self.ratios and self.lossless and not self.layers:
            raise CompressionError("lossless: files with ratios in them too need --layers")
        if self.bits_stored is not None and not 1 <= self.bits_stored <= MAX_BITS:
            raise CompressionError(f"bits_stored={self.bits_stored}: must be from 1 to {MAX_BITS}")
        if self.hashed_names and self.key is None:
            raise CompressionError(
                "hashed_names: names are hashed with the key of the ids, which --plain-ids leaves out"
            )
        if self.deidentified and self.key is None:
            raise CompressionError("deidentify: ids are hashed with the key of the ids, which --plain-ids leaves out")

    def name(self, text: str, kind: str = "image") -> str:
        """A path relative to its input, or a UID (kind "uid"), as the tables have it."""
        return identifier(text, self.key if self.hashed_names else None, kind)

    def hide(self, message: str, path: Path, name: str) -> str:
        """A message about a file with its name in the tables in place of its path, which may identify the patient."""
        return shown(message.removeprefix(f"{path}: ").replace(str(path), name))

    @property
    def rows_per_file(self) -> int:
        """Rows of each file in the table of sizes."""
        return len(self.ratios) + self.lossless

    @property
    def folders(self) -> dict[float | None, Path]:
        """Folder of the results by ratio, or by None where one codestream holds all ratios."""
        if self.layers or self.lossless:
            return {None: self.out}
        return {ratio: self.out / split_name(ratio) if len(self.ratios) > 1 else self.out for ratio in self.ratios}


@dataclass(frozen=True)
class _Result:
    """A codestream, its folder, whether it is lossless, and its rows in the table of sizes, not yet complete."""

    folder: Path
    codestream: bytes
    lossless: bool
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class InputFile:
    """A file to compress.

    Attributes
    ----------
    path : Path
    result : Path
        Path of its result below the folder of a ratio.
    image_id : str
        Its id in the tables.
    version : str
        Changes with the file's size or modification time. (Hashed with the key of the ids too, because that time may
        reveal a patient's visit.)
    name : str
        Its path relative to the input, as the tables have it: `CompressionPlan.name`.
    """

    path: Path
    result: Path
    image_id: str
    version: str
    name: str


def identifier(text: str, key: bytes | None, kind: str) -> str:
    """Hash of a name, or the name itself if there is no key."""
    return shown(text) if key is None else keyed_hash(shown(text), key, kind)


def shown(text: str) -> str:
    r"""Text in one line of valid UTF-8: file names and damaged headers may hold anything; as in "a\nb", "\udcff"."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def compress_file(plan: CompressionPlan, file: InputFile) -> list[dict[str, Any]]:
    """Compress one file, and return its rows of the table of sizes, one for each ratio or layer.

    Raises
    ------
    SourceError, codec.CodecError
        The file cannot be read, or cannot be compressed to one of the ratios.
    """
    instance: Dataset | None = None
    pitch = None
    patient = old_uid = burned_in = ""
    if is_dicom(file.path):
        instance, pixels = read_instance(file.path)
        with pydicom_errors(file.path):  # values are made of bytes here
            bits = int(instance.BitsStored)
            patient, old_uid = (str(instance.get(name) or "") for name in ("PatientID", "SOPInstanceUID"))
            burned_in = instance.get("BurnedInAnnotation")
            if plan.deidentified and plan.key is not None:
                deidentify(instance, plan.key)
    else:
        stored = read_image(file.path)
        pixels, pitch = stored.pixels, stored.pixel_pitch
        bits = stored.bits_stored or (8 if pixels.itemsize == 1 else plan.bits_stored or 16)
    ids = {
        "image_id": file.image_id,
        "path": file.name,
        "patient_id": identifier(patient, plan.key, "patient") if patient else "",
        "sop_instance_uid": plan.name(old_uid, "uid") if old_uid else "",
        "input_version": file.version,
        "burned_in_annotation": burned_in if burned_in in ("YES", "NO") else "",
    }
    rows = []
    for result in (_in_layers if plan.layers or plan.lossless else _one_by_one)(plan, pixels, bits):
        path = result.folder / file.result
        new_uid = ""
        if instance:
            ratio = ratio_of(image_bytes(pixels, bits), len(result.codestream))
            compressed = compressed_instance(instance, result.codestream, lossless=result.lossless, ratio=ratio)
            new_uid = plan.name(compressed.SOPInstanceUID, "uid")
            write_instance(path, compressed)
        else:
            contents = codec.wrap_jp2(result.codestream, pixel_pitch=pitch) if plan.jp2 else result.codestream
            with atomic_path(path) as temporary:
                temporary.write_bytes(contents)
        of_file = {"file_bytes": path.stat().st_size, "file_sha256": sha256_file(path), "new_sop_instance_uid": new_uid}
        rows += [ids | row | of_file for row in result.rows]
    return rows


def _one_by_one(plan: CompressionPlan, pixels: np.ndarray, bits: int) -> Iterator[_Result]:
    for encoded in codec.encode_ladder(pixels, plan.ratios, bits_stored=bits, reference=plan.reference):
        assert encoded.reconstruction is not None  # encode_ladder always returns one
        row = _row(pixels, bits, len(encoded.codestream), encoded.reconstruction) | {
            "ratio": encoded.ratio,
            "header_bytes": encoded.header_bytes,
            "padding_bytes": encoded.padding_bytes,
        }
        yield _Result(plan.folders[encoded.ratio], encoded.codestream, False, [row])


def _in_layers(plan: CompressionPlan, pixels: np.ndarray, bits: int) -> Iterator[_Result]:
    encoded = codec.encode_layers(
        pixels, plan.ratios, bits_stored=bits, reference=plan.reference, lossless=plan.lossless
    )
    rows = []
    for number, size in enumerate(encoded.layer_bytes, 1):
        decoded = codec.decode(encoded.codestream, layers=number, max_pixels=pixels.size)
        rows.append(
            _row(pixels, bits, size, decoded.astype(pixels.dtype))
            | {
                "ratio": encoded.ratios[number - 1] if number <= len(encoded.ratios) else "",
                "layer": number,
                "header_bytes": encoded.header_bytes[number - 1],
                "padding_bytes": encoded.padding_bytes[number - 1],
            }
        )
    yield _Result(plan.folders[None], encoded.codestream, plan.lossless, rows)


def _row(pixels: np.ndarray, bits: int, size: int, decoded: np.ndarray) -> dict[str, Any]:
    """Columns that describe a codestream, or its first layers, of `size` bytes."""
    return {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "bits_allocated": 8 * pixels.itemsize,
        "bits_stored": bits,
        "codestream_bytes": size,
        "ratio_allocated": ratio_of(image_bytes(pixels, bits), size),
        "ratio_stored": ratio_of(image_bytes(pixels, bits, "stored"), size),
        "bits_per_pixel": bits_per_pixel(size, pixels.size),
        "psnr": psnr(pixels, decoded, bits),
    }
