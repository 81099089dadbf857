"""kill -9 at random moments: no file is there in part, and the runs end with the bytes of one that was not killed.

The moments are drawn between the first file that an undisturbed run writes and its end; every other time only the
parent is killed, as by a system without memory, and its workers have to notice.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from copied_process import COPIES, Copies, Copy
from dicom_files import dataset, write

from mammo_jax.checksums import LIST, find_damage
from mammo_jax.training.checkpoints import load_checkpoint

pytestmark = pytest.mark.slow
TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
OF_THE_RUN = {".lock", ".lock.json"}
PHANTOMS = [
    *("--images", "40", "--rows", "416", "--columns", "320", "--phantom-pitch", "0.56", "--ratios", "15", "400"),
    *("--folds", "2", "--epochs", "3", "--filters", "4", "4", "8", "--target", "lesion", "--validation-parts", "3"),
    *("--input-rows", "32", "--input-columns", "32"),
]
TRAIN = """
from functools import partial
from mammo_jax.jobs import train
train.run_grid = partial(train.run_grid, checkpoint_seconds=0.0)
train.main()
"""


@dataclass
class Job:
    """A job that is killed: how it starts in a folder, and what of a folder that a kill has left is wrong."""

    start: Callable[[Path], subprocess.Popen]
    begin: Callable[[Path], None]
    problems: Callable[[Path, Path], list[str]]
    difference: Callable[[Path, Path], list[str]]


def popen(arguments, **pipes):
    # As in test_study: programs that are not optimised add up differently on one core and on two.
    flags = os.environ.get("XLA_FLAGS", "").replace("optimization_level=0", "optimization_level=1")
    paths = os.pathsep.join([*map(str, Path(__file__).parents[1:3]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": paths}
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL if pipes else subprocess.PIPE,
        "bufsize": 0,
    } | pipes
    return subprocess.Popen([sys.executable, *arguments], env=environment, start_new_session=True, **quiet)


def finish(process):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:].decode()


def undisturbed(job, out):
    """Run the job to its end; the seconds until its first file, and until its end."""
    job.begin(out)
    before, start = files(out), time.monotonic()
    process, first = job.start(out), None
    while process.poll() is None:
        if first is None and set(files(out)) - set(before):
            first = time.monotonic() - start
        time.sleep(0.05)
    finish(process)
    return first, time.monotonic() - start


def files(folder):
    """Contents by name, without locks; temporary files too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in OF_THE_RUN:
            try:
                found[str(path.relative_to(folder))] = path.read_bytes()
            except FileNotFoundError:  # a worker is at work, and has renamed it
                continue
    return found


def is_temporary(name):
    return any(TEMPORARY.fullmatch(part) or ".orbax-checkpoint-tmp" in part for part in Path(name).parts)


def kill(process, whole_group):
    """Kill a process at once, with its workers or alone; returns when none of them is there any more."""
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("workers outlive their parent")


def kill_at_random(job, folder, kills, seed):
    """Kill the job so often, resuming between; the number of finished runs, all of which were compared."""
    draw = random.Random(seed)
    reference = folder / "undisturbed"
    first, last = undisturbed(job, reference)
    done, finished, left = 0, 0, 0
    out = folder / "killed"
    job.begin(out)
    while done < kills:
        process = job.start(out)
        try:
            process.wait(draw.uniform(0.9 * first, last))
        except subprocess.TimeoutExpired:
            kill(process, whole_group=done % 2 == 0)
            done += 1
            print(f"kill {done}", flush=True)  # seen with -s; a run of all takes long
            left += sum(map(is_temporary, files(out)))
            assert job.problems(out, reference) == [], f"after kill {done}"
        else:
            finish(process)
            assert job.difference(out, reference) == []
            finished += 1
            shutil.rmtree(out)
            job.begin(out)
    finish(job.start(out))
    assert job.difference(out, reference) == []
    print(
        f"\n{done} kills from {first:.1f} s to {last:.1f} s, {finished + 1} runs finished, {left} temporary files left"
    )


def unequal(out, reference, *, but=()):
    """Names of files that one of the folders lacks, or that differ."""
    mine, others = files(out), files(reference)
    return sorted(
        name
        for name in mine.keys() | others.keys()
        if name not in but and (name not in mine or name not in others or mine[name] != others[name])
    )


def partial_files(out, reference, *, growing=()):
    """Names of files that are not as in the reference; of tables that grow, a last line may be unfinished."""
    others, wrong = files(reference), []
    for name, contents in files(out).items():
        if name in growing:
            lines = contents.splitlines(keepends=True)
            whole = lines if contents.endswith(b"\n") else lines[:-1]
            if not set(whole) <= set(others[name].splitlines(keepends=True)):
                wrong.append(name)
        elif not is_temporary(name) and contents != others.get(name):
            wrong.append(name)
    return wrong


@pytest.fixture
def archive(tmp_path):
    """DICOM objects, one of them of several frames, and image files."""
    folder = tmp_path / "archive"
    (folder / "deep").mkdir(parents=True)
    y, x = np.mgrid[:500, :400]
    for number in range(24):
        noise = np.random.default_rng(number).integers(0, 300, y.shape)
        pixels = (1800 + 1500 * np.sin((x + number) / 29) * np.cos(y / 37) + noise).astype(np.uint16)
        if number % 3 == 2:
            (folder / f"{number}.pgm").write_bytes(b"P5 400 500 4095\n" + pixels.astype(">u2").tobytes())
        elif number == 6:
            frames = {"NumberOfFrames": 2, "PixelData": np.stack([pixels, pixels[::-1]]).tobytes()}
            write(folder / "deep" / "frames.dcm", dataset(pixels, **frames))
        else:
            write(folder / "deep" / f"{number}.dcm", dataset(pixels))
    (folder / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM damaged")
    return folder


def test_compress_50_times(archive, tmp_path):
    (tmp_path / "key").write_bytes(b"k" * 32)
    flags = ["--ratio", "8", "40", "--workers", "2", "--id-key", str(tmp_path / "key")]
    job = Job(
        lambda out: popen(["-m", "mammo_jax", "compress", str(archive), "--out", str(out), *flags]),
        lambda out: None,
        lambda out, reference: partial_files(out, reference, growing=("sizes.csv",)),
        unequal,
    )
    kill_at_random(job, tmp_path, 50, seed=1)


def test_prepare_50_times(tmp_path):
    log = ("log.jsonl", "config.json")  # with the time, and the folder
    (tmp_path / "warm").mkdir()
    copies = Copies(
        popen(["-c", COPIES, str(tmp_path / "warm"), *PHANTOMS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    job = Job(
        lambda out: Copy(copies, out),
        lambda out: None,
        lambda out, reference: [name for name in partial_files(out, reference) if name not in log],
        lambda out, reference: unequal(out, reference, but=log),
    )
    kill_at_random(job, tmp_path, 50, seed=2)
    copies.process.kill()
    copies.process.communicate()


def damaged_models(out, reference):
    """What is wrong with the checkpoints and predictions of an unfinished run."""
    wrong = [name for name in partial_files(out, reference) if name.endswith(".parquet")]
    for path in out.glob("checkpoints/*/*/*/*"):
        whole = [path] if path.name == "model" else path.glob("[0-9]*") if path.name == "progress" else []
        wrong += [str(folder) for folder in whole if find_damage(folder) or not (folder / LIST).exists()]
    return wrong


def other_models(out, reference):
    """What differs between two finished runs; Orbax writes the time into files of its own."""
    names = {name for name in files(out) | files(reference) if "checkpoints" in name and not name.endswith(".parquet")}
    wrong = unequal(out, reference, but=names | {"log.jsonl", "config.json", "protocol.json"})
    wrong += [name for name in names if is_temporary(name) or "/progress/" in name]
    models = sorted(path.relative_to(out) for path in out.glob("checkpoints/*/*/*/model"))
    assert models == sorted(path.relative_to(reference) for path in reference.glob("checkpoints/*/*/*/model"))
    assert len(models) == 6
    hashes = [[load_checkpoint(folder / model)[1]["sha256"] for model in models] for folder in (out, reference)]
    return wrong + [str(model) for model, mine, other in zip(models, *hashes) if mine != other]


def test_training_20_times(tmp_path):
    prepared = tmp_path / "prepared"
    finish(popen(["-m", "mammo_jax", "prepare", "--out", str(prepared), *PHANTOMS, "--workers", "2"]))
    job = Job(
        lambda out: popen(["-c", TRAIN, "--out", str(out), *PHANTOMS, "--workers", "1"]),
        lambda out: shutil.copytree(prepared, out),
        damaged_models,
        other_models,
    )
    kill_at_random(job, tmp_path, 20, seed=3)
