"""Scan a folder into OUT/scan.csv in several processes; an interrupted scan goes on, changed files are read again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mammo_jax.compression.listing import FoundFile, files_below
from mammo_jax.compression.plan import identifier
from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.errors import UserError
from mammo_jax.files import atomic_path, read_json, remove_stale_temporaries, write_json, write_text
from mammo_jax.limited_processes import Limits, Stopped, results_within_limits
from mammo_jax.progress import progress
from mammo_jax.scan.facts import COLUMNS, Check, ScannedFile, describe, row_without_facts
from mammo_jax.sources.identifiers import keyed_hash

FILES_AT_A_TIME: dict[Check, int] = {"headers": 100, "pixels": 4}
"""Files that a process takes: enough that handing them over costs little, few enough that little is lost."""
LIMITS = Limits()


class ScanError(UserError):
    """A scan that cannot begin; the message says what to do."""


@dataclass(frozen=True)
class ScanPlan:
    """What is scanned, and how.

    Attributes
    ----------
    folder : Path
    out : Path
        Folder of the results.
    key : bytes
        Key of the hashed ids.
    check : {"headers", "pixels"}
        Read the headers alone, or decode the pixels too.
    hashed_names : bool
        Show hashes instead of file names in the tables.
    """

    folder: Path
    out: Path
    key: bytes
    check: Check = "headers"
    hashed_names: bool = False

    @property
    def table(self) -> Path:
        """The table with a row for each file."""
        return self.out / "scan.csv"


def scan_files(plan: ScanPlan, workers: int) -> list[ScannedFile]:
    """Describe the files that are not in the table yet; rows of files that are gone or have changed are dropped.

    Returns
    -------
    list of ScannedFile
        All files, in the order of the rows.

    Raises
    ------
    ScanError
        The folder is none or empty, or OUT is that folder or holds a table of other settings.
    """
    if not plan.folder.is_dir():
        raise ScanError(f"{plan.folder}: is no folder that can be read; give a folder of images")
    if plan.folder.resolve() == plan.out.resolve():
        raise ScanError(f"{plan.out}: is the folder to scan; choose another --out")
    files = [_scanned(plan, found) for found in files_below(plan.folder, plan.out)]
    if not files:
        raise ScanError(f"{plan.folder}: no file there; give a folder of images")
    _check_settings(plan)
    remove_stale_temporaries(plan.out)
    current = {file.image_id: (file.version, plan.check) for file in files}
    with ResumableCsv(plan.table, COLUMNS, 1) as table:
        table.keep(lambda row: current.get(row["image_id"]) == (row["input_version"], row["checked"]))
        done = {row["image_id"] for row in table.rows()}
        remaining = [file for file in files if file.image_id not in done]
        with progress("scanning", len(files), "file", len(done)) as bar:
            for rows in _describe_all(plan, remaining, workers):
                table.add(rows)
                bar.update(len(rows))
    if remaining:
        _sort(plan.table, [file.image_id for file in files])
    return files


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table one by one."""
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table, complete or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _scanned(plan: ScanPlan, found: FoundFile) -> ScannedFile:
    name = str(found.relative)
    try:
        status = found.path.stat()
        size, modified = status.st_size, status.st_mtime_ns
    except OSError:  # `found.problem` says so
        size, modified = 0, 0
    return ScannedFile(
        path=found.path,
        image_id=identifier(name, plan.key, "image"),
        name=identifier(name, plan.key if plan.hashed_names else None, "image"),
        version=identifier(f"{size}-{modified}", plan.key, "version"),
        size=size,
        problem=found.problem,
    )


def _check_settings(plan: ScanPlan) -> None:
    """Write settings.json, or refuse a folder with a table of other settings."""
    settings = {
        "hashed_names": plan.hashed_names,
        "id_key": keyed_hash("", plan.key, "key"),
        "columns": list(COLUMNS),
    }
    path = plan.out / "settings.json"
    if path.exists() and (before := read_json(path)) != settings:
        changed = ", ".join(name for name in settings if settings[name] != before.get(name))
        raise ScanError(f"{plan.out} holds results made with another {changed}; choose another --out")
    write_json(path, settings)


def _describe_all(plan: ScanPlan, files: list[ScannedFile], workers: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of some files at a time; those that were stopped together are tried again, each alone."""
    size = FILES_AT_A_TIME[plan.check]
    function = partial(_describe_chunk, plan.key, plan.check)
    stopped: list[ScannedFile] = []
    chunks = [files[first : first + size] for first in range(0, len(files), size)]
    for chunk, rows in zip(chunks, results_within_limits(function, chunks, workers, LIMITS)):
        if isinstance(rows, Stopped):
            stopped += chunk
        else:
            yield rows
    alone = [[file] for file in stopped]
    for (file,), rows in zip(alone, results_within_limits(function, alone, workers, LIMITS)):
        yield [row_without_facts(file, plan.check, rows.reason)] if isinstance(rows, Stopped) else rows


def _describe_chunk(key: bytes, check: Check, files: list[ScannedFile]) -> list[dict[str, Any]]:
    return [describe(file, key, check) for file in files]


def _sort(path: Path, order: Sequence[str]) -> None:
    """Put the rows, each of which is a line, in the order of the files: some may have come later than their turn."""
    places = {image_id: place for place, image_id in enumerate(order)}
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    in_order = sorted(lines, key=lambda line: places[line.partition(",")[0]])
    if in_order != lines:
        write_text(path, "".join([header, *in_order]))
