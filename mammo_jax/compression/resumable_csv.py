"""A CSV file to which a long job adds rows, and from which an interrupted job resumes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """

    def __init__(self, path: Path, columns: Sequence[str], group: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._columns = path, columns
        complete = _drop_incomplete_group(path, group)
        self._open()
        if not complete:
            self._writer.writeheader()

    def _open(self) -> None:
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, self._columns, lineterminator="\n")

    def rows(self) -> Iterator[dict[str, str]]:
        """Read the rows of the file one by one, as text; there may be millions."""
        with self._path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)

    def keep(self, wanted: Callable[[Mapping[str, str]], bool]) -> None:
        """Delete all rows from the file that are not wanted."""
        if all(wanted(row) for row in self.rows()):
            return
        with atomic_path(self._path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in self.rows() if wanted(row))
        self._file.close()
        self._open()

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append a group of rows and flush it to the file."""
        self._writer.writerows(rows)
        self._file.flush()

    def __enter__(self) -> ResumableCsv:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()


def _drop_incomplete_group(path: Path, group: int) -> int:
    """Cut a table after its header and whole groups of lines; returns the bytes left."""
    complete = end = 0
    with path.open("a+b") as file:
        file.seek(0)
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break
            end += len(line)
            if number % group == 0:
                complete = end
        file.truncate(complete)
    return complete
