"""Check that compressed files are as they were written, and that other software decodes them alike.

    mammo-jax verify compressed

The folder is one that `mammo-jax compress` wrote. Its sizes.csv has a hash of every file, so that any flipped bit is
found. Files that are unchanged are decoded and compared: JPEG 2000 by our decoder and two other libraries, HTJ2K by
two or three libraries, JPEG XL by libjxl alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.verification import verify_results
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.limited_processes import Limits
from mammo_jax.processes import available_cores


@dataclass(frozen=True)
class VerifyConfig:
    """What is checked.

    Attributes
    ----------
    folder : Path
        The --out of `mammo-jax compress`.
    workers : int or None
        Processes; None takes every core.
    max_seconds : float
        Seconds for each file.
    max_gigabytes : float
        GiB of memory for each process.
    """

    folder: tyro.conf.Positional[Path]
    workers: int | None = None
    max_seconds: float = Limits.seconds
    max_gigabytes: float = Limits.gigabytes


def verify(config: VerifyConfig, _flags: Sequence[str]) -> None:
    """Check the files of a folder.

    Raises
    ------
    CompressionError
        A file has changed, is missing or decodes otherwise elsewhere; each is printed before.
    """
    check_results(config.folder, config.workers, Limits(config.max_seconds, config.max_gigabytes))


def check_results(folder: Path, workers: int | None, limits: Limits) -> None:
    """Print what is wrong with the results in a folder, and raise CompressionError where something is."""
    problems = verify_results(folder, workers or available_cores(), limits)
    for problem in problems:
        print(problem)
    if problems:
        raise CompressionError(f"{folder}: {len(problems)} problems; compress these files again")
    print(f"{folder}: all files are as they were written, and decode alike in other software")


def _parse(flags: list[str]) -> VerifyConfig:
    return read_flags("verify", VerifyConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(verify, _parse, arguments, networks=False)
