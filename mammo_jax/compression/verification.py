"""Whether results are still as they were written, and decode alike elsewhere.

The hashes in sizes.csv find any change of a file. Files that have not changed are decoded, and the decoders compared:
JPEG 2000 by our codec, imagecodecs and pylibjpeg-openjpeg (both have OpenJPEG inside, each a build of its own); HTJ2K
by the same two, and by OpenJPH up to 15 bits; JPEG XL by libjxl alone.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import openjpeg
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

import codec
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import TABLES
from mammo_jax.compression.plan import shown
from mammo_jax.files import sha256_file
from mammo_jax.limited_processes import Limits, Stopped, results_within_limits
from mammo_jax.progress import counted
from mammo_jax.sources.dicom import is_dicom

Decoder = Callable[[bytes], np.ndarray]
OTHER_DECODERS: dict[str, Decoder] = {
    "imagecodecs": imagecodecs.jpeg2k_decode,
    "pylibjpeg-openjpeg": lambda codestream: openjpeg.decode(io.BytesIO(codestream)),
}
ROUNDING = 1  # grey levels between decoders whose 9/7 transforms compute in other precisions; T.803 allows more
HTJ2K_ROUNDING = 2  # OpenJPH computes in single precision
_SSIZ = 42  # place of the precision − 1, T.800 A.5.1; at 16 bits OpenJPH 0.26 wraps samples round, and is left out
_HTJ2K_CAPABILITIES = 0x4000  # in Rsiz, T.814 A.2


@dataclass(frozen=True)
class WrittenFile:
    """What sizes.csv says of one result.

    Attributes
    ----------
    name : str
        Path of its input as in the table, with the ratio.
    sha256 : str
    frame_bytes : tuple of int
        Of the codestream of each frame.
    shape : tuple of int
        Rows and columns.
    lossless : bool
    """

    name: str
    sha256: str
    frame_bytes: tuple[int, ...]
    shape: tuple[int, int]
    lossless: bool


def read_written_files(out: Path) -> list[WrittenFile]:
    """Read sizes.csv; the layers of one file, which are rows of their own, become one.

    Raises
    ------
    CompressionError
        There is no such table, or it has no hashes.
    """
    table = out / "sizes.csv"
    if not table.is_file():
        raise CompressionError(f"{table}: is missing; give the folder that `mammo-jax compress --out` wrote")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    written: dict[tuple[str, str], WrittenFile] = {}
    try:
        for row in rows:  # the last layer is the whole file
            ratio = "" if row["layer"] else row["ratio"]
            name = f"{row['path']} at ratio {ratio}" if ratio else row["path"]
            written[row["image_id"], ratio] = WrittenFile(
                name,
                row["file_sha256"],
                tuple(int(size) for size in row["frame_bytes"].split()),
                (int(row["rows"]), int(row["columns"])),
                math.isinf(float(row["psnr"])),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise CompressionError(f"{table}: is damaged, or of a version without hashes; compress again") from error
    return list(written.values())


def changed_files(out: Path, written: list[WrittenFile]) -> tuple[list[str], dict[Path, WrittenFile]]:
    """Compare all files below a folder with the hashes in its table.

    Returns
    -------
    problems : list of str
        A line for each file that the table does not have, and for each row whose file is not there.
    unchanged : dict
        The other files.
    """
    problems = []
    unchanged = {}
    of_hash = {file.sha256: file for file in written}
    left = Counter(file.sha256 for file in written)  # equal results of equal inputs are several files
    for path in _results(out):
        digest = sha256_file(path)
        if digest in of_hash:
            unchanged[path] = of_hash[digest]
            left[digest] -= 1
        else:
            problems.append(f"{shown(str(path.relative_to(out)))}: has changed, or is no result of this run")
    problems += [f"{file.name}: its result is missing or has changed" for file in written if left[file.sha256] > 0]
    return problems, unchanged


def _results(out: Path) -> Iterator[Path]:
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.name[0] != "." and str(path.relative_to(out)) not in TABLES:
            yield path


def verify_results(out: Path, workers: int, limits: Limits) -> list[str]:
    """Check all results in a folder by their hashes, and decode those that are unchanged.

    Returns
    -------
    list of str
        What is wrong, a line each.

    Raises
    ------
    CompressionError
        As `read_written_files`.
    """
    problems, unchanged = changed_files(out, read_written_files(out))
    results = results_within_limits(_difference, list(unchanged.items()), workers, limits)
    for path, result in zip(unchanged, counted(results, "verifying", len(unchanged), "file")):
        problem = result.reason if isinstance(result, Stopped) else result
        if problem:
            problems.append(f"{shown(str(path.relative_to(out)))}: {problem}")
    return problems


def _difference(item: tuple[Path, WrittenFile]) -> str | None:
    """Say how a result differs between decoders; None where it does not."""
    path, written = item
    contents = path.read_bytes()
    if is_dicom(path):
        instance = dcmread(path)
        if int(instance.get("NumberOfFrames") or 1) != len(written.frame_bytes):
            return f"it has {instance.NumberOfFrames} frames, and not {len(written.frame_bytes)}"
        frames = list(_encapsulated_frames(instance))
        if [len(frame) for frame in frames] != [size + size % 2 for size in written.frame_bytes]:
            return f"its {len(frames)} frames are not as long as their codestreams"
        codestreams = [frame[:size] for frame, size in zip(frames, written.frame_bytes)]
    else:
        codestreams = [codec.unwrap_jp2(contents) if path.suffix == ".jp2" else contents]
        if (len(codestreams[0]),) != written.frame_bytes:
            return f"its codestream has {len(codestreams[0])} bytes, and not {written.frame_bytes[0]}"
    for number, codestream in enumerate(codestreams, 1):
        difference = _between_decoders(codestream, written)
        if difference:
            return f"frame {number}: {difference}" if len(codestreams) > 1 else difference
    return None


def _encapsulated_frames(instance: Dataset) -> Iterator[bytes]:
    """The frames where their offset table, basic or extended, says that they are."""
    offsets = None
    if "ExtendedOffsetTable" in instance:
        offsets = (instance.ExtendedOffsetTable, instance.ExtendedOffsetTableLengths)
    count = int(instance.get("NumberOfFrames") or 1)
    return generate_frames(instance.PixelData, number_of_frames=count, extended_offsets=offsets)


def _between_decoders(codestream: bytes, written: WrittenFile) -> str | None:
    """Say how a frame differs between decoders; None where it does not."""
    first, decode, others, rounding = _decoders(codestream)
    pixels = decode(codestream)
    if pixels.shape != written.shape:
        return f"{first} decodes {pixels.shape} and not {written.shape} pixels"
    for name, decode in others.items():
        theirs = decode(codestream)
        if theirs.shape != pixels.shape:
            return f"{name} decodes {theirs.shape} and not {pixels.shape} pixels"
        most = int(np.abs(theirs.astype(np.int32) - pixels.astype(np.int32)).max())
        if most > (0 if written.lossless else rounding):
            return f"{name} decodes pixels that differ by up to {most} grey levels from {first}'s"
    return None


def _decoders(codestream: bytes) -> tuple[str, Decoder, dict[str, Decoder], int]:
    """Name of a decoder and itself, the others, and by how many grey levels they may differ where there is loss."""
    if codestream[:2] == b"\xff\x0a":  # ISO/IEC 18181-1, 9.1: JPEG XL
        return "libjxl", imagecodecs.jpegxl_decode, {}, ROUNDING
    if int.from_bytes(codestream[6:8], "big") & _HTJ2K_CAPABILITIES:
        first, *others = OTHER_DECODERS
        compared = {name: OTHER_DECODERS[name] for name in others}
        if codestream[_SSIZ] < 15:
            compared["OpenJPH"] = imagecodecs.htj2k_decode
        return first, OTHER_DECODERS[first], compared, HTJ2K_ROUNDING
    return "mammo_jax", codec.decode, OTHER_DECODERS, ROUNDING
