"""One pass over a source: compress, decompress, cut, and write a TFDS dataset with one split a ratio, and an audit.

The source is divided into parts. Each part is one directory that appears whole or not at all, so an interrupted pass
goes on with the parts that are missing; `RunFolder.readable_parts` lists them for `tfds.builder_from_directories`.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

import codec
from codec.ratio import bits_per_pixel, image_bytes, ratio_of
from mammo_jax.checksums import write_checksums
from mammo_jax.compression.image_quality import Quality, compare
from mammo_jax.compression.ladder import CodecName, OtherEncoded, codec_ladder, codec_title
from mammo_jax.dataset.example_crops import write_example_crop
from mammo_jax.dataset.folds import hash_pixels
from mammo_jax.dataset.parts import check_part
from mammo_jax.dataset.records import RecordWriter
from mammo_jax.dataset.unit_facts import unit_facts
from mammo_jax.dataset.units import Unit, UnitConfig, is_positive, label_number, lay_out, tissue_mask
from mammo_jax.files import atomic_directory, atomic_path, read_json, temporary_path
from mammo_jax.processes import results_as_completed
from mammo_jax.progress import progress
from mammo_jax.ratios import split_name
from mammo_jax.run_folder import RunFolder
from mammo_jax.run_subfolders import PartFolder
from mammo_jax.runtime import quiet_tensorflow
from mammo_jax.sources import Mammogram, Source, SourceError
from mammo_jax.sources.problems import problem_text

PART_IMAGES = 32  # what an interruption can cost at most, for each worker


@dataclass(frozen=True)
class DatasetPlan:
    """Everything that a worker has to know; picklable.

    Attributes
    ----------
    source : Source
    ratios : tuple of float
        The ladder, without 1, which is always written.
    codec : str
        What compresses; see `mammo_jax.compression.ladder`.
    units : UnitConfig
    folds : dict
        Patient id → fold.
    normal_sites : dict
        Image id → centres of matched normal patches.
    examples : tuple of int
        Indices of the images whose crops the report shows.
    run : RunFolder
    """

    source: Source
    ratios: tuple[float, ...]
    codec: CodecName
    units: UnitConfig
    folds: Mapping[str, int]
    normal_sites: Mapping[str, Sequence[tuple[float, float]]]
    examples: tuple[int, ...]
    run: RunFolder


def write_dataset(plan: DatasetPlan, workers: int) -> None:
    """Write every part that is missing, then `audit.csv`, `left_out.csv`, `images.csv` and `subgroups.csv`.

    Parameters
    ----------
    plan : DatasetPlan
    workers : int
        Processes; each takes one core and works on one image at a time.
    """
    plan.run.dataset.mkdir(parents=True, exist_ok=True)
    _drop_parts_to_try_again(plan)
    missing = [part for part in range(part_count(plan.source)) if not plan.run.dataset_part(part).path.exists()]
    if missing:
        _write_parts(plan, missing, workers)
    _merge_tables(plan)


def part_count(source: Source) -> int:
    """Return the number of parts a source is divided into."""
    return -(-len(source) // PART_IMAGES)


def _drop_parts_to_try_again(plan: DatasetPlan) -> None:
    """Remove parts that left out an image which can be used by now: a file that was put right, a disk that is back."""
    for part in plan.run.dataset_parts():
        left_out = [int(row["index"]) for row in _tables_of(part)["left_out"]]
        if any(_can_be_cut(plan, index) for index in left_out):
            dropped = temporary_path(part.path)
            shutil.rmtree(dropped, ignore_errors=True)
            shutil.rmtree(part.path.replace(dropped))  # renaming is done at once, removing is not


def _tables_of(part: PartFolder) -> dict[str, list[dict[str, Any]]]:
    check_part(part.path, records=None)
    return cast(dict[str, list[dict[str, Any]]], read_json(part.tables))


def _can_be_cut(plan: DatasetPlan, index: int) -> bool:
    try:
        mammogram = plan.source[index]
        _lay_out(plan, mammogram, tissue_mask(mammogram.pixels, plan.units))
    except SourceError:
        return False
    return True


def _write_parts(plan: DatasetPlan, missing: list[int], workers: int) -> None:
    """Spread the missing parts over processes; the first exception stops the rest and is raised."""
    images_done = multiprocessing.get_context("spawn").Value("q", 0)
    total = sum(len(_part_indices(plan.source, part)) for part in missing)
    with progress("compressing", total, "image") as bar:
        parts_done = results_as_completed(
            partial(_write_part, plan, images_done),
            missing,
            workers,
            set_up=quiet_tensorflow,
            while_waiting=lambda: bar.update(images_done.value - bar.n),
        )
        for _ in parts_done:
            pass


def _part_indices(source: Source, part: int) -> range:
    return range(part * PART_IMAGES, min((part + 1) * PART_IMAGES, len(source)))


def _write_part(plan: DatasetPlan, images_done: Any, part: int) -> None:
    """Compress the images of one part and write their records and audit rows; counts the images in a shared value."""
    audit: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    facts: list[dict[str, Any]] = []
    with atomic_directory(plan.run.dataset_part(part).path) as directory:
        writer = RecordWriter(directory, (1.0, *plan.ratios), plan.units.input_rows, plan.units.input_columns)
        for index in _part_indices(plan.source, part):
            try:
                mammogram = plan.source[index]
                records, rows, of_units = _process(plan, mammogram, is_example=index in plan.examples)
            except (SourceError, codec.CodecError) as error:
                left_out.append(_left_out_row(plan.source, index, error))
            else:
                writer.add(records)
                audit += rows
                images.append(_image_row(mammogram))
                facts += of_units
            with images_done.get_lock():
                images_done.value += 1
        writer.close()
        tables = {"audit": audit, "images": images, "left_out": left_out, "subgroups": facts}
        PartFolder(directory).tables.write_text(json.dumps(tables))
        write_checksums(directory)


def _left_out_row(source: Source, index: int, error: Exception) -> dict[str, Any]:
    """Why an image was left out, without the paths of files: they may name people, and a dataset may be passed on."""
    row = source.table()[index]
    return {
        "index": index,
        "image_id": row["image_id"],
        "problem": problem_text(error, row),
        "error": type(error).__name__,
    }


def _with_path(row: dict[str, Any], files: list[str]) -> dict[str, Any]:
    """Return a row of left_out.csv: `problem` for anybody's eyes, `reason` with the path of the image."""
    where = files[0] if files else row["image_id"]
    reason = row.get("reason", f"{row.get('error')}: {where}: {row['problem']}")  # parts of older versions have it
    return {"index": row["index"], "image_id": row["image_id"], "problem": row["problem"], "reason": reason}


def _image_row(mammogram: Mammogram) -> dict[str, Any]:
    return {
        "image_id": mammogram.image_id,
        "patient_id": mammogram.patient_id,
        "label": mammogram.label,
        "rows": mammogram.pixels.shape[0],
        "columns": mammogram.pixels.shape[1],
        "bits_allocated": mammogram.bits_allocated,
        "bits_stored": mammogram.bits_stored,
        "bits_inferred": mammogram.bits_inferred,
        "pixel_pitch": mammogram.pixel_pitch,
        "already_lossy": mammogram.already_lossy,
        "sha256": hash_pixels(mammogram.pixels),
    }


def _process(
    plan: DatasetPlan, mammogram: Mammogram, *, is_example: bool
) -> tuple[dict[str, list], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return one image's records by split, its audit rows, and what is known of its units."""
    breast = tissue_mask(mammogram.pixels, plan.units)
    units = _lay_out(plan, mammogram, breast)
    lesions = np.zeros(mammogram.pixels.shape, bool)
    for lesion in mammogram.lesions:
        if is_positive(lesion.label, plan.units.target):  # a map that points at another kind points at the wrong one
            lesions |= lesion.filled(mammogram.pixels.shape)
    masks = [{"mask": unit.record_mask(lesions), "breast": unit.record_mask(breast)} for unit in units]
    fold = plan.folds[mammogram.patient_id]

    def record_all(ratio: float, pixels: np.ndarray, codestream_bytes: int, psnr: float) -> list[dict]:
        if is_example:
            write_example_crop(plan.run.examples, mammogram, breast, ratio, pixels)
        return [_record(mammogram, unit, cut, pixels, fold, codestream_bytes, psnr) for unit, cut in zip(units, masks)]

    records = {split_name(1): record_all(1, mammogram.pixels, mammogram.pixels.nbytes, float("inf"))}
    rows = []
    ladder = codec_ladder(plan.codec, mammogram.pixels, plan.ratios, bits_stored=mammogram.bits_stored)
    for ratio, encoded in zip(plan.ratios, ladder, strict=True):
        reconstruction = mammogram.with_padding(cast(np.ndarray, encoded.reconstruction))  # ladders always bring one
        quality = compare(mammogram.pixels, reconstruction, breast, mammogram.bits_stored)
        rows.append({"codec": codec_title(plan.codec)} | _audit_row(mammogram, ratio, encoded, quality, breast))
        records[split_name(ratio)] = record_all(ratio, reconstruction, len(encoded.codestream), quality.psnr)
    return records, rows, [unit_facts(mammogram, unit, plan.units) for unit in units]


def _lay_out(plan: DatasetPlan, mammogram: Mammogram, breast: np.ndarray) -> list[Unit]:
    return lay_out(mammogram, breast, plan.units, plan.normal_sites.get(mammogram.image_id, ()))


def _audit_row(
    mammogram: Mammogram, ratio: float, encoded: codec.Encoded | OtherEncoded, quality: Quality, breast: np.ndarray
) -> dict[str, Any]:
    size = len(encoded.codestream)
    pixels, bits = mammogram.pixels, mammogram.bits_stored
    return {
        "image_id": mammogram.image_id,
        "ratio": ratio,
        "target_bytes": encoded.target_bytes,
        "codestream_bytes": size,
        "padding_bytes": encoded.padding_bytes,
        "header_bytes": encoded.header_bytes,
        "ratio_allocated": ratio_of(image_bytes(pixels, bits), size),
        "ratio_stored": ratio_of(image_bytes(pixels, bits, "stored"), size),
        "bits_per_pixel": bits_per_pixel(size, pixels.size),
        "bits_per_breast_pixel": bits_per_pixel(size, max(int(breast.sum()), 1)),
        **asdict(quality),
    }


def _record(
    mammogram: Mammogram,
    unit: Unit,
    masks: Mapping[str, np.ndarray],
    pixels: np.ndarray,
    fold: int,
    codestream_bytes: int,
    psnr: float,
) -> dict[str, Any]:
    return {
        "image": unit.record_image(pixels, mammogram.bits_stored)[..., None],
        **{name: mask[..., None] for name, mask in masks.items()},
        "label": label_number(unit.label),
        "target": unit.target,
        "fold": fold,
        "image_id": unit.unit_id,
        "patient_id": mammogram.patient_id,
        "laterality": mammogram.laterality or "",
        "codestream_bytes": codestream_bytes,
        "psnr": psnr,
    }


def _merge_tables(plan: DatasetPlan) -> None:
    """Merge the parts' tables into audit.csv, images.csv, left_out.csv and subgroups.csv in the run folder."""
    tables = [_tables_of(plan.run.dataset_part(part)) for part in range(part_count(plan.source))]
    run = plan.run
    paths = {"audit": run.audit, "images": run.images, "left_out": run.left_out, "subgroups": run.subgroups}
    for name, path in paths.items():
        rows = [row for table in tables for row in table.get(name, ())]
        if name == "left_out":
            files = [row["files"] for row in plan.source.table()]
            rows = [_with_path(row, files[row["index"]]) for row in rows]
        frame = pd.DataFrame(rows)
        if name == "subgroups" and frame.empty:
            continue  # parts of an interrupted run from before there was this table
        with atomic_path(path) as temporary:
            frame.to_csv(temporary, index=False)
