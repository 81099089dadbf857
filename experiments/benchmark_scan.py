"""How fast is `mammo-jax scan`: headers per second, memory, and the time to go on, on generated archives.

    python -m experiments.benchmark_scan
    python -m experiments.benchmark_scan --files 1000 10000 --workers 1

Generates a tree of small DICOM mammograms in a temporary folder: four views a study, every one with its own UIDs and
pixels. Scans it in a process of its own, again with nothing to do, and again after a kill about half-way.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import tyro
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammo_jax.jobs.run_job import run_job

ROOT = "1.2.826.0.1.3680043.10.1.1"
FILES_IN_A_FOLDER = 400
SIDE = 32  # pixels
OTHER_ELEMENTS = 120


@dataclass(frozen=True)
class ScanBenchmarkConfig:
    """What is measured.

    Attributes
    ----------
    files : tuple of int
        Sizes of the archives.
    workers : int or None
        Processes; None takes every core.
    folder : Path or None
        Where the archives are generated; None takes the system's folder for temporary files.
    """

    files: tuple[int, ...] = (1_000, 10_000, 100_000)
    workers: int | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Run:
    """One scan: its seconds, CPU seconds, and the largest resident memory of one of its processes in bytes."""

    seconds: float
    processor_seconds: float
    peak: int


def benchmark(config: ScanBenchmarkConfig, _flags: Sequence[str]) -> None:
    """Generate and scan each archive, and print a table."""
    workers = config.workers or len(os.sched_getaffinity(0))
    print(
        f"{workers} processes; {len(_template()):,} bytes a file, {OTHER_ELEMENTS} elements besides those of an image"
    )
    print(
        "| files | s | headers per s | CPU a header | peak memory | again, nothing new | killed half-way, then | CSV |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for count in config.files:
        with tempfile.TemporaryDirectory(dir=config.folder) as scratch:
            folder, out = Path(scratch, "archive"), Path(scratch, "out")
            generate(folder, count)
            first = _scan(folder, out, workers)
            again = _scan(folder, out, workers)
            size = (out / "scan.csv").stat().st_size
            shutil.rmtree(out)
            _scan(folder, out, workers, kill_after=first.seconds / 2)
            rest = _scan(folder, out, workers)
            print(
                f"| {count:,} | {first.seconds:.1f} | {count / first.seconds:.0f}"
                f" | {1e3 * first.processor_seconds / count:.1f} ms | {first.peak / 1e6:.0f} MB"
                f" | {again.seconds:.1f} s, {again.peak / 1e6:.0f} MB | {rest.seconds:.1f} s | {size / 1e6:.1f} MB |",
                flush=True,
            )


def generate(folder: Path, count: int) -> None:
    """Write `count` files, in folders of a few hundred."""
    template = _template()
    for number in range(count):
        study = number // 4
        side, view = "LR"[number % 2], ("R-10242", "R-10226")[number // 2 % 2]
        contents = template
        for old, new in {
            _uid(1, 0): _uid(1, study),
            _uid(2, 0): _uid(2, study),
            _uid(3, 0): _uid(3, number),
            "P00000000": f"P{study // 2:08d}",
            "PIXELPIXEL": f"{number:010d}",
            "SIDE": f"{side}   ",
            "VIEWCOD": view,
        }.items():
            contents = contents.replace(old.encode(), new.encode())
        path = folder / f"{number // FILES_IN_A_FOLDER:04d}" / f"{number:07d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)


def _uid(kind: int, number: int) -> str:
    return f"{ROOT}.{kind}.9{number:08d}"


def _template() -> bytes:
    """Return a DICOM file with marks where `generate` writes what differs."""
    instance = Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID = UID(_uid(3, 0))
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    instance.StudyInstanceUID, instance.SeriesInstanceUID = _uid(1, 0), _uid(2, 0)
    instance.PatientID, instance.Modality, instance.Manufacturer = "P00000000", "MG", "HOLOGIC, Inc."
    instance.PresentationIntentType = "FOR PRESENTATION"
    instance.add_new("ImageLaterality", "LO", "SIDE")  # LO: of even length, and longer than the one letter
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "VIEWCOD", "SRT", "view"
    instance.ViewCodeSequence = [view]
    instance.Rows = instance.Columns = SIDE
    instance.SamplesPerPixel, instance.PhotometricInterpretation = 1, "MONOCHROME2"
    instance.BitsAllocated, instance.BitsStored, instance.HighBit, instance.PixelRepresentation = 16, 12, 11, 0
    block = instance.private_block(0x0019, "BENCHMARK", create=True)
    for number in range(OTHER_ELEMENTS):
        block.add_new(number, "LO", f"value {number}")
    pixels = b"PIXELPIXEL" + np.zeros(SIDE * SIDE, "<u2").tobytes()
    instance.PixelData = pixels[: SIDE * SIDE * 2]
    instance["PixelData"].VR = "OW"
    stream = BytesIO()
    dcmwrite(stream, instance, enforce_file_format=True)
    return stream.getvalue()


def _scan(folder: Path, out: Path, workers: int, kill_after: float | None = None) -> Run:
    """Run the job in a process of its own, and kill that after some seconds if asked to."""
    command = [sys.executable, "-m", "mammo_jax", "scan", str(folder), "--out", str(out), "--workers", str(workers)]
    key = folder.with_name("key")
    key.write_bytes(b"benchmark of the scan")
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--id-key", str(key)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    if kill_after is not None:
        time.sleep(kill_after)
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if kill_after is None and process.returncode:
        raise RuntimeError(f"the scan ended with {process.returncode}")
    return Run(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _parse(flags: list[str]) -> ScanBenchmarkConfig:
    return tyro.cli(ScanBenchmarkConfig, args=flags, description=__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(benchmark, _parse, arguments, networks=False)


if __name__ == "__main__":
    main()
