"""Excel workbooks (.xlsx), as some data sets have for a table: the cells of one sheet, as text.

A workbook is a ZIP file of XML parts (ISO/IEC 29500-1, SpreadsheetML; 29500-2, the package).
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from mammo_jax.sources.mammogram import SourceError
from mammo_jax.sources.tables import Row, rows_of

MAX_PART_BYTES = 1 << 26
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_LETTERS = re.compile(r"[A-Z]{1,3}")


def read_sheet(path: Path | str, required: Sequence[str], *, sheet: str | None = None) -> list[Row]:
    """Read one sheet whose first line is the header.

    Parameters
    ----------
    path : path of an .xlsx file
    required : field names that the header must have
    sheet : name of the sheet; None takes the first

    Returns
    -------
    list of Row
        Cells as text; a whole number is written without a fraction. Columns without a name, and empty lines, are left
        out.

    Raises
    ------
    SourceError
        The file is missing, is no workbook, has no such sheet, or lacks a required field.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as package:
            strings = _shared_strings(path, package)
            root = _part(path, package, _sheet_part(path, package, sheet))
            numbered = [
                (int(row.get("r") or position), _cells(row, strings))
                for position, row in enumerate(root.iter(f"{_MAIN}row"), 1)
            ]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give the path of an .xlsx file") from error
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, NotImplementedError, ElementTree.ParseError) as error:
        raise SourceError(f"{path}: is not a readable .xlsx workbook ({error}); download it again") from error
    filled = [(line, cells) for line, cells in numbered if any(cells.values())]
    names = {column: name for column, name in filled[0][1].items() if name} if filled else {}
    return rows_of(path, [(line, [cells.get(column, "") for column in names]) for line, cells in filled], required)


def _part(path: Path, package: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """Parse one part; its size is checked before it is unpacked, and a document type, which could grow, is refused."""
    if package.getinfo(name).file_size > MAX_PART_BYTES:
        raise SourceError(f"{path}: its part {name} is larger than {MAX_PART_BYTES} bytes; the file is damaged")
    data = package.read(name)
    if b"<!DOCTYPE" in data:
        raise SourceError(f"{path}: its part {name} has a document type, which a workbook has not; it is damaged")
    return ElementTree.fromstring(data)


def _shared_strings(path: Path, package: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in package.namelist():
        return []
    return [_text(item) for item in _part(path, package, "xl/sharedStrings.xml").iter(f"{_MAIN}si")]


def _text(item: ElementTree.Element) -> str:
    """Join the runs of a string, without those that say how to pronounce it."""
    for phonetic in item.findall(f"{_MAIN}rPh"):
        item.remove(phonetic)
    return "".join(part.text or "" for part in item.iter(f"{_MAIN}t"))


def _sheet_part(path: Path, package: zipfile.ZipFile, sheet: str | None) -> str:
    sheets = {
        entry.get("name", ""): entry.get(_RELATION)
        for entry in _part(path, package, "xl/workbook.xml").iter(f"{_MAIN}sheet")
    }
    if not sheets or (sheet is not None and sheet not in sheets):
        raise SourceError(f"{path}: has no sheet {sheet or ''!r}, only {', '.join(sheets) or 'none'}")
    wanted = sheets[sheet or next(iter(sheets))]
    for relation in _part(path, package, "xl/_rels/workbook.xml.rels"):
        if relation.get("Id") == wanted:
            return posixpath.normpath(posixpath.join("/xl", relation.get("Target", ""))).lstrip("/")
    raise SourceError(f"{path}: does not say where its sheet is; download it again")


def _cells(row: ElementTree.Element, strings: Sequence[str]) -> dict[str, str]:
    """Return the text of each cell by its column's letters."""
    found: dict[str, str] = {}
    for position, cell in enumerate(row.iter(f"{_MAIN}c")):
        letters = _LETTERS.match(cell.get("r", ""))
        found[letters.group() if letters else f"#{position}"] = _cell_text(cell, strings).strip()
    return found


def _cell_text(cell: ElementTree.Element, strings: Sequence[str]) -> str:
    kind, inline = cell.get("t", "n"), cell.find(f"{_MAIN}is")
    if inline is not None:
        return _text(inline)
    value = cell.findtext(f"{_MAIN}v") or ""
    if kind == "s":
        return strings[int(value)]
    return value.removesuffix(".0") if kind == "n" else value
