"""What happens when a process of a pool is killed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager


class WorkerError(Exception):
    """A worker process that was ended from outside; the message says the way out."""


@contextmanager
def reporting_lost_workers() -> Iterator[None]:
    """Turn the error of a pool that lost a process into a WorkerError."""
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process was ended from outside, most likely for lack of memory;"
            " run again with fewer --workers, what is finished is kept"
        ) from error
