"""Objects that were received, until each has its exact-ratio copy, and that has been sent on.

An original leaves `incoming` last. So whenever the process ends, the next one finds there what is not finished, and
repeats at most the sending.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.files import InputFile
from mammo_jax.compression.listing import LeftOut, Listing, list_files
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.files import remove_stale_temporaries
from mammo_jax.limited_processes import Limits
from mammo_jax.pacs.destination import Destination
from mammo_jax.pacs.errors import PacsError


@dataclass(frozen=True)
class Spool:
    """The folder of a receiver: originals that wait, their compressed copies, and originals that cannot be compressed.

    Attributes
    ----------
    folder : Path
    keep_originals : bool
        Move them to `originals` in the end rather than delete them.
    """

    folder: Path
    keep_originals: bool = False

    @property
    def incoming(self) -> Path:
        """Originals that wait."""
        return self.folder / "incoming"

    @property
    def compressed(self) -> Path:
        """Results and tables, as `mammo-jax compress` writes them."""
        return self.folder / "compressed"

    def prepare(self) -> None:
        """Remove what a process that was killed has left half written."""
        remove_stale_temporaries(self.incoming)

    def work_off(
        self, plan: CompressionPlan, workers: int, limits: Limits, destination: Destination | None
    ) -> tuple[int, list[str]]:
        """Compress all that waits, and send it on.

        Returns
        -------
        int
            Objects that are finished.
        list of str
            A line for each that is not, or could not be compressed.

        Raises
        ------
        CompressionError
            The folder cannot be written to, or holds results of other settings.
        """
        waiting = [path for path in sorted(self.incoming.iterdir()) if path.suffix == ".dcm" and path.name[0] != "."]
        if not waiting:
            return 0, []
        listing = list_files(waiting, plan)
        now = {file.image_id for file in listing.files} | {file.image_id for file in listing.left_out}
        before = [file for file in _read_left_out(plan.out) if file.image_id not in now]
        left_out = compress_files(plan, Listing(listing.files, before + listing.left_out), workers, limits)
        _flush(plan.out / "sizes.csv")
        reasons = {file.image_id: file.reason for file in left_out}
        results = {plan.out / file.result: file for file in listing.files if file.image_id not in reasons}
        problems = [f"{file.name}: {file.reason}" for file in left_out if file.image_id in now]
        sent, unsent = (list(results.values()), []) if destination is None else _send(destination, results)
        for file in sent:
            self._settle(file.path, "originals" if self.keep_originals else None)
        for path in set(waiting) - {file.path for file in results.values()}:
            self._settle(path, "left_out")
        return len(sent), problems + unsent

    def _settle(self, original: Path, folder: str | None) -> None:
        """Take an original out of `incoming`: into a folder beside it, or away."""
        if folder is None:
            original.unlink()
            return
        (self.folder / folder).mkdir(exist_ok=True)
        original.replace(self.folder / folder / original.name)
        _flush(self.folder / folder)


def _send(destination: Destination, results: dict[Path, InputFile]) -> tuple[list[InputFile], list[str]]:
    sent, problems = [], []
    try:
        for path, problem in destination.send(list(results)):
            if problem is None:
                sent.append(results[path])
            else:
                problems.append(f"{results[path].name}: not sent: {problem}")
    except PacsError as error:
        problems.append(f"not sent: {error}")
    return sent, problems


def _read_left_out(out: Path) -> list[LeftOut]:
    table = out / "left_out.csv"
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as stream:
        return [LeftOut(row["image_id"], row["path"], row["reason"]) for row in csv.DictReader(stream)]


def _flush(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
