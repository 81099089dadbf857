"""One function over many items in several processes: the same pool for compression, datasets and trainings."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from mammo_jax.errors import UserError
from mammo_jax.runtime import environment_variables

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL_SECONDS = 0.5


class WorkerError(UserError):
    """A worker process that was ended from outside; the message says what to do."""


def results_as_completed(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    *,
    set_up: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
    while_waiting: Callable[[], object] | None = None,
) -> Iterator[tuple[int, Result]]:
    """Call `function` with every item, in spawned processes.

    The first exception of `function` cancels what has not begun, and is raised here. So does a caller that stops
    iterating. Ctrl-C and the like end the workers at once. A worker ends with the process that started it, even where
    that is killed.

    Parameters
    ----------
    function : callable
        Picklable; sent once to each process.
    items : sequence
    processes : int
    set_up : callable or None
        Called once in each process before its first item.
    environment : mapping or None
        Environment variables with which the processes start.
    while_waiting : callable or None
        Called here about twice a second, and whenever a result is there.

    Yields
    ------
    (int, Result)
        Place of the item, and its result; in the order in which they end.

    Raises
    ------
    WorkerError
        A process was ended from outside.
    """
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    count = min(processes, len(items))
    with _lost_workers(), ProcessPoolExecutor(count, context, _start_worker, (function, set_up)) as pool:
        with environment_variables(environment or {}):
            places: dict[Future[Result], int] = {pool.submit(_call, item): n for n, item in enumerate(items)}
        try:
            while places:
                ended, _ = wait(places, POLL_SECONDS if while_waiting else None, FIRST_COMPLETED)
                if while_waiting:
                    while_waiting()
                for future in ended:
                    yield places.pop(future), future.result()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception | GeneratorExit):  # stopped by the user, who should not have to wait
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
            raise


def results_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, **options: Any
) -> Iterator[Result]:
    """As `results_as_completed`, but in the order of the items and without their places."""
    waiting: dict[int, Result] = {}
    following = 0
    for place, result in results_as_completed(function, items, processes, **options):
        waiting[place] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def available_cores() -> int:
    """Return the number of cores that this process may use; where the system can't say, of all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _lost_workers() -> Iterator[None]:
    """Turn the error of a pool that lost a process into a WorkerError."""
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process was ended from outside, most likely for lack of memory;"
            " run again with fewer --workers, what is finished is kept"
        ) from error


_function: Callable[[Any], Any] | None = None  # set once in each worker process


def _start_worker(function: Callable[[Any], Any], set_up: Callable[[], None] | None) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the one that started this decides
    end_with_parent()
    if set_up is not None:
        set_up()


def end_with_parent() -> None:
    """Have this process end with the one that started it, even where that is killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    if _function is None:
        raise RuntimeError("the worker was not started by _start_worker")
    return _function(item)
