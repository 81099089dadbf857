"""kill -9 of a receiver: what it has accepted gets its copy all the same, whole, and once."""

import csv
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pacs_servers import associate, mammogram
from pydicom import dcmread
from pydicom.encaps import get_frame

import codec
from mammo_jax.compression.verification import changed_files, read_written_files

RATIO = 9
TARGET = 40 * 48 * 2 // RATIO


class Receiving:
    """The job in a process of its own."""

    def __init__(self, out: Path, key: Path):
        flags = ["--port", "0", "--ratio", str(RATIO), "--out", str(out), "--id-key", str(key), "--workers", "1"]
        command = [sys.executable, "-m", "mammo_jax", "receive", *flags]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, process_group=0
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("MAMMO_JAX listens on 127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def send_until_killed(receiving: Receiving, numbers: list[int], seconds: float, *, at_once: bool) -> list[int]:
    """Send objects, and kill the receiver after some seconds, or at once after the last; those that it has accepted."""
    accepted = []
    end = time.monotonic() + seconds
    association = associate(receiving.port)
    for number in numbers:
        if time.monotonic() > end:
            break
        if association.send_c_store(mammogram(number)).get("Status") == 0:
            accepted.append(number)
    if not at_once:  # so that it is killed while it compresses
        time.sleep(max(0.0, end - time.monotonic()))
    receiving.kill()
    association.abort()
    return accepted


def check_nothing_is_lost(folder: Path, total: int, kills: int, seconds: float) -> None:
    (folder / "key").write_bytes(b"k" * 32)
    out = folder / "received"
    moments = random.Random(0)
    left, accepted = list(range(total)), []
    for kill in range(kills):
        share = left[: -(-len(left) // (kills - kill))]
        moment = moments.uniform(0.2, 1) * seconds
        some = send_until_killed(Receiving(out, folder / "key"), share, moment, at_once=kill % 2 == 0)
        accepted += some
        left = [number for number in left if number not in some]
        waiting = [path for path in (out / "incoming").iterdir() if path.suffix == ".dcm"]
        done = {dcmread(path).SourceImageSequence[0].ReferencedSOPInstanceUID for path in results(out)}
        there = done | {dcmread(path).SOPInstanceUID for path in waiting}
        assert {mammogram(number).SOPInstanceUID for number in accepted} <= there, "0 lost at any moment"
    receiving = Receiving(out, folder / "key")
    association = associate(receiving.port)
    assert [association.send_c_store(mammogram(number)).Status for number in left] == [0] * len(left)
    association.release()
    for _ in range(6000):
        if len(list(results(out))) == total and not any((out / "incoming").iterdir()):
            break
        time.sleep(0.1)
    receiving.kill()
    check_results(out, total)


def results(out: Path):
    return (path for path in (out / "compressed").glob("*.dcm") if path.name[0] != ".")


def check_results(out: Path, total: int) -> None:
    assert [path for path in (out / "incoming").iterdir() if path.suffix == ".dcm"] == []
    compressed = sorted(results(out))
    sources = [dcmread(path).SourceImageSequence[0].ReferencedSOPInstanceUID for path in compressed]
    assert sorted(sources) == sorted(mammogram(number).SOPInstanceUID for number in range(total)), "0 lost, 0 twice"
    problems, _ = changed_files(out / "compressed", read_written_files(out / "compressed"))
    assert problems == [], "0 partial: every hash is that of the table"
    with (out / "compressed" / "sizes.csv").open() as stream:
        assert [row["codestream_bytes"] for row in csv.DictReader(stream)] == [str(TARGET)] * total
    for path in compressed[:: max(1, total // 20)]:
        assert codec.decode(codec_frame(path)).shape == (40, 48)


def codec_frame(path: Path) -> bytes:
    return get_frame(dcmread(path).PixelData, 0, number_of_frames=1)[:TARGET]


def test_nothing_is_lost_by_kills(tmp_path):
    check_nothing_is_lost(tmp_path, total=12, kills=2, seconds=3)


@pytest.mark.slow
def test_nothing_of_a_thousand_is_lost_by_kills(tmp_path):
    check_nothing_is_lost(tmp_path, total=1000, kills=20, seconds=8)
