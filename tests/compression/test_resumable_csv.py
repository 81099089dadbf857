import pytest

from mammo_jax.compression.resumable_csv import ResumableCsv

COLUMNS = ("id", "value")


def rows(name):
    return [{"id": name, "value": 1.5}, {"id": name, "value": "a, b"}]


def test_rows_are_there_again(tmp_path):
    path = tmp_path / "new" / "table.csv"
    for number, name in enumerate("xyz"):
        with ResumableCsv(path, COLUMNS, 2) as table:
            assert [row["id"] for row in table.rows()] == list("xxyy"[: 2 * number])
            table.add(rows(name))
    assert path.read_text().splitlines()[:3] == ["id,value", "x,1.5", 'x,"a, b"']


@pytest.mark.parametrize("lost", range(1, 20))
def test_what_an_interruption_left_of_a_group_is_dropped(tmp_path, lost):
    path = tmp_path / "table.csv"
    with ResumableCsv(path, COLUMNS, 2) as table:
        table.add(rows("whole"))
        table.add(rows("cut"))
    path.write_bytes(path.read_bytes()[:-lost])
    with ResumableCsv(path, COLUMNS, 2) as table:
        assert [row["id"] for row in table.rows()] == ["whole", "whole"]
        table.add(rows("again"))
    assert path.read_text() == 'id,value\nwhole,1.5\nwhole,"a, b"\nagain,1.5\nagain,"a, b"\n'


def test_rows_that_are_not_wanted_any_more_are_dropped(tmp_path):
    path = tmp_path / "table.csv"
    with ResumableCsv(path, COLUMNS, 2) as table:
        table.add(rows("old"))
        table.add(rows("good"))
    with ResumableCsv(path, COLUMNS, 2) as table:
        table.keep(lambda row: row["id"] != "old")
        assert [row["id"] for row in table.rows()] == ["good", "good"]
        table.add(rows("new"))
    with ResumableCsv(path, COLUMNS, 2) as table:
        assert [row["id"] for row in table.rows()] == ["good", "good", "new", "new"]
