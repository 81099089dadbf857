"""The files of a batch: which are compressed, under which name, and which are left out before they are opened."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mammo_jax.compression.files import InputFile
from mammo_jax.compression.plan import CompressionPlan, identifier, shown
from mammo_jax.sources import SourceError
from mammo_jax.sources.dicom import is_dicom

TABLES = ("sizes.csv", "left_out.csv", "settings.json")
_SPECIAL_FILES = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)


@dataclass(frozen=True)
class LeftOut:
    """A file without a result: its id and name in the tables, and why."""

    image_id: str
    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """The files to compress, and those that are left out already."""

    files: list[InputFile]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class FoundFile:
    """A path below an input, its path relative to that, and why it can't be compressed; None where it may be."""

    path: Path
    relative: Path
    problem: str | None


def list_files(inputs: Iterable[Path], plan: CompressionPlan) -> Listing:
    """List the input files, and all files below the input folders except hidden ones and earlier results.

    Left out are pipes, sockets, devices, links that leave their folder, what cannot be opened, and files that would
    have the same result.

    Raises
    ------
    SourceError
        There is no file, or a result would overwrite a file.
    """
    files: dict[tuple[str, Path], InputFile] = {}  # a file may be given twice, by its folder and by itself
    left_out = []
    for file_or_folder in inputs:
        for found in files_below(file_or_folder, plan.out):
            name = str(found.relative)
            image_id, name_shown = identifier(name, plan.key, "image"), plan.name(name)
            try:
                if found.problem is not None:
                    raise SourceError(found.problem)
                result = _result(found, plan)
            except SourceError as error:
                left_out.append(LeftOut(image_id, name_shown, plan.hide(str(error), found.path, name_shown)))
                continue
            version = _version(found.path, plan)
            file = InputFile(found.path, result, image_id, version, name_shown)
            files.setdefault((os.path.abspath(found.path), result), file)
    if not files and not left_out:
        raise SourceError(f"{', '.join(map(str, inputs))}: no file there; give image files or a folder of them")
    _check_nothing_is_overwritten(files.values(), plan)
    alone, same = _without_equal_results(files.values())
    return Listing(alone, left_out + same)


def files_below(file_or_folder: Path, out: Path) -> Iterator[FoundFile]:
    """Yield every file, and why it can't be compressed where that is seen without opening it."""
    if not file_or_folder.is_dir():
        yield FoundFile(file_or_folder, Path(file_or_folder.name), _problem(file_or_folder))
        return
    root, results = file_or_folder.resolve(), out.resolve()
    errors: list[OSError] = []
    for walked, subfolders, names in os.walk(file_or_folder, onerror=errors.append):
        folder = Path(walked)
        links = [name for name in subfolders if name[0] != "." and (folder / name).is_symlink()]
        # os.walk goes only into the subfolders that stay in its list, in this order.
        subfolders[:] = sorted(
            name for name in subfolders if name[0] != "." and name not in links and (folder / name).resolve() != results
        )
        for name in sorted([*names, *links]):
            if name[0] != ".":
                path = folder / name
                problem = _problem_of_link(path, root, results) if path.is_symlink() else None
                yield FoundFile(path, path.relative_to(file_or_folder), problem or _problem(path))
    for error in errors:
        path = Path(error.filename)
        yield FoundFile(path, path.relative_to(file_or_folder), f"the folder cannot be listed ({error.strerror})")


def _problem_of_link(link: Path, root: Path, results: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return "is a link to nothing"
    if target.is_dir():
        return "is a link to a folder, which is not followed; give that folder as well"
    if not target.is_relative_to(root) or target.is_relative_to(results):
        return "is a link that leaves the folder, and is not followed; give its file as well"
    return None


def _problem(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be read ({error.strerror}); check the path"
    for is_kind, kind in _SPECIAL_FILES:
        if is_kind(mode):
            return f"is {kind}, and is not opened"
    return None


def _version(path: Path, plan: CompressionPlan) -> str:
    """`InputFile.version`."""
    try:
        status = path.stat()
    except OSError:  # reading the file to compress it will raise the error that says why
        return ""
    return identifier(f"{status.st_size}-{status.st_mtime_ns}", plan.key, "version")


def _result(found: FoundFile, plan: CompressionPlan) -> Path:
    """`InputFile.result`: a DICOM file keeps its name, any other gets the extension of its new format.

    Files without identity and with hashed names have their image ids as names.
    """
    dicom = is_dicom(found.path)
    suffix = ".dcm" if dicom else plan.extension
    if plan.deidentified and plan.hashed_names:
        return Path(identifier(str(found.relative), plan.key, "image")).with_suffix(suffix)
    if not dicom:
        return found.relative.with_suffix(suffix)
    if str(found.relative) in TABLES and plan.out in plan.folders.values():
        raise SourceError("its result would replace a table of the results; rename it")
    return found.relative


def _check_nothing_is_overwritten(files: Iterable[InputFile], plan: CompressionPlan) -> None:
    paths = {file.path.resolve() for file in files}
    for file in files:
        for folder in plan.folders.values():
            if (folder / file.result).resolve() in paths:
                raise SourceError(f"{shown(str(file.path))}: would be overwritten by a result; choose another --out")


def _without_equal_results(files: Iterable[InputFile]) -> tuple[list[InputFile], list[LeftOut]]:
    """Split files into those with a result of their own, and those whose result is also another's."""
    of_result: dict[Path, list[InputFile]] = defaultdict(list)
    for file in files:
        of_result[file.result].append(file)
    alone = [group[0] for group in of_result.values() if len(group) == 1]
    same = [
        LeftOut(file.image_id, file.name, _same_result(file, group[file is group[0]]))
        for group in of_result.values()
        if len(group) > 1
        for file in group
    ]
    return alone, same


def _same_result(file: InputFile, other: InputFile) -> str:
    name = other.name if other.name != file.name else "a file of the same name in another folder"
    return f"would become the same file as {name}; rename one"
