"""Atomic writing of files and folders, and hashes of files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp", re.DOTALL)
PAGE_STYLE = Path(__file__).with_name("page_style.html")
"""The style of every HTML page, to be included by their templates."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path next to `path` to write to; on success it is flushed to disk and renamed to `path`.

    On an exception the temporary file is removed and an existing file at `path` does not change. The process id is part
    of the temporary name, so that two processes never share one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        _flush_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Yield a temporary directory next to `path`; on success its files are flushed to disk and it is renamed to `path`.

    On an exception it is removed. `path` must not exist yet.
    """
    path = Path(path)
    temporary = temporary_path(path)
    shutil.rmtree(temporary, ignore_errors=True)  # in a container, processes of a killed run had the same numbers
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for written in temporary.rglob("*"):
            if written.is_file():
                with written.open("rb") as stream:
                    os.fsync(stream.fileno())
            else:
                _flush_directory(written)
        temporary.replace(path)
        _flush_directory(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_path(path: Path) -> Path:
    """Name beside `path` that only this process uses, and that `remove_stale_temporaries` knows after it has ended."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_stale_temporaries(folder: Path | str) -> None:
    """Remove temporary files and directories at any depth of `folder` whose process ended before it renamed them."""
    for walked, subfolders, names in os.walk(folder):
        for name in filter(_is_stale, names):
            Path(walked, name).unlink(missing_ok=True)
        for name in filter(_is_stale, subfolders):
            shutil.rmtree(Path(walked, name))
        subfolders[:] = [name for name in subfolders if not _TEMPORARY.fullmatch(name)]


def _is_stale(name: str) -> bool:
    match = _TEMPORARY.fullmatch(name)
    return match is not None and not _is_running(int(match[1]))


def _flush_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process id at all
        return True
    return True


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON atomically; NaN and infinity raise ValueError, since JSON has no such numbers."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON-serialisable value in canonical form (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def display_bytes(size: float) -> str:
    """Format a size in SI units with three digits: 54321 becomes "54.3 kB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 99.95 else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
