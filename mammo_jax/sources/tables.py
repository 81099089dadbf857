"""CSV tables whose errors name the file, the line, the field and what to do."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_jax.sources.mammogram import LABELS, SourceError

logger = logging.getLogger(__name__)

_SIDES = {"LEFT": "L", "RIGHT": "R"}


def is_name(text: str) -> bool:
    """Whether a text is the name of one file, and cannot lead out of its folder."""
    return "/" not in text and "\0" not in text and text not in ("", ".", "..")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    table : Path
    line : int
        Line number in the file, the header being line 1.
    cells : mapping of str to str
        Field name to text, blanks stripped.
    """

    table: Path
    line: int
    cells: Mapping[str, str]

    def error(self, field: str, problem: str) -> SourceError:
        """Return the error for one field of this line; the caller raises it."""
        return SourceError(f"{self.table}, line {self.line}, field {field!r}: {problem}")

    def text(self, field: str) -> str:
        """Return the text of an optional field; empty if the column or the cell is missing."""
        return self.cells.get(field, "")

    def required(self, field: str) -> str:
        """Return the text of a field that must not be empty."""
        text = self.text(field)
        if not text:
            raise self.error(field, "is empty; fill it in")
        return text

    def name(self, field: str) -> str:
        """Return the text of a field that must be the name of one file or folder, and no path."""
        text = self.required(field)
        if not is_name(text):
            raise self.error(field, f"{text!r} is no name of a file; a path is not allowed here")
        return text

    def number(self, field: str) -> float | None:
        """Return the finite number in an optional field, None if it is empty."""
        text = self.text(field)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(field, f"{text!r} is not a number")
        return value

    def choice(self, field: str, choices: Sequence[str]) -> str:
        """Return the text of an optional field, which must be one of `choices` or empty."""
        text = self.text(field)
        if text and text not in choices:
            raise self.error(field, f"{text!r} is not one of {', '.join(choices)}")
        return text


def read_table(path: Path | str, required: Sequence[str], *, delimiter: str = ",") -> list[Row]:
    """Read a CSV file with a header line.

    Parameters
    ----------
    path : path of a UTF-8 file (a byte-order mark is accepted)
    required : field names that the header must have
    delimiter : character between the cells

    Raises
    ------
    SourceError
        The file is missing, is not UTF-8 or not CSV, has no rows, a row of the wrong length, or lacks a required field.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True, delimiter=delimiter)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: is not a UTF-8 CSV file ({error}); save it as CSV, UTF-8") from error
    return rows_of(path, lines, required)


def rows_of(path: Path, lines: Sequence[tuple[int, Sequence[str]]], required: Sequence[str]) -> list[Row]:
    """Return the rows of a table whose first line is the header.

    Parameters
    ----------
    path : path of the file, for messages
    lines : (line number, cells) of every line
    required : field names that the header must have

    Raises
    ------
    SourceError
        As `read_table`.
    """
    if len(lines) < 2:
        raise SourceError(f"{path}: has no rows; a header line and at least one row are needed")
    header = lines[0][1]
    missing = [field for field in required if field not in header]
    if missing:
        raise SourceError(f"{path}: lacks the column {', '.join(missing)}; its header is {', '.join(header)}")
    if len(set(header)) < len(header):
        raise SourceError(f"{path}: the header names a column twice; rename one: {', '.join(header)}")
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise SourceError(
                f"{path}, line {line}: has {len(cells)} cells, the header has {len(header)}; quote commas"
            )
    return [Row(path, line, dict(zip(header, cells))) for line, cells in lines[1:]]


def in_our_words(rows: Sequence[Row], label_fields: Sequence[str]) -> list[Row]:
    """Return rows with labels in lower case, which is logged, and with L and R for LEFT and RIGHT in ``laterality``."""
    ours, lowered = [], False
    for row in rows:
        cells = dict(row.cells)
        for field in label_fields:
            if row.text(field) not in LABELS and row.text(field).lower() in LABELS:
                cells[field], lowered = row.text(field).lower(), True
        side = row.text("laterality").upper()
        if side in _SIDES:
            cells["laterality"] = _SIDES[side]
        ours.append(replace(row, cells=cells))
    if lowered:
        logger.warning("%s: labels in upper case are taken as %s", rows[0].table, ", ".join(LABELS))
    return ours
