"""Hours, disk and memory of a study beside what this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from mammo_jax.files import display_bytes
from mammo_jax.planning.cost import (
    EVALUATE,
    Work,
    compress_memory,
    compress_seconds,
    disk_bytes,
    training_memory,
    training_seconds,
)
from mammo_jax.planning.errors import PlanError
from mammo_jax.planning.machine import free_disk, free_memory
from mammo_jax.training.grid import CACHE_BYTES, default_workers

RATES = "by rates measured on a quiet server's core; an older or busy one may need three times as long"
UNKNOWN = "not known: measured are our codec, cnn and resnet18, on CPUs"
SURE = 5
"""How many times too small a disk has to be for a certain failure: images of 8 bits take a fifth of what is planned."""
SWAPPED = 2
"""How many times too small the memory has to be for a certain failure."""


@dataclass(frozen=True)
class Needs:
    """What a study needs, and what is there.

    Attributes
    ----------
    compress_seconds, training_seconds : float or None
        Wall time on this machine's cores by measured rates; None where no rate is known.
    disk, free_disk : int
        Bytes that the run folder may grow to, and those that it may take.
    memory : int
        Bytes at most.
    memory_of_one : int
        With a single process.
    free_memory : int or None
        None where the system does not say.
    workers : int
        Processes that compress.
    trainers : int
        Processes that train.
    """

    compress_seconds: float | None
    training_seconds: float | None
    disk: int
    free_disk: int
    memory: int
    memory_of_one: int
    free_memory: int | None
    workers: int
    trainers: int

    def topics(self) -> dict[str, str]:
        """Return time, disk and memory in words."""
        parts = {"compressing": self.compress_seconds, "training": self.training_seconds, "statistics": EVALUATE}
        known = sum(seconds for seconds in parts.values() if seconds is not None)
        listed = ", ".join(f"{name} {UNKNOWN if s is None else duration_text(s)}" for name, s in parts.items())
        free = "not known" if self.free_memory is None else display_bytes(self.free_memory)
        processes = max(self.workers, self.trainers)
        return {
            "time": f"about {duration_text(known)} with {processes} processes ({listed}); {RATES}",
            "disk": f"up to {display_bytes(self.disk)}; free: {display_bytes(self.free_disk)}",
            "memory": f"up to {display_bytes(self.memory)}; free: {free}",
        }

    def numbers(self) -> dict[str, Any]:
        """Return the estimates as JSON types."""
        return {
            "compress_seconds": None if self.compress_seconds is None else round(self.compress_seconds),
            "training_seconds": None if self.training_seconds is None else round(self.training_seconds),
            "disk_bytes": self.disk,
            "memory_bytes": self.memory,
        }


def needs_of(work: Work, weights: int, out: Path, processes: int, workers: int | None) -> Needs:
    """Estimate what a study needs on this machine.

    Parameters
    ----------
    work : Work
    weights : int
        Bytes of one network.
    out : Path
        The run folder; what it holds already counts as free.
    processes : int
        Those that compress.
    workers : int or None
        Those that train; None as `run_grid` chooses.
    """
    trainers = max(1, min(work.models, default_workers() if workers is None else workers))
    on_cpu = jax.default_backend() == "cpu"
    compressing, training = compress_seconds(work), training_seconds(work) if on_cpu else None
    held = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) if out.exists() else 0

    def memory(compressors: int, trainers: int) -> int:
        return max(compress_memory(work, compressors), training_memory(work, weights, trainers, CACHE_BYTES))

    return Needs(
        compress_seconds=None if compressing is None else compressing / processes,
        training_seconds=None if training is None else training / trainers,
        disk=disk_bytes(work, weights, trainers),
        free_disk=free_disk(out) + held,
        memory=memory(processes, trainers),
        memory_of_one=memory(1, 1),
        free_memory=free_memory(),
        workers=processes,
        trainers=trainers,
    )


def check_needs(needs: Needs) -> list[str]:
    """Return warnings where disk or memory may be too small.

    Raises
    ------
    PlanError
        One of them is too small for certain.
    """
    warnings = []
    if needs.disk > needs.free_disk:
        text = f"the disk has {display_bytes(needs.free_disk)} free, and up to {display_bytes(needs.disk)} are needed"
        if needs.disk > SURE * needs.free_disk:
            raise PlanError(f"{text}; make space, or choose an --out on another disk")
        warnings.append(text)
    if needs.free_memory is not None and needs.memory > needs.free_memory:
        text = (
            f"{display_bytes(needs.free_memory)} of memory are free, and up to {display_bytes(needs.memory)} are needed"
        )
        if needs.memory_of_one > SWAPPED * needs.free_memory:
            raise PlanError(f"{text}, {display_bytes(needs.memory_of_one)} with --workers 1; take another machine")
        fitting = max(1, int(needs.free_memory / needs.memory_of_one))
        warnings.append(f"{text}; --workers {fitting} takes less")
    return warnings


def duration_text(seconds: float) -> str:
    """Say how long something takes: "a minute", "14 minutes", "3.5 hours"."""
    if seconds < 90:
        return "a minute"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.2g} hours" if seconds < 360_000 else f"{seconds / 86_400:.2g} days"
