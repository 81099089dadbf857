"""Images that are there more than once: the same pixels under another name, or even another patient.

A row's hash is of 64 KiB in the middle of the pixel data. Rows that share one are only candidates; their data are
hashed as a whole here. So nearly every file of an archive is read in one small part, and the answer is exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.limited_processes import Stopped, results_within_limits
from mammo_jax.progress import progress
from mammo_jax.scan.facts import PART, WHOLE, ScannedFile, whole_hash
from mammo_jax.scan.inventory import LIMITS, ScanPlan, read_rows, write_rows

COLUMNS = (
    "group", "relation", "image_id", "path", "kind", "file_bytes", "patient_id", "study_id", "instance_id",
    "laterality", "view", "hash_of",
)  # fmt: skip
SAME_PATIENT, ANOTHER_PATIENT, UNKNOWN = "same patient", "another patient", "patient not known"
_DIGEST_COLUMNS = ("image_id", "input_version", "digest")


def find_duplicates(plan: ScanPlan, files: Sequence[ScannedFile], workers: int) -> list[list[dict[str, str]]]:
    """Find the groups of equal images, and write OUT/duplicates.csv.

    Equal are, with the pixels checked, decoded pixels in the MONOCHROME2 sense; without, the bytes of the pixel data of
    one size and kind of encoding, or those of a whole PNG, TIFF or PGM file.

    Parameters
    ----------
    plan : ScanPlan
        Its table is complete.
    files : sequence of ScannedFile
        As `scan_files` returns.
    workers : int

    Returns
    -------
    list of list of dict
        The rows of each group, with the column `relation`.
    """
    counts = Counter(row["pixels_hash"] for row in read_rows(plan.table) if row["pixels_hash"])
    candidates = [row for row in read_rows(plan.table) if counts[row["pixels_hash"]] > 1]
    digests = _whole_digests(plan, files, {row["image_id"] for row in candidates if row["hash_of"] == PART}, workers)
    by_hash: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in candidates:
        digest = digests.get(row["image_id"]) if row["hash_of"] == PART else row["hash_of"]
        if digest:
            by_hash[f"{row['pixels_hash']} {digest}"].append(row)
    groups = [rows for rows in by_hash.values() if len(rows) > 1]
    named = [
        [row | {"group": str(number), "relation": _relation(rows), "hash_of": _compared(row)} for row in rows]
        for number, rows in enumerate(groups, 1)
    ]
    table = [{column: row[column] for column in COLUMNS} for rows in named for row in rows]
    write_rows(plan.out / "duplicates.csv", COLUMNS, table)
    return named


def _relation(rows: Sequence[dict[str, str]]) -> str:
    patients = {row["patient_id"] for row in rows}
    if len(patients - {""}) > 1:
        return ANOTHER_PATIENT
    return UNKNOWN if "" in patients else SAME_PATIENT


def _compared(row: dict[str, str]) -> str:
    """Return what of a row in a group is equal: never a part, which only made it a candidate."""
    return WHOLE if row["hash_of"] == PART else row["hash_of"]


def _whole_digests(plan: ScanPlan, files: Sequence[ScannedFile], candidates: set[str], workers: int) -> dict[str, str]:
    """Return the hash of the whole pixel data of each candidate; OUT/digests.csv keeps them for the next run."""
    wanted = {file.image_id: file for file in files if file.image_id in candidates}
    with ResumableCsv(plan.out / "digests.csv", _DIGEST_COLUMNS, 1) as table:
        versions = {image_id: file.version for image_id, file in wanted.items()}
        table.keep(lambda row: bool(row["digest"]) and versions.get(row["image_id"]) == row["input_version"])
        digests = {row["image_id"]: row["digest"] for row in table.rows()}
        remaining = [file for file in wanted.values() if file.image_id not in digests]
        if not remaining:
            return digests
        results = results_within_limits(whole_hash, remaining, workers, LIMITS)
        with progress("comparing", len(wanted), "file", len(digests)) as bar:
            for file, result in zip(remaining, results):
                digest = "" if isinstance(result, Stopped) else result
                table.add([{"image_id": file.image_id, "input_version": file.version, "digest": digest}])
                digests[file.image_id] = digest
                bar.update()
    return digests
