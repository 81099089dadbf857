"""The jobs that share a study's flags and run folder: how they start."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import codec
from mammo_jax.errors import UserError
from mammo_jax.files import read_json, remove_stale_temporaries, sha256_json, write_json
from mammo_jax.jobs.config import StudyConfig, parse
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.run_lock import locked
from mammo_jax.provenance import environment, log_event

ELSEWHERE = ("out", "workers", "check", "distributed", "saliency")
"""Settings that say where a run is made and whether a stage is asked for, not what comes out."""


def run_study_job(
    name: str, job: Callable[[StudyConfig], None], arguments: Sequence[str] | None, *, networks: bool
) -> None:
    """Run a job with a study's flags in a study's run folder.

    Parameters
    ----------
    name : str
        Of the job, for the log.
    job : callable
    arguments : sequence of str or None
        The flags; None stands for those of the command line.
    networks : bool
        Whether the job computes networks.
    """

    def start(config: StudyConfig, flags: list[str]) -> None:
        with run_started(config, name, flags):
            job(config)

    run_job(start, partial(parse, job=name), arguments, networks=networks)


@contextmanager
def run_started(config: StudyConfig, job: str, flags: Sequence[str]) -> Iterator[None]:
    """Hold the run folder while a job works in it, begun by `start_run`.

    Where the job is refused before it has written a part of the dataset, such as for a table with too few patients, the
    folder is free again for other settings and another table.

    Raises
    ------
    UserError
        As `start_run`.
    LockedError
        Another process works in the folder.
    """
    run = config.run
    with locked(config.out):
        remove_stale_temporaries(config.out)
        start_run(config, job, flags)
        try:
            yield
        except (UserError, codec.CodecError):
            if not run.dataset.exists() and not run.predictions.exists():
                for begun in (
                    run.config,
                    run.source,
                    run.pixel_hashes,
                    run.folds,
                    run.normal_sites,
                    run.largest_ratios,
                ):
                    begun.unlink(missing_ok=True)
            raise


def start_run(config: StudyConfig, job: str, flags: Sequence[str]) -> None:
    """Write config.json on the first start; on a later one refuse a run folder that was made with other settings.

    Raises
    ------
    UserError
        The folder holds a run with other settings.
    """
    settings = as_json(config)
    if config.run.config.exists():
        before = read_json(config.run.config)["config"]
        changed = [name for name in settings if settings[name] != before.get(name) and name not in ELSEWHERE]
        if changed:
            raise UserError(
                f"{config.out} holds a run with another {', '.join(changed)}; "
                "choose another --out, or delete that folder"
            )
    else:
        command = shlex.join(["mammo-jax", "study", *_study_flags(flags)])
        write_json(config.run.config, {"config": settings, "sha256": sha256_json(settings), "command": command})
    log_event(config.run, "start", job=job, config_sha256=sha256_json(settings), **environment())


def _study_flags(flags: Sequence[str]) -> list[str]:
    """Flags of any job as those that make the same run by `mammo-jax study`, which knows no --distributed."""
    return [flag for flag in flags if flag not in ("--distributed", "--no-distributed")]


def as_json(config: Any) -> dict[str, Any]:
    """Return the config as JSON types."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))
