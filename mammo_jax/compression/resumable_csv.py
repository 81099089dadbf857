"""A CSV file to which a long job adds rows, and from which an interrupted job resumes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mammo_jax.files import atomic_path


class ResumableCsv:
    """A CSV file to which groups of rows are added; use it as a context manager.

    Parameters
    ----------
    path : Path
        Created if it is missing. An incomplete last group, from an interruption, is dropped.
    columns : sequence of str
    group : int
        Rows that are added at a time.

    Attributes
    ----------
    rows : list of dict
        The rows that were in the file before, as text.
    """

    def __init__(self, path: Path, columns: Sequence[str], group: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._columns = path, columns
        self._file = path.open("a+", encoding="utf-8", newline="")
        self._file.seek(0)
        lines = [line for line in self._file.read().splitlines(keepends=True) if line.endswith("\n")]
        complete = lines[: 1 + max(len(lines) - 1, 0) // group * group]  # the header and whole groups
        self._file.truncate(len("".join(complete).encode()))
        self.rows = list(csv.DictReader(complete))
        self._writer = csv.DictWriter(self._file, columns, lineterminator="\n")
        if not complete:
            self._writer.writeheader()

    def keep(self, wanted: Callable[[Mapping[str, str]], bool]) -> None:
        """Delete all rows from the file that are not wanted."""
        kept = [row for row in self.rows if wanted(row)]
        if len(kept) == len(self.rows):
            return
        with atomic_path(self._path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
        self._file.close()
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, self._columns, lineterminator="\n")
        self.rows = kept

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append a group of rows and flush it to the file."""
        self._writer.writerows(rows)
        self._file.flush()

    def __enter__(self) -> ResumableCsv:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
