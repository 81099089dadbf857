"""Workbooks of Excel."""

import pytest
from workbooks import workbook

from mammo_jax.sources import SourceError
from mammo_jax.sources.spreadsheets import read_sheet


def test_a_workbook_is_read_as_text(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx", {"first": [("name", "n", ""), ("  é & <b>", 3, "x"), ("", "", ""), ("b", 2.5)]}
    )
    rows = read_sheet(path, ("name", "n"))
    assert [(row.line, dict(row.cells)) for row in rows] == [
        (2, {"name": "é & <b>", "n": "3"}),
        (4, {"name": "b", "n": "2.5"}),
    ]
    for sheet, required, said in (("second", ("name",), "has no sheet 'second', only first"), (None, ("age",), "age")):
        with pytest.raises(SourceError, match=said):
            read_sheet(path, required, sheet=sheet)
    for damaged in (b"", b"PK\3\4", path.read_bytes()[:-30], path.read_bytes().replace(b"worksheets", b"worksheetz")):
        (tmp_path / "b.xlsx").write_bytes(damaged)
        with pytest.raises(SourceError, match=r"b\.xlsx: is not a readable \.xlsx workbook"):
            read_sheet(tmp_path / "b.xlsx", ("name",))
