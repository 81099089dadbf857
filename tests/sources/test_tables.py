import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_jax.sources.mammogram import SourceError
from mammo_jax.sources.tables import read_table


def table(tmp_path, text, encoding="utf-8"):
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    return tmp_path / "t.csv"


def test_rows_know_their_line(tmp_path):
    first, second = read_table(table(tmp_path, 'a,b\n1,"x\ny"\n\n 2 , z \n'), ["a"])
    assert first.cells == {"a": "1", "b": "x\ny"}
    assert second.cells == {"a": "2", "b": "z"}
    assert str(second.error("b", "bad")) == f"{tmp_path / 't.csv'}, line 5, field 'b': bad"


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    (row,) = read_table(table(tmp_path, "a,b\r\n1,2\r\n", "utf-8-sig"), ["a", "b"])
    assert row.cells == {"a": "1", "b": "2"}


BAD = {
    "empty": ("", "no rows"),
    "header only": ("a,b\n", "no rows"),
    "column missing": ("a,c\n1,2\n", "lacks the column b; its header is a, c"),
    "column twice": ("a,b,b\n1,2,3\n", "names a column twice"),
    "short line": ("a,b\n1,2\n3\n", "line 3: has 1 cells"),
    "long line": ("a,b\n1,2,3\n", "line 2: has 3 cells"),
    "open quote": ('a,b\n"1,2\n', "not a UTF-8 CSV"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_tables_are_named(tmp_path, kind):
    text, message = BAD[kind]
    with pytest.raises(SourceError, match=f"{tmp_path / 't.csv'}.*{message}"):
        read_table(table(tmp_path, text), ["a", "b"])


def test_other_encodings_and_missing_files_are_named(tmp_path):
    with pytest.raises(SourceError, match="not a UTF-8 CSV"):
        read_table(table(tmp_path, "a,b\nä,2\n", "latin-1"), ["a"])
    with pytest.raises(SourceError, match=r"nowhere.csv: cannot be read"):
        read_table(tmp_path / "nowhere.csv", ["a"])


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("-2", -2.0), ("", None), ("1e3", 1000.0)])
def test_numbers(tmp_path, text, value):
    (row,) = read_table(table(tmp_path, f"a,b\n{text},x\n"), [])
    assert row.number("a") == value
    assert row.number("no such column") is None


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1;5"])
def test_what_is_no_number_is_named(tmp_path, text):
    (row,) = read_table(table(tmp_path, f"a,b\n{text},x\n"), [])
    with pytest.raises(SourceError, match=r"line 2, field 'a'.*not a number"):
        row.number("a")


def test_required_fields_and_choices(tmp_path):
    (row,) = read_table(table(tmp_path, "a,b\n,x\n"), [])
    assert row.choice("b", ("x", "y")) == "x"
    assert row.choice("a", ("x", "y")) == ""
    with pytest.raises(SourceError, match="'x' is not one of p, q"):
        row.choice("b", ("p", "q"))
    with pytest.raises(SourceError, match="field 'a': is empty"):
        row.required("a")


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["a", "b"], ["first", "line"], *lines])
    rows = read_table(path, ["a", "b"])
    assert [list(row.cells.values()) for row in rows[1:]] == [[cell.strip() for cell in line] for line in lines]


@given(content=st.binary(max_size=60))
def test_any_bytes_give_rows_or_one_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(content)
    rows, message = [], ""
    try:
        rows = read_table(path, [])
    except SourceError as error:
        message = str(error)
    assert rows or str(path) in message
