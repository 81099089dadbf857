"""No file ends a batch: what stands in a folder beside images, and what goes wrong with one of them."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dicom_files import dataset, write
from PIL import Image

from mammo_jax.compression import batch
from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import list_files
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.limited_processes import Limits

PIXELS = np.add.outer(np.arange(64) * 9, np.arange(80) * 7).astype(np.uint16)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(batch, "results_within_limits", lambda function, items, *_: map(function, items))


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    write(folder / "good.dcm", dataset(PIXELS))
    return folder


def run(archive, *more, limits=Limits(), **settings):  # noqa: B008 - frozen
    plan = CompressionPlan(**{"out": archive.parent / "out", "ratios": (20.0,), "key": b"k" * 32, **settings})
    left_out = compress_files(plan, list_files([archive, *more], plan), 1, limits)
    assert (plan.out / "good.dcm").is_file()
    listed = pd.read_csv(plan.out / "left_out.csv", keep_default_na=False)
    reasons = {file.name: file.reason for file in left_out}
    assert dict(zip(listed["path"], listed["reason"])) == reasons
    return reasons


def test_what_is_no_file_is_not_opened(archive, tmp_path):
    os.mkfifo(archive / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(archive / "socket"))
    reasons = run(archive, tmp_path / "archive" / "pipe")
    assert reasons == {"pipe": "is a FIFO, and is not opened", "socket": "is a socket, and is not opened"}


def test_devices_are_not_opened(archive):
    assert run(archive, Path("/dev/null")) == {"null": "is a character device, and is not opened"}


def test_links_that_leave_the_folder_are_not_followed(archive, tmp_path):
    (tmp_path / "else").mkdir()
    write(tmp_path / "else" / "a.dcm", dataset(PIXELS))
    (archive / "inside").symlink_to("good.dcm")
    (archive / "outside").symlink_to(tmp_path / "else" / "a.dcm")
    (archive / "folder").symlink_to(tmp_path / "else")
    (archive / "circle").symlink_to("circle")
    (archive / "nothing").symlink_to("absent")
    (archive / "device").symlink_to("/dev/zero")
    reasons = run(archive)
    assert set(reasons) == {"outside", "folder", "circle", "nothing", "device"}
    assert "leaves the folder" in reasons["outside"]
    assert "leaves the folder" in reasons["device"]
    assert "link to a folder" in reasons["folder"]
    assert "link to nothing" in reasons["circle"]
    assert "link to nothing" in reasons["nothing"]
    assert (tmp_path / "out" / "inside").is_file()


def test_files_with_the_same_result_are_left_out_by_name(archive, tmp_path):
    for name in ("b.png", "b.tif"):
        Image.fromarray(PIXELS).save(archive / name)
    (tmp_path / "second").mkdir()
    write(tmp_path / "second" / "c.dcm", dataset(PIXELS))
    write(archive / "c.dcm", dataset(PIXELS.T.copy()))
    reasons = run(archive, tmp_path / "second", archive / "good.dcm")
    assert reasons["b.png"] == "would become the same file as b.tif; rename one"
    assert reasons["b.tif"] == "would become the same file as b.png; rename one"
    assert reasons["c.dcm"] == "would become the same file as a file of the same name in another folder; rename one"
    assert set(reasons) == {"b.png", "b.tif", "c.dcm"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "good.dcm", "left_out.csv", "settings.json", "sizes.csv",
    ]  # fmt: skip


def test_no_result_takes_the_place_of_a_table(archive, tmp_path):
    write(archive / "sizes.csv", dataset(PIXELS))
    assert "replace a table" in run(archive)["sizes.csv"]
    plan = CompressionPlan(out=tmp_path / "out", ratios=(20.0, 30.0))  # where results have folders of their own
    assert list_files([archive], plan).left_out == []


def test_what_cannot_be_opened_is_left_out(archive, monkeypatch):
    write(archive / "closed.dcm", dataset(PIXELS))
    (archive / "folder").mkdir()
    opened, listed = type(archive).open, os.scandir

    def open_others(path, *arguments, **options):
        if path.name == "closed.dcm":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    def list_others(path):
        if str(path).endswith("folder"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(type(archive), "open", open_others)
    monkeypatch.setattr(os, "scandir", list_others)
    assert run(archive) == {
        "closed.dcm": "cannot be read (Permission denied); check the path",
        "folder": "the folder cannot be listed (Permission denied)",
    }


def test_names_that_are_no_text_or_hold_line_breaks_stay_one_row(archive, tmp_path):
    for name in (b"\xff\n\xe2\x80\xa8.dcm", b'a,"b\r.png', "ä.txt".encode()):
        (archive / os.fsdecode(name)).write_bytes((archive / "good.dcm").read_bytes() if b"dcm" in name else b"x")
    reasons = run(archive)
    assert set(reasons) == {'a,"b\\r.png', "ä.txt"}
    before = (tmp_path / "out" / "sizes.csv").read_text()
    assert len(before.splitlines()) == 3
    assert "\\udcff\\n\\u2028.dcm" in before
    run(archive)
    assert (tmp_path / "out" / "sizes.csv").read_text() == before


def test_a_name_that_is_too_long_for_its_temporary_file(archive):
    (archive / ("x" * 251 + ".dcm")).write_bytes((archive / "good.dcm").read_bytes())
    (reason,) = run(archive).values()
    assert reason == "its result cannot be written (File name too long); rename it"


def test_any_other_fault_is_a_row_that_quotes_nothing(archive, monkeypatch, tmp_path):
    write(archive / "faulty.dcm", dataset(PIXELS))
    original = batch.compress_file

    def fail_half_way(plan, file):
        rows = original(plan, file)
        if file.path.name == "faulty.dcm":
            raise KeyError("Geheim^Gerda")
        return rows

    monkeypatch.setattr(batch, "compress_file", fail_half_way)
    reason = run(archive)["faulty.dcm"]
    assert "KeyError at test_unusual_files.py:" in reason
    assert "Gerda" not in reason
    assert not (tmp_path / "out" / "faulty.dcm").exists()


def test_a_full_disk_ends_the_run_in_one_line(archive, monkeypatch):
    def write_instance(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mammo_jax.compression.files.write_instance", write_instance)
    with pytest.raises(CompressionError, match=r"out: cannot be written to \(No space left on device\); mend that"):
        run(archive)


def test_a_file_that_takes_too_long_is_left_out(archive, monkeypatch, tmp_path):
    monkeypatch.undo()
    write(archive / "large.dcm", dataset(np.random.default_rng(0).integers(0, 4096, (6000, 6000)).astype(np.uint16)))
    (tmp_path / "out").mkdir()
    plan = CompressionPlan(out=tmp_path / "out", ratios=(20.0,), key=None)
    listing = list_files([archive / "large.dcm"], plan)
    for limits, reason in ((Limits(seconds=0.1), "takes longer than"), (Limits(gigabytes=0.2), "needs more")):
        (left_out,) = compress_files(plan, listing, 1, limits)
        assert left_out.reason.startswith(reason)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["left_out.csv", "settings.json", "sizes.csv"]


def test_temporary_files_of_a_killed_run_are_removed(archive, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "out" / "deep").mkdir(parents=True)
    stale = [tmp_path / "out" / f".good.dcm.{ended.pid}.tmp", tmp_path / "out" / "deep" / f".a.{ended.pid}.tmp"]
    others = [tmp_path / "out" / f".mine.{os.getppid()}.tmp", tmp_path / "out" / ".note.tmp"]
    for path in (*stale, *others):
        path.touch()
    run(archive)
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in others)
