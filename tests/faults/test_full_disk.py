"""A full disk ends a job with one line, leaves nothing in part, and with space made it goes on to the same bytes."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dicom_files import dataset, write

from mammo_jax.jobs import compress, prepare, train

LINE = r"error: the disk is full \(.*\)\. What is finished is kept; run the same command again to go on\. Make space"


class Disk:
    """A file system of a few bytes, which can be made larger."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", path], capture_output=True, text=True)
        if done.returncode:
            path.rmdir()
            pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")

    def resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.unmount()


def contents(folder: Path) -> dict[str, bytes]:
    """Files by name, but for what holds the time or the folder."""
    own = {"log.jsonl", "config.json", ".lock", ".lock.json"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in own}


def used(folder: Path) -> int:
    """Bytes on a disk of whole pages."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def ends_with_one_line(job, disk: Disk, whole: dict[str, bytes]) -> None:
    with pytest.raises(SystemExit) as ended:
        job()
    line = str(ended.value)
    assert re.match(LINE, line), line
    assert "\n" not in line
    left = contents(disk.path)
    assert not [name for name in left if name.endswith(".tmp")]
    assert [name for name in left if not name.endswith(".csv") and left[name] != whole.get(name)] == []


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_compress(share, disk, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mammo_jax.compression.batch.results_within_limits", lambda function, items, *_: map(function, items)
    )
    (tmp_path / "in").mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 4096, (120, 100)).astype(np.uint16)
        write(tmp_path / "in" / f"{number}.dcm", dataset(pixels))
    (tmp_path / "key").write_bytes(b"k" * 32)
    flags = [str(tmp_path / "in"), "--ratio", "3", "9", "--id-key", str(tmp_path / "key")]
    compress.main([*flags, "--out", str(tmp_path / "whole")])
    whole = contents(tmp_path / "whole")
    disk.resize(int(share * used(tmp_path / "whole")))
    for _ in range(2):  # again, before there is space
        ends_with_one_line(
            lambda: compress.main([*flags, "--out", str(disk.path / "out")]),
            disk,
            {f"out/{name}": whole[name] for name in whole},
        )
    disk.resize(1 << 24)
    compress.main([*flags, "--out", str(disk.path / "out")])
    assert contents(disk.path / "out") == whole


def phantoms(tmp_path: Path) -> list[str]:
    """Flags of a study of a few drawn images."""
    flags = ["--images", "12", "--rows", "416", "--columns", "320", "--phantom-pitch", "0.56", "--target", "lesion"]
    flags += ["--ratios", "15", "--folds", "2", "--epochs", "1", "--filters", "2", "2", "2", "--validation-parts", "1"]
    return [*flags, "--input-rows", "32", "--input-columns", "32", "--workers", "1"]


def prepares(share: float, disk: Disk, tmp_path: Path, flags: list[str]) -> None:
    prepare.main([*flags, "--out", str(tmp_path / "whole")])
    whole = contents(tmp_path / "whole")
    disk.resize(int(share * used(tmp_path / "whole")))
    out = ["--out", str(disk.path / "out")]
    ends_with_one_line(lambda: prepare.main([*flags, *out]), disk, {f"out/{name}": whole[name] for name in whole})
    disk.resize(1 << 26)
    prepare.main([*flags, *out])
    assert contents(disk.path / "out") == whole


@pytest.mark.parametrize("share", [0.1, 0.7])
def test_prepare(share, disk, tmp_path, without_processes):
    prepares(share, disk, tmp_path, phantoms(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.4, 0.6, 0.85, 0.97])
def test_prepare_in_processes(share, disk, tmp_path):
    prepares(share, disk, tmp_path, [*phantoms(tmp_path), "--workers", "2"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax leaves what it could not write
@pytest.mark.parametrize("spare", [20_000, 60_000])
def test_training(spare, disk, tmp_path, without_processes):
    flags = phantoms(tmp_path)
    prepare.main([*flags, "--out", str(tmp_path / "whole")])
    before = used(tmp_path / "whole")
    disk.resize(1 << 26)
    shutil.copytree(tmp_path / "whole", disk.path / "out")
    train.main([*flags, "--out", str(tmp_path / "whole")])
    disk.resize(before + spare)
    with pytest.raises(SystemExit, match=LINE):
        train.main([*flags, "--out", str(disk.path / "out")])
    disk.resize(1 << 26)
    train.main([*flags, "--out", str(disk.path / "out")])
    tables = [pd.read_parquet(folder / "predictions.parquet") for folder in (disk.path / "out", tmp_path / "whole")]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=0)
