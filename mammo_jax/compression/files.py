"""Compress files to ratios: DICOM to DICOM; PNG, TIFF and PGM to codestreams; and a table of their sizes.

Results keep the names of their input files, and so does the table, unless names are hashed there. Patients are known by
keyed hashes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

import codec
from mammo_jax.compression.deidentify import deidentify
from mammo_jax.compression.dicom import compressed_instance, write_instance
from mammo_jax.compression.frames import CompressedFrames, compressed_frames
from mammo_jax.compression.overlays import move_out_of_pixels
from mammo_jax.compression.padding_range import set_padding_range
from mammo_jax.compression.plan import CompressionPlan, identifier
from mammo_jax.files import atomic_path, sha256_file
from mammo_jax.sources.dicom import is_dicom, padding_range, read_instance
from mammo_jax.sources.dicom_header import pydicom_errors
from mammo_jax.sources.image_files import bits_of, read_image

COLUMNS = (
    "image_id", "path", "patient_id", "sop_instance_uid", "new_sop_instance_uid", "input_version", "ratio", "layer",
    "burned_in_annotation", "frames", "rows", "columns", "bits_allocated", "bits_stored", "bits_inferred",
    "target_bytes", "codestream_bytes", "frame_bytes", "bytes_below_target", "header_bytes", "padding_bytes",
    "file_bytes", "file_sha256", "ratio_allocated", "ratio_stored", "bits_per_pixel", "psnr",
    "padding_range", "padding_outside",
)  # fmt: skip


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


@dataclass(frozen=True)
class _Opened:
    """The frames of a file, their bits stored and padding, what is written with them, and the columns of the tables."""

    frames: Sequence[np.ndarray]
    bits: int
    columns: dict[str, Any]
    instance: Dataset | None = None
    pitch: float | None = None
    padding: tuple[int, int] | None = None


def compress_file(plan: CompressionPlan, file: InputFile) -> list[dict[str, Any]]:
    """Compress one file, and return its rows of the table of sizes, one for each ratio or layer.

    Raises
    ------
    SourceError, codec.CodecError
        The file cannot be read, or cannot be compressed to one of the ratios.
    """
    opened = (_open_dicom if is_dicom(file.path) else _open_image)(plan, file.path)
    columns = {"image_id": file.image_id, "path": file.name, "input_version": file.version} | opened.columns
    rows = []
    with compressed_frames(plan, opened.frames, opened.bits, opened.padding) as results:
        for result in results:
            new_uid = _write(plan, opened, result, path := result.folder / file.result)
            of_file = {
                "file_bytes": path.stat().st_size,
                "file_sha256": sha256_file(path),
                "new_sop_instance_uid": new_uid,
            }
            if result.padding is not None:
                smallest, largest, outside = result.padding
                of_file |= {"padding_range": f"{smallest} {largest}", "padding_outside": outside}
            rows += [columns | row | of_file for row in result.rows]
    return rows


def _write(plan: CompressionPlan, opened: _Opened, result: CompressedFrames, path: Path) -> str:
    """Write one result, and return its new SOP Instance UID as the tables have it."""
    if opened.instance is None:
        codestream = result.codestreams[0]
        contents = codec.wrap_jp2(codestream, pixel_pitch=opened.pitch) if plan.jp2 else codestream
        with atomic_path(path) as temporary:
            temporary.write_bytes(contents)
        return ""
    compressed = compressed_instance(
        opened.instance,
        result.codestreams,
        syntax=plan.syntax,
        ratio=result.rows[-1]["ratio_allocated"],
        drop_private=plan.drop_private,
        new_series=None if plan.lossless else plan.series_settings(result.rows[-1]["ratio"]),
    )
    if result.padding is not None:
        set_padding_range(compressed, result.padding)
    write_instance(path, compressed)
    return plan.name(compressed.SOPInstanceUID, "uid")


def _open_dicom(plan: CompressionPlan, path: Path) -> _Opened:
    instance, frames = read_instance(path)
    move_out_of_pixels(instance, path)
    with pydicom_errors(path):  # values are made of bytes here
        bits = int(instance.BitsStored)
        patient, old_uid = (str(instance.get(name) or "") for name in ("PatientID", "SOPInstanceUID"))
        burned_in = instance.get("BurnedInAnnotation")
        padding = padding_range(instance)
        if plan.deidentified and plan.key is not None:
            deidentify(instance, plan.key)
    columns = {
        "patient_id": identifier(patient, plan.key, "patient") if patient else "",
        "sop_instance_uid": plan.name(old_uid, "uid") if old_uid else "",
        "burned_in_annotation": burned_in if burned_in in ("YES", "NO") else "",
        "bits_inferred": False,
    }
    return _Opened(frames, bits, columns, instance, padding=padding)


def _open_image(plan: CompressionPlan, path: Path) -> _Opened:
    stored = read_image(path)
    bits, inferred = bits_of(stored, plan.bits_stored)
    return _Opened([stored.pixels], bits, {"bits_inferred": inferred}, pitch=stored.pixel_pitch)
