import os
import subprocess
import sys

import pytest

from mammo_jax.files import (
    atomic_directory,
    atomic_path,
    read_json,
    remove_stale_temporaries,
    sha256_file,
    sha256_json,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError, match="half-way"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half-way")
    assert read_json(path) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["value.json"]


def test_a_failed_directory_is_removed_and_a_good_one_appears(tmp_path):
    with pytest.raises(RuntimeError, match="half-way"), atomic_directory(tmp_path / "part") as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError("half-way")
    assert list(tmp_path.iterdir()) == []
    with atomic_directory(tmp_path / "part") as temporary:
        (temporary / "a").write_text("whole")
    assert (tmp_path / "part" / "a").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_what_a_killed_process_left_is_removed_and_never_in_the_way(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "deep").mkdir()
    part = tmp_path / "deep" / "part"
    for process in (ended.pid, os.getppid(), os.getpid()):
        (part.with_name(f".part.{process}.tmp") / "half").mkdir(parents=True)
        (tmp_path / f".a.{process}.tmp").touch()
    remove_stale_temporaries(tmp_path)
    left = {path.name for path in tmp_path.rglob(".*")}
    assert left == {f".{name}.{process}.tmp" for name in ("a", "part") for process in (os.getppid(), os.getpid())}
    with atomic_directory(part) as temporary:  # by a process with the number of the one that was killed
        (temporary / "a").write_text("whole")
    assert [path.name for path in part.iterdir()] == ["a"]


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", float("nan"))


def test_hashes_are_those_of_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1}) != sha256_json({"a": 1, "b": 2})
