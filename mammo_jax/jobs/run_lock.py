"""The lock of a run folder: two processes that write into one folder would spoil each other's files."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mammo_jax.errors import UserError

LOCK = ".lock"


class LockedError(UserError):
    """Another process works in the folder; the message says which."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder within a `with` block. The system frees it when the process ends, however it ends.

    Parameters
    ----------
    folder : Path
        Made where it is missing, and taken away again if nothing was written to it.

    Raises
    ------
    LockedError
        Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / ".lock.json"  # beside the lock: who fails to take a lock file empties it
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(f"{folder}: {_holder(holder)}; wait for it, stop it, or choose another --out") from None
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder.write_text(json.dumps({"process": os.getpid(), "host": platform.node(), "started": started}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()


def _holder(path: Path) -> str:
    """Say which process works in the folder."""
    try:
        found = json.loads(path.read_text())
        return f"process {found['process']} on {found['host']} works here since {found['started']}"
    except (OSError, ValueError, KeyError, TypeError):  # it is just being written
        return "another process works here"
