"""What does a folder hold, and what would compress and study leave out? From the headers, before anything is done.

    mammo-jax scan ARCHIVE --out scan
    mammo-jax scan ARCHIVE --out scan --check pixels

Prints counts, and writes them to OUT/scan.html. OUT/scan.csv has a row for each file, duplicates.csv the groups of
equal images, studies.csv the views of each study. Patients, studies and images are keyed hashes, the same as in the
tables of compress. File names are in scan.csv and duplicates.csv, unless --hashed-names is given, and nowhere else.

A folder is searched at any depth; hidden files are left alone. An interrupted scan goes on where it was, and later
scans read only what is new or has changed. Without --check pixels, what only pixel data can show, such as damage in
them, is not seen, and equal images are found only where they are encoded alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.scan.duplicates import find_duplicates
from mammo_jax.scan.inventory import ScanPlan, read_rows, scan_files, write_rows
from mammo_jax.scan.page import write_scan_page
from mammo_jax.scan.summary import STUDY_COLUMNS, count_rows, study_rows, summarise
from mammo_jax.scan.terminal import lines
from mammo_jax.sources.identifiers import load_key


@dataclass(frozen=True)
class ScanConfig:
    """What is scanned, and how.

    Attributes
    ----------
    folder : Path
        Folder of images, at any depth.
    out : Path
        Folder for the tables and scan.html.
    check : {"headers", "pixels"}
        Read the headers alone, or decode every image too: finds damage, and equal images of different encodings.
    hashed_names : bool
        Show hashes instead of file names in the tables.
    id_key : Path or None
        File with the key of the hashes; None makes one for this user, once.
    workers : int or None
        Processes; None takes every core.
    """

    folder: tyro.conf.Positional[Path]
    out: Path
    check: Literal["headers", "pixels"] = "headers"
    hashed_names: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    id_key: Path | None = None
    workers: int | None = None


def scan(config: ScanConfig, _flags: Sequence[str]) -> None:
    """Scan the folder, print the summary, and write the tables and the page.

    Raises
    ------
    ScanError
        The folder is none or empty, or OUT holds a table of other settings.
    """
    plan = ScanPlan(config.folder, config.out, load_key(config.id_key), config.check, config.hashed_names)
    workers = config.workers or len(os.sched_getaffinity(0))
    try:
        files = scan_files(plan, workers)
        groups = find_duplicates(plan, files, workers)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on where it was") from None
    counts = count_rows(read_rows(plan.table))
    write_rows(plan.out / "studies.csv", STUDY_COLUMNS, study_rows(counts))
    summary = summarise(counts, groups)
    page = write_scan_page(plan.out / "scan.html", summary, groups, pixels=config.check == "pixels")
    print("\n".join(lines(summary)))
    if config.check == "headers":
        print("Only headers were read; --check pixels decodes every image, and so finds damage too.")
    print(f"{plan.table}, {page}")


def _parse(flags: list[str]) -> ScanConfig:
    return read_flags("scan", ScanConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(scan, _parse, arguments, networks=False)
