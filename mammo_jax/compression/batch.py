"""Compressing many files: which, by several processes, going on after an interruption, listing what is left out."""

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
from mammo_jax.compression.resumable_csv import GrowingTable
from mammo_jax.files import atomic_path, read_json, write_json
from mammo_jax.processes import results_in_order
from mammo_jax.sources import SourceError
from mammo_jax.sources.dicom import is_dicom
from mammo_jax.sources.identifiers import keyed_hash


def list_files(inputs: Iterable[Path], plan: CompressionPlan) -> list[InputFile]:
    """List the files given and those in the folders given, at any depth, but for hidden ones and earlier results.

    Raises
    ------
    SourceError
        There are none, two would have one result, or one would be overwritten.
    """
    found = [
        InputFile(
            path, _result(path, relative, plan), identifier(str(relative), plan.key, "image"), _version(path, plan)
        )
        for given in inputs
        for path, relative in _files_below(given, plan.out)
    ]
    if not found:
        raise SourceError(f"{', '.join(map(str, inputs))}: no file there; give image files or a folder of them")
    paths = {file.path.resolve() for file in found}
    seen: dict[Path, Path] = {}
    for file in found:
        if (other := seen.setdefault(file.result, file.path)) is not file.path:
            raise SourceError(f"{other} and {file.path} would both become {file.result}; rename one")
        for folder in plan.folders.values():
            if (folder / file.result).resolve() in paths:
                raise SourceError(f"{file.path}: would be overwritten by a result; choose another --out")
    return found


def _files_below(given: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    if not given.is_dir():
        yield given, Path(given.name)
        return
    for folder, folders, names in os.walk(given):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name[0] != "." and (here / name).resolve() != out.resolve())
        for name in sorted(names):
            if name[0] != ".":
                yield here / name, (here / name).relative_to(given)


def _version(path: Path, plan: CompressionPlan) -> str:
    try:
        status = path.stat()
    except OSError:  # compressing it will say why
        return ""
    return identifier(f"{status.st_size}-{status.st_mtime_ns}", plan.key, "version")


def _result(path: Path, relative: Path, plan: CompressionPlan) -> Path:
    if path.is_file() and is_dicom(path):
        return relative
    return relative.with_suffix(".jp2" if plan.jp2 else ".j2k")


def compress_files(plan: CompressionPlan, files: list[InputFile], workers: int) -> list[tuple[InputFile, str]]:
    """Compress what is not done yet, into OUT; writes OUT/sizes.csv and OUT/left_out.csv too.

    Done is what OUT/sizes.csv tells of, if all its results are there and the file has not changed since.

    Returns
    -------
    list
        The files that were left out, each with the reason.

    Raises
    ------
    CompressionError
        OUT holds results that were made with other settings.
    """
    _check_settings(plan)
    left_out = []
    with GrowingTable(plan.out / "sizes.csv", COLUMNS, plan.rows_a_file) as table:
        not_done = _missing_or_changed(plan, files, table.rows)
        table.keep(lambda row: row["image_id"] not in not_done)
        done = {row["image_id"] for row in table.rows}
        missing = [file for file in files if file.image_id not in done]
        with tqdm(total=len(files), initial=len(files) - len(missing), desc="compressing", unit="image") as bar:
            for file, (rows, problem) in zip(missing, _attempts(plan, missing, workers)):
                table.add(rows)
                if problem is not None:
                    left_out.append((file, problem))
                bar.update()
    with atomic_path(plan.out / "left_out.csv") as temporary, temporary.open("w", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_id", "reason"))
        writer.writerows((file.image_id, problem) for file, problem in left_out)
    return left_out


def _missing_or_changed(plan: CompressionPlan, files: list[InputFile], rows: list[dict[str, str]]) -> set[str]:
    """Ids of files that the table tells of, but of an older version, or whose results are not all there."""
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
    """Write settings.json, or refuse a folder whose results were made with other settings."""
    settings = {name: value for name, value in asdict(plan).items() if name not in ("out", "key")}
    settings |= {"ratios": list(plan.ratios), "id_key": plan.key and keyed_hash("", plan.key, "key")}
    path = plan.out / "settings.json"
    if path.exists() and (before := read_json(path)) != settings:
        changed = ", ".join(name for name in settings if settings[name] != before.get(name))
        raise CompressionError(f"{plan.out} holds results made with another {changed}; choose another --out")
    write_json(path, settings)


def _attempts(
    plan: CompressionPlan, files: list[InputFile], workers: int
) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
    """For each file its rows, or none and the reason."""
    if workers == 1 or len(files) == 1:
        yield from map(partial(_attempt, plan), files)
        return
    yield from results_in_order(partial(_attempt, plan), files, workers)


def _attempt(plan: CompressionPlan, file: InputFile) -> tuple[list[dict[str, Any]], str | None]:
    try:
        return compress_file(plan, file), None
    except (SourceError, codec.CodecError) as error:
        # File names may hold what hashed ids are there to hide.
        return [], str(error).removeprefix(f"{file.path}: ").replace(str(file.path), file.image_id)
