"""Compress many files in several processes: resume after an interruption, and list the files that are left out."""

from __future__ import annotations

import csv
import errno
import traceback
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import codec
from mammo_jax.compression.files import COLUMNS, InputFile, compress_file
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import LeftOut, Listing
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.files import atomic_path, read_json, remove_stale_temporaries, write_json
from mammo_jax.limited_processes import Limits, Stopped, results_within_limits
from mammo_jax.progress import progress
from mammo_jax.sources import SourceError
from mammo_jax.sources.identifiers import keyed_hash

Rows = list[dict[str, Any]]
OF_ITS_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ, errno.EINVAL}
"""Errors of writing that come from one file's name; any other, as a full disk, would come with the next file too."""


def compress_files(plan: CompressionPlan, listing: Listing, workers: int, limits: Limits) -> list[LeftOut]:
    """Compress the files that are not done yet into OUT, and write OUT/sizes.csv and OUT/left_out.csv.

    A file is done if OUT/sizes.csv has its rows, all its results exist, and it has not changed since. No file ends the
    run: whatever is wrong with it becomes its reason in OUT/left_out.csv.

    Returns
    -------
    list of LeftOut
        Those of the listing first.

    Raises
    ------
    CompressionError
        OUT holds results of other settings, or can't be written to.
    """
    _check_settings(plan)
    remove_stale_temporaries(plan.out)
    left_out = list(listing.left_out)
    with ResumableCsv(plan.out / "sizes.csv", COLUMNS, plan.rows_per_file) as table:
        versions = {row["image_id"]: row.get("input_version") for row in table.rows()}
        outdated = _outdated_ids(plan, listing.files, versions) | {file.image_id for file in left_out}
        table.keep(lambda row: row["image_id"] not in outdated)
        remaining = [file for file in listing.files if file.image_id not in versions or file.image_id in outdated]
        try:
            left_out += _compress_each(plan, remaining, table, workers, limits, len(listing.files))
        finally:
            remove_stale_temporaries(plan.out)  # of processes that were ended
    _write_left_out(plan, left_out)
    return left_out


def _compress_each(
    plan: CompressionPlan, files: list[InputFile], table: ResumableCsv, workers: int, limits: Limits, total: int
) -> list[LeftOut]:
    """Compress files and add their rows to the table; returns those that are left out."""
    left_out = []
    results = results_within_limits(partial(_compress_or_explain, plan), files, workers, limits)
    with progress("compressing", total, "image", total - len(files)) as bar:
        for file, result in zip(files, results):
            rows, reason = ([], result.reason) if isinstance(result, Stopped) else result
            table.add(rows)
            if reason is not None:
                _remove_results(plan, file)
                left_out.append(LeftOut(file.image_id, file.name, reason))
            bar.update()
    return left_out


def _remove_results(plan: CompressionPlan, file: InputFile) -> None:
    """Remove what was written of a file before it failed, or what is there of its older version."""
    for folder in plan.folders.values():
        if (folder / file.result).is_file():
            (folder / file.result).unlink()


def _write_left_out(plan: CompressionPlan, left_out: list[LeftOut]) -> None:
    with atomic_path(plan.out / "left_out.csv") as temporary, temporary.open("w", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_id", "path", "reason"))
        writer.writerows((file.image_id, file.name, file.reason) for file in left_out)


def _outdated_ids(plan: CompressionPlan, files: list[InputFile], versions: dict[str, str | None]) -> set[str]:
    """Ids of files with rows of an older version, or with rows but without some of their results."""
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


def _compress_or_explain(plan: CompressionPlan, file: InputFile) -> tuple[Rows, str | None]:
    """Compress one file: its rows and None, or no rows and the reason why it is left out."""
    try:
        return compress_file(plan, file), None
    except (SourceError, codec.CodecError) as error:
        return [], plan.hide(str(error), file.path, file.name)
    except OSError as error:  # those of reading are SourceErrors
        if error.errno in OF_ITS_NAME:
            return [], f"its result cannot be written ({error.strerror}); rename it"
        raise CompressionError(
            f"{plan.out}: cannot be written to ({error.strerror}); mend that and run again, what is finished is kept"
        ) from error
    except MemoryError:
        raise  # `results_within_limits` says how much there was
    except Exception as error:
        # Messages of other libraries may quote the header, so they are not repeated.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        return [], f"could not be compressed, by a fault of this program or of a library ({where}); please report it"
