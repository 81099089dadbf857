"""Whether the files of a dataset's part are still as they were written."""

from __future__ import annotations

from pathlib import Path

from mammo_jax.checksums import find_damage
from mammo_jax.errors import UserError

RECORDS = ".tfrecord"


class DatasetError(UserError):
    """A dataset that cannot be read; the message names the folder and what to do."""


def check_part(part: Path, records: str | None) -> None:
    """Compare the files of a part with their hashes, before TensorFlow reads them, whose errors name no file.

    Parameters
    ----------
    part : Path
    records : str or None
        The split whose records are compared; None for no records, which are nearly all of a part.

    Raises
    ------
    DatasetError
        A file has changed or is missing.
    """

    def is_wanted(name: str) -> bool:
        return RECORDS not in name or (records is not None and f"-{records}{RECORDS}" in name)

    if damage := find_damage(part, is_wanted):
        raise DatasetError(
            f"{damage}; the disk may be failing: remove the whole folder {part.parent} and run again, the dataset is "
            "made again"
        )
