"""The whole folder: what is found, what is read again, and what an interruption leaves."""

import os
import socket

import pytest
from scan_archive import KEY, mammogram, save, scan

from mammo_jax.limited_processes import Stopped
from mammo_jax.scan import inventory
from mammo_jax.scan.inventory import ScanError, ScanPlan, read_rows, scan_files


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        save(tmp_path / "in" / f"{number % 2}" / f"{number}.dcm", mammogram(number))
    return tmp_path / "in"


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read."""
    names = []

    def describe(file, key, check):
        names.append(file.path.name)
        return original(file, key, check)

    original = inventory.describe
    monkeypatch.setattr(inventory, "describe", describe)
    return names


def test_only_new_and_changed_files_are_read_again_and_rows_of_files_that_are_gone_go(folder, tmp_path, read):
    first = scan(folder, tmp_path / "out")
    assert [row["path"] for row in first] == ["0/0.dcm", "0/2.dcm", "0/4.dcm", "1/1.dcm", "1/3.dcm", "1/5.dcm"]
    assert scan(folder, tmp_path / "out") == first
    assert len(read) == 6
    os.utime(folder / "0" / "2.dcm", ns=(1, 1))
    save(folder / "0" / "3.dcm", mammogram(9))
    (folder / "1" / "1.dcm").unlink()
    again = scan(folder, tmp_path / "out")
    assert read[6:] == ["2.dcm", "3.dcm"]
    assert [row["path"] for row in again] == ["0/0.dcm", "0/2.dcm", "0/3.dcm", "0/4.dcm", "1/3.dcm", "1/5.dcm"]
    assert scan(folder, tmp_path / "new") == again
    assert (tmp_path / "new" / "scan.csv").read_bytes() == (tmp_path / "out" / "scan.csv").read_bytes()


def test_checking_the_pixels_later_reads_every_file_again(folder, tmp_path, read):
    scan(folder, tmp_path / "out")
    rows = scan(folder, tmp_path / "out", check="pixels")
    assert len(read) == 12
    assert {row["hash_of"] for row in rows} == {"pixels"}


@pytest.mark.parametrize("cut", [1, 40, 700])
def test_a_table_that_was_cut_anywhere_goes_on_to_the_same_bytes(folder, tmp_path, cut):
    scan(folder, tmp_path / "out")
    table = tmp_path / "out" / "scan.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-cut])
    scan(folder, tmp_path / "out")
    assert table.read_bytes() == whole


def test_processes_give_the_same_table(folder, tmp_path, monkeypatch):
    rows = scan(folder, tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setitem(inventory.FILES_AT_A_TIME, "headers", 2)
    plan = ScanPlan(folder, tmp_path / "two", KEY)
    scan_files(plan, 2)
    assert list(read_rows(plan.table)) == rows


def test_a_file_that_stops_its_process_takes_no_other_with_it(folder, tmp_path, monkeypatch):
    def stop_one(function, items, *_):
        for files in items:
            stops = any(file.path.name == "3.dcm" for file in files)
            yield Stopped("takes longer than 600 s") if stops else function(files)

    expected = scan(folder, tmp_path / "whole")
    monkeypatch.setattr(inventory, "results_within_limits", stop_one)
    rows = scan(folder, tmp_path / "out")
    assert [row["left_out"] for row in rows] == ["", "", "", "", "takes longer than 600 s", ""]
    assert [row for row in rows if not row["left_out"]] == [row for row in expected if row["path"] != "1/3.dcm"]


def test_what_is_no_regular_file_is_a_row_and_not_opened(folder, tmp_path):
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
    (tmp_path / "outside").write_text("secret")
    (folder / "leads_out").symlink_to(tmp_path / "outside")
    (folder / "leads_in").symlink_to(folder / "0" / "0.dcm")
    (folder / "circle").symlink_to("circle")
    (folder / "folder").symlink_to(folder / "1")
    (folder / ".hidden").write_text("hidden")
    os.mkdir(folder / "out")
    rows = {row["path"]: row for row in scan(folder, folder / "out")}
    for name in ("fifo", "socket", "leads_out", "circle", "folder"):
        assert rows.pop(name)["left_out"], name
    assert rows.pop("leads_in")["left_out"] == ""
    assert len(rows) == 6


def test_names_of_any_bytes_are_one_line_each_and_are_found_again(folder, tmp_path, read):
    for name in (b"two\nlines", b"\xff\xfe", b'comma, "quote"', "a\u2028b".encode(), b"\r"):
        with open(os.fsencode(folder) + b"/" + name, "wb") as stream:
            stream.write(b"none")
    rows = scan(folder, tmp_path / "out")
    assert len(rows) == 11
    assert len((tmp_path / "out" / "scan.csv").read_text(encoding="utf-8").splitlines()) == 12
    assert scan(folder, tmp_path / "out") == rows
    assert len(read) == 11


def test_a_folder_that_cannot_be_read_is_a_row(folder, tmp_path, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("1"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    rows = scan(folder, tmp_path / "out")
    assert [row["path"] for row in rows if row["left_out"]] == ["1"]
    assert "Permission denied" in next(row["left_out"] for row in rows if row["left_out"])


def test_errors_say_what_to_do(folder, tmp_path):
    with pytest.raises(ScanError, match="nowhere: is no folder that can be read"):
        scan(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError, match="no file there"):
        scan(tmp_path / "empty", tmp_path / "out")
    scan(folder, tmp_path / "out")
    with pytest.raises(ScanError, match="choose another --out"):
        scan(folder, folder / "0" / "..")
    with pytest.raises(ScanError, match="another hashed_names"):
        scan(folder, tmp_path / "out", hashed_names=True)
