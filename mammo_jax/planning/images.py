"""Every image by its header, or by its pixels as well: its size, or why it cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mammo_jax.dataset.units import UnitConfig, lay_out, tissue_mask
from mammo_jax.planning.errors import PlanError
from mammo_jax.processes import results_in_order
from mammo_jax.progress import progress
from mammo_jax.sources import Mammogram, Source, SourceError
from mammo_jax.sources.problems import problem_text
from mammo_jax.sources.stored_pixels import StoredSize, read_size

Check = Literal["headers", "pixels"]
CHUNK = 64  # images that a process reads at a time
SAMPLES = 3
FEW = 512  # headers of so many images are read sooner than a process starts


@dataclass(frozen=True)
class CheckedImage:
    """One image: its size, or else the problem that leaves it out of the study."""

    size: StoredSize | None
    problem: str = ""


def check_images(source: Source, units: UnitConfig, check: Check, processes: int) -> list[CheckedImage]:
    """Read the header of every image.

    Parameters
    ----------
    source : Source
    units : UnitConfig
        What is cut from the pixels, if these are read.
    check : {"headers", "pixels"}
        "pixels" reads the pixels as well and looks for the breast, as the study does.
    processes : int
        Used where it saves time.

    Returns
    -------
    list of CheckedImage
        In the source's order.
    """
    rows = source.table()
    drawn = not rows[0]["files"]
    if check == "headers" and drawn:
        return [CheckedImage(_size(source[0]))] * len(rows)
    read = partial(_check_pixels, source, rows, units) if check == "pixels" else partial(_check_headers, rows)
    chunks = [range(start, min(start + CHUNK, len(rows))) for start in range(0, len(rows), CHUNK)]
    here = processes == 1 or (check == "headers" and len(rows) <= FEW)
    results = map(read, chunks) if here else results_in_order(read, chunks, processes)
    with progress(f"reading {check}", len(rows), "image") as bar:
        checked: list[CheckedImage] = []
        for chunk in results:
            checked += chunk
            bar.update(len(chunk))
    return checked


def check_samples(source: Source, units: UnitConfig, places: Sequence[int]) -> None:
    """Read a few images and cut them, to find what is wrong with all of them and no header shows.

    Parameters
    ----------
    places : sequence of int
        Of the images whose headers can be used.

    Raises
    ------
    PlanError
        All of the samples have the same problem, such as a pixel pitch that is not known.
    """
    rows = source.table()
    chosen = sorted({places[len(places) * part // SAMPLES] for part in range(SAMPLES)})
    problems = {_checked(partial(_size_of_cut, source, units, index), rows[index]).problem for index in chosen}
    if len(problems) == 1 and (problem := problems.pop()):
        raise PlanError(f"{len(chosen)} of {len(chosen)} images that were tried cannot be used: {problem}")


def _check_headers(rows: Sequence[dict[str, Any]], chunk: range) -> list[CheckedImage]:
    read: dict[str, CheckedImage] = {}
    for index in chunk:
        path = rows[index]["files"][0]
        if path not in read:  # a file of several frames is several images
            read[path] = _checked(partial(read_size, Path(path)), rows[index])
    return [read[rows[index]["files"][0]] for index in chunk]


def _check_pixels(
    source: Source, rows: Sequence[dict[str, Any]], units: UnitConfig, chunk: range
) -> list[CheckedImage]:
    return [_checked(partial(_size_of_cut, source, units, index), rows[index]) for index in chunk]


def _checked(size_of: partial[StoredSize], row: dict[str, Any]) -> CheckedImage:
    try:
        return CheckedImage(size_of())
    except SourceError as error:
        return CheckedImage(None, problem_text(error, row))


def _size_of_cut(source: Source, units: UnitConfig, index: int) -> StoredSize:
    """Read an image and cut it; return its size."""
    mammogram = source[index]
    lay_out(mammogram, tissue_mask(mammogram.pixels, units), units)
    return _size(mammogram)


def _size(mammogram: Mammogram) -> StoredSize:
    rows, columns = mammogram.pixels.shape
    return StoredSize(rows, columns, mammogram.bits_allocated)
