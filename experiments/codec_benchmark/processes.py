"""Measurements in fresh processes: peak memory, and the start-up time of code that is compiled at first use."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import codec
from experiments.codec_benchmark.timed_codecs import TIMED_CODECS
from experiments.codec_benchmark.trials import Image
from mammo_jax.compression.codecs import OURS, ImageCodec

WARM_UP_SIZE = 512  # side of the image on which all code is loaded and compiled before memory is measured
LADDER_FACTORS = (1, 2, 10, 50)


def peak_memory(name: str, image: Image, ratio: float, folder: Path) -> dict[str, float]:
    """Peak memory of a call with one thread, in bytes per pixel, above the memory in use before the call.

    Parameters
    ----------
    name : str
        A key of `TIMED_CODECS`.
    image : Image
    ratio : float
    folder : Path
        For temporary files.

    Returns
    -------
    dict
        Of "encode" and "decode", and for our codec of a "ladder" of four ratios from `ratio` up.
    """
    measured = TIMED_CODECS[name](folder)
    setting = measured.setting_for(image.pixels, image.bits_stored, ratio)
    codestream = measured.encode(image.pixels, image.bits_stored, setting, 1)
    np.save(folder / "pixels.npy", image.pixels)
    peaks = {}
    for work in ("encode", "decode", "ladder") if name == OURS else ("encode", "decode"):
        task = _Task(name, work, image.bits_stored, setting, codestream, folder)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            peaks[work] = pool.submit(_measure_peak, task).result() / image.pixels.size
    return peaks


@dataclass(frozen=True)
class _Task:
    name: str
    work: str
    bits_stored: int
    setting: float
    codestream: bytes
    folder: Path


def _measure_peak(task: _Task) -> int:
    """Peak memory of the task in bytes.

    The process must be fresh: memory that an earlier call of this size has freed would be used again, and not counted.
    """
    pixels = np.load(task.folder / "pixels.npy")
    measured = TIMED_CODECS[task.name](task.folder)
    small = np.ascontiguousarray(pixels[:WARM_UP_SIZE, :WARM_UP_SIZE])
    small_codestream = measured.encode(small, task.bits_stored, task.setting, 1)
    _run(task, measured, small, small_codestream)
    _, peak = peak_above_current(lambda: _run(task, measured, pixels, task.codestream))
    return peak


def peak_above_current(call: Callable[[], Any]) -> tuple[Any, int]:
    """The result of a call, and its peak memory in bytes above the memory in use before it (Linux)."""
    before = _reset_peak()
    return call(), _peak() - before


def _run(task: _Task, measured: ImageCodec, pixels: np.ndarray, codestream: bytes) -> None:
    if task.work == "decode":
        measured.decode(codestream, task.bits_stored, 1)
    elif task.work == "encode":
        measured.encode(pixels, task.bits_stored, task.setting, 1)
    else:
        ratios = [task.setting * factor for factor in LADDER_FACTORS]
        for encoded in codec.encode_ladder(pixels, ratios, bits_stored=task.bits_stored):
            del encoded


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


def _reset_peak() -> int:
    """Set the peak memory of the process to its current memory, and return that, in bytes (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


_START_UP = """
import json, time
start = time.perf_counter()
import numpy as np
import codec
imported = time.perf_counter()
pixels = (np.add.outer(np.arange(300), np.arange(400)) % 4096).astype(np.uint16)
codestream = codec.encode(pixels, 20, bits_stored=12).codestream
encoded = time.perf_counter()
codec.decode(codestream)
print(json.dumps([imported - start, encoded - imported, time.perf_counter() - encoded]))
"""


def start_up(cache: Path | None) -> list[float]:
    """Seconds that import, first encode and first decode take in a new process.

    `cache` is its folder for Numba's cache; None stands for that of this process.
    """
    root = str(Path(codec.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root} | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {})
    done = subprocess.run(
        [sys.executable, "-c", _START_UP], env=environment, capture_output=True, text=True, check=True
    )
    seconds: list[float] = json.loads(done.stdout)
    return seconds
