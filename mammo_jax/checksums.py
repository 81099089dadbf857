"""Hashes of a folder's files, written with them, by which damage is found before the files are used.

The list has the form of ``sha256sum``, so that ``sha256sum --check SHA256SUMS`` finds damage too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mammo_jax.files import sha256_file

LIST = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")


def write_checksums(folder: Path) -> None:
    """Write the hashes of all files of a folder, at any depth, into SHA256SUMS there."""
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in _names(folder)]
    (folder / LIST).write_text("".join(lines), encoding="utf-8")


def find_damage(folder: Path, wanted: Callable[[str], bool] | None = None) -> str | None:
    """Compare files with their hashes.

    Parameters
    ----------
    folder : Path
    wanted : callable or None
        Path relative to the folder → whether this file's content is compared; None for all. The names of all are.

    Returns
    -------
    str or None
        The first file that is not as it was written, and how. None where there is none, and where there are no hashes:
        folders of older versions have none.
    """
    try:
        text = (folder / LIST).read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return _changed(folder / LIST)
    matches = [_LINE.fullmatch(line) for line in text.splitlines(keepends=True)]
    sums = {match[2]: match[1] for match in matches if match}
    if not all(matches):
        return _changed(folder / LIST)
    names = set(_names(folder))  # others may lie there too, such as those that a file manager makes
    if missing := [name for name in sums if name not in names]:
        return f"{folder / missing[0]} is missing"
    compared = (name for name in sums if wanted is None or wanted(name))
    return next(filter(None, (_damage(folder / name, sums[name]) for name in compared)), None)


def _damage(path: Path, written: str) -> str | None:
    try:
        return None if sha256_file(path) == written else _changed(path)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"


def _names(folder: Path) -> list[str]:
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if name != LIST)


def _changed(path: Path) -> str:
    return f"{path} has changed since it was written (its SHA-256 differs)"
