"""One patient under two ids, found by equal pixels before anything is compressed."""

from __future__ import annotations

from functools import partial

import pandas as pd

from mammo_jax.dataset.folds import FoldError, check_duplicates, hash_pixels
from mammo_jax.files import atomic_path, read_json, write_json
from mammo_jax.processes import results_in_order
from mammo_jax.progress import counted
from mammo_jax.run_folder import RunFolder
from mammo_jax.sources import Source, SourceError


def check_patients_are_apart(run: RunFolder, source: Source, processes: int) -> None:
    """Read every image once and compare the hashes of their pixels, which the run folder keeps.

    Images that cannot be read have no hash, and are tried again at the next start; the pass that writes the dataset
    leaves them out. Where the run is refused no hash is kept, since files may be put right.

    Raises
    ------
    FoldError
        Two patients have an image in common; `run.duplicates` then lists the files.
    """
    table = source.table()
    known = read_json(run.pixel_hashes) if run.pixel_hashes.exists() else {}
    if unknown := [index for index, row in enumerate(table) if row["image_id"] not in known]:
        hashes = results_in_order(partial(_hash, source), unknown, processes)
        shown = counted(hashes, "looking for equal images", len(unknown), "image")
        known |= dict(found for found in shown if found is not None)
        write_json(run.pixel_hashes, known)
    images = [row | {"sha256": known[row["image_id"]]} for row in table if row["image_id"] in known]
    run.duplicates.unlink(missing_ok=True)
    try:
        check_duplicates(*([image[column] for image in images] for column in ("image_id", "patient_id", "sha256")))
    except FoldError as error:
        _write_duplicates(run, images)
        run.pixel_hashes.unlink()
        raise FoldError(f"{error}; {run.duplicates} lists their files") from error


def _hash(source: Source, index: int) -> tuple[str, str] | None:
    try:
        mammogram = source[index]
    except SourceError:
        return None
    return mammogram.image_id, hash_pixels(mammogram.pixels)


def _write_duplicates(run: RunFolder, images: list[dict]) -> None:
    """Write the files of images whose pixels are there more than once; their paths may name people, as in left_out."""
    table = pd.DataFrame([{**image, "file": image["files"][0]} for image in images])
    repeated = table[table["sha256"].duplicated(keep=False)].sort_values(["sha256", "image_id"])
    with atomic_path(run.duplicates) as temporary:
        repeated[["sha256", "image_id", "patient_id", "file"]].to_csv(temporary, index=False)
