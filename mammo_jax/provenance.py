"""What made a run: git revision, versions, machine, and a log of events."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mammo_jax.run_folder import RunFolder

PACKAGES = (
    "mammo-jax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "numba",
    "tensorflow-cpu",
)


def git_revision() -> str:
    """Revision of the source tree, with "+changes" where it has uncommitted ones; "unknown" outside of git."""
    here = Path(__file__).parent
    try:
        revision = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision + ("+changes" if changed else "")


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def environment() -> dict[str, Any]:
    """Git revision, package versions and the kind of machine; no host or user name."""
    return {
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
    }


def log_event(run: RunFolder, event: str, **values: Any) -> None:
    """Append one line to the run's log: the time (UTC), the event and its values."""
    _append(run.log, {"event": event, **values})


def log_epoch(run: RunFolder, **values: Any) -> None:
    """Append one line to the run's log of epochs; several processes may do so at a time."""
    _append(run.training_log, values)


def _append(path: Path, values: dict[str, Any]) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **values}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as log:
        if log.tell():
            log.seek(-1, os.SEEK_END)
        torn = log.tell() > 0 and log.read(1) != b"\n"  # by a full disk; this event then begins a line of its own
        log.write(b"\n" * torn + json.dumps(line, ensure_ascii=False).encode() + b"\n")
