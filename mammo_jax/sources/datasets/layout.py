"""Where the files of a download lie: at the top of the folder, or up to two folders below it."""

from __future__ import annotations

from pathlib import Path

from mammo_jax.sources.mammogram import SourceError


def find(directory: Path, *names: str) -> Path:
    """Return the file or folder with one of these names.

    Raises
    ------
    SourceError
        There is none; the message names the first.
    """
    for depth in ("", "*/", "*/*/"):
        for name in names:
            found = sorted(directory.glob(f"{depth}{name}"))
            if found:
                return found[0]
    if directory.name in names:
        return directory
    raise SourceError(f"{directory}: {names[0]} is missing; give the folder as downloaded, with that in it")


def series_folder(collection: Path, case: str, study_uid: str, series_uid: str) -> Path | None:
    """Return the folder of a series in a download from The Cancer Imaging Archive, or None if it is not there.

    The NBIA Data Retriever names the folders of study and series by their UIDs (classic), or by a description that
    ends with the last five digits of the UID: ``07-20-2016-DDSM-NA-74994/1.000000-full mammogram images-24515``.
    """
    exact = collection / case / study_uid / series_uid
    if exact.is_dir():
        return exact
    found = sorted((collection / case).glob(f"*{study_uid[-5:]}/*{series_uid[-5:]}"))
    return found[0] if found else None
