"""The files below a folder, with what stands in the way of opening one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mammo_jax.sources.mammogram import SourceError


class TreeFile(NamedTuple):
    """One name in the tree that is not a folder.

    Attributes
    ----------
    path : Path
    relative : str
        Path below the folder, as text that can be written in UTF-8.
    size, modified : int
        Bytes, and nanoseconds since 1970; 0 if they cannot be had.
    problem : str
        Why it must not be opened; "" for a file that can be tried.
    """

    path: Path
    relative: str
    size: int
    modified: int
    problem: str


def files_below(folder: Path, out: Path) -> Iterator[TreeFile]:
    """Yield all files below a folder in the order of their names, except hidden ones and those in `out`.

    Links to folders are not followed, links to files only where these lie in the folder. Opening a FIFO would wait for
    ever, so that only regular files are tried.

    Raises
    ------
    SourceError
        The folder itself cannot be read.
    """
    unreadable: list[OSError] = []
    root = folder.resolve()
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read ({error.strerror}); give a folder of images") from error
    for walked, subfolders, names in os.walk(folder, onerror=unreadable.append):
        here = Path(walked)
        links = [name for name in subfolders if (here / name).is_symlink()]
        # os.walk goes only into the subfolders that stay in its list, in this order.
        subfolders[:] = sorted(
            name for name in subfolders if name[0] != "." and (here / name).resolve() != out.resolve()
        )
        for name in sorted([*names, *links]):
            if name[0] != ".":
                yield _tree_file(here / name, folder, root)
        yield from (_unreadable_folder(error, folder) for error in unreadable)
        unreadable.clear()
    yield from (_unreadable_folder(error, folder) for error in unreadable)


def _tree_file(path: Path, folder: Path, root: Path) -> TreeFile:
    try:
        leads_out = path.is_symlink() and not Path(os.path.realpath(path, strict=True)).is_relative_to(root)
        status = path.stat()
    except OSError as error:
        return TreeFile(path, _text(path, folder), 0, 0, f"cannot be read ({error.strerror}); check the path")
    problem = ""
    if leads_out:
        problem = "is a link that leads out of the folder; give the folder that it leads to"
    elif stat.S_ISDIR(status.st_mode):
        problem = "is a link to a folder, which is not followed; give that folder"
    elif not stat.S_ISREG(status.st_mode):
        problem = "is a FIFO, a socket or a device; there is nothing to read"
    return TreeFile(path, _text(path, folder), status.st_size, status.st_mtime_ns, problem)


def _unreadable_folder(error: OSError, folder: Path) -> TreeFile:
    path = Path(error.filename)
    problem = f"is a folder that cannot be read ({error.strerror}); check the permissions"
    return TreeFile(path, _text(path, folder), 0, 0, problem)


def _text(path: Path, folder: Path) -> str:
    """Return the path below the folder; a name is bytes, and those that are no UTF-8 become escapes."""
    return str(path.relative_to(folder)).encode("utf-8", "backslashreplace").decode("utf-8")


def printable(name: str) -> str:
    r"""Return a name with everything that cannot be printed on one line of a table as an escape, as ``\n``."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in name
    )
