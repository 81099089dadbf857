"""Compress many files in several processes: resume after an interruption, and list the files that are left out."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

import codec
from mammo_jax.compression.files import COLUMNS, CompressionPlan, InputFile, compress_file, identifier
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.files import atomic_path, read_json, write_json
from mammo_jax.processes import results_in_order
from mammo_jax.sources import SourceError
from mammo_jax.sources.dicom import is_dicom
from mammo_jax.sources.identifiers import keyed_hash


def list_files(inputs: Iterable[Path], plan: CompressionPlan) -> list[InputFile]:
    """List the input files, and all files below the input folders except hidden ones and earlier results.

    Raises
    ------
    SourceError
        There is no file, two files would have the same result, or a result would overwrite a file.
    """
    files = [
        InputFile(
            path, _result(path, relative, plan), identifier(str(relative), plan.key, "image"), _version(path, plan)
        )
        for file_or_folder in inputs
        for path, relative in _files_below(file_or_folder, plan.out)
    ]
    if not files:
        raise SourceError(f"{', '.join(map(str, inputs))}: no file there; give image files or a folder of them")
    paths = {file.path.resolve() for file in files}
    path_of_result: dict[Path, Path] = {}
    for file in files:
        if (other := path_of_result.setdefault(file.result, file.path)) is not file.path:
            raise SourceError(f"{other} and {file.path} would both become {file.result}; rename one")
        for folder in plan.folders.values():
            if (folder / file.result).resolve() in paths:
                raise SourceError(f"{file.path}: would be overwritten by a result; choose another --out")
    return files


def _files_below(file_or_folder: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the path of every file, and its path relative to the folder."""
    if not file_or_folder.is_dir():
        yield file_or_folder, Path(file_or_folder.name)
        return
    for walked, subfolders, names in os.walk(file_or_folder):
        folder = Path(walked)
        # os.walk goes only into the subfolders that stay in its list, in this order.
        subfolders[:] = sorted(
            name for name in subfolders if name[0] != "." and (folder / name).resolve() != out.resolve()
        )
        for name in sorted(names):
            if name[0] != ".":
                yield folder / name, (folder / name).relative_to(file_or_folder)


def _version(path: Path, plan: CompressionPlan) -> str:
    """`InputFile.version`."""
    try:
        status = path.stat()
    except OSError:  # reading the file to compress it will raise the error that says why
        return ""
    return identifier(f"{status.st_size}-{status.st_mtime_ns}", plan.key, "version")


def _result(path: Path, relative: Path, plan: CompressionPlan) -> Path:
    """`InputFile.result`: a DICOM file keeps its name, any other gets the extension of its new format."""
    if path.is_file() and is_dicom(path):
        return relative
    return relative.with_suffix(".jp2" if plan.jp2 else ".j2k")


def compress_files(plan: CompressionPlan, files: list[InputFile], workers: int) -> list[tuple[InputFile, str]]:
    """Compress the files that are not done yet into OUT, and write OUT/sizes.csv and OUT/left_out.csv.

    A file is done if OUT/sizes.csv has its rows, all its results exist, and it has not changed since.

    Returns
    -------
    list
        The files that were left out, each with the reason.

    Raises
    ------
    CompressionError
        OUT holds results of other settings.
    """
    _check_settings(plan)
    left_out = []
    with ResumableCsv(plan.out / "sizes.csv", COLUMNS, plan.rows_per_file) as table:
        outdated = _outdated_ids(plan, files, table.rows)
        table.keep(lambda row: row["image_id"] not in outdated)
        done = {row["image_id"] for row in table.rows}
        remaining = [file for file in files if file.image_id not in done]
        with tqdm(total=len(files), initial=len(files) - len(remaining), desc="compressing", unit="image") as bar:
            for file, (rows, reason) in zip(remaining, _compress_each(plan, remaining, workers)):
                table.add(rows)
                if reason is not None:
                    left_out.append((file, reason))
                bar.update()
    with atomic_path(plan.out / "left_out.csv") as temporary, temporary.open("w", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_id", "reason"))
        writer.writerows((file.image_id, reason) for file, reason in left_out)
    return left_out


def _outdated_ids(plan: CompressionPlan, files: list[InputFile], rows: list[dict[str, str]]) -> set[str]:
    """Ids of files with rows of an older version, or with rows but without some of their results."""
    versions = {row["image_id"]: row.get("input_version") for row in rows}
    return {
        file.image_id
        for file in files
        if file.image_id in versions
        and not (
            versions[file.image_id] == file.version
            and all((folder / file.result).is_file() for folder in plan.folders.values())
        )
    }


def _check_settings(plan: CompressionPlan) -> None:
    """Write settings.json, or refuse a folder with results of other settings."""
    settings = {name: value for name, value in asdict(plan).items() if name not in ("out", "key")}
    settings |= {"ratios": list(plan.ratios), "id_key": plan.key and keyed_hash("", plan.key, "key")}
    path = plan.out / "settings.json"
    if path.exists() and (before := read_json(path)) != settings:
        changed = ", ".join(name for name in settings if settings[name] != before.get(name))
        raise CompressionError(f"{plan.out} holds results made with another {changed}; choose another --out")
    write_json(path, settings)


def _compress_each(
    plan: CompressionPlan, files: list[InputFile], workers: int
) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
    """Yield what `_compress_or_explain` returns for each file, in order."""
    if workers == 1 or len(files) == 1:
        yield from map(partial(_compress_or_explain, plan), files)
        return
    yield from results_in_order(partial(_compress_or_explain, plan), files, workers)


def _compress_or_explain(plan: CompressionPlan, file: InputFile) -> tuple[list[dict[str, Any]], str | None]:
    """Compress one file: its rows and None, or no rows and the reason why it is left out."""
    try:
        return compress_file(plan, file), None
    except (SourceError, codec.CodecError) as error:
        # A file's name may identify the patient, whom the hashed ids are to protect.
        return [], str(error).removeprefix(f"{file.path}: ").replace(str(file.path), file.image_id)
