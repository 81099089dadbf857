"""One function over many items in processes with limits: an item that takes too long or too much memory stops alone.

A process pool of the standard library is lost with one of its processes. Here a process that exceeds its time is
ended and another takes its place, so that one file can neither hang a batch nor end it.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from mammo_jax.processes import WorkerError, end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

START_SECONDS = 600  # imports from a slow disk
WAITING = 10
GIBIBYTE = 2**30


@dataclass(frozen=True)
class Limits:
    """What one item may cost.

    Attributes
    ----------
    seconds : float
        Time of computing, which does not depend on what else the machine does; its system counts in whole seconds. An
        item that waits rather than computes, for a disk that does not answer, has `WAITING` times as long.
    gigabytes : float
        Memory of the whole process in GiB, the interpreter and its libraries (about 0.2) included.
    """

    seconds: float = 600.0
    gigabytes: float = 8.0


@dataclass(frozen=True)
class Stopped:
    """Stands for the result of an item that exceeded a limit or ended its process; `reason` says which."""

    reason: str


def results_within_limits(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, limits: Limits
) -> Iterator[Result | Stopped]:
    """Call `function` with every item in spawned processes, each call within limits; results in the items' order.

    Parameters
    ----------
    function : callable
        Picklable. An exception that it raises is raised here, and ends the rest.
    items : sequence
    processes : int
    limits : Limits
        The time of a call does not include the start of its process.

    Raises
    ------
    WorkerError
        A process ended before it was given an item.
    """
    pool = _Pool(function, items, limits)
    try:
        for _ in range(min(processes, len(items))):
            pool.start()
        waiting: dict[int, Result | Stopped] = {}
        for following in range(len(items)):
            while following not in waiting:
                waiting.update(pool.wait())
            yield waiting.pop(following)
    finally:
        pool.end()


class _Worker:
    """A process, and the place of the item that it works on; None before the process is ready."""

    def __init__(self, function: Callable[[Any], Any], limits: Limits):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.place: int | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self.process = context.Process(target=_serve, args=(theirs, function, limits), daemon=True)
        self.process.start()
        theirs.close()

    def end(self) -> int | None:
        """End the process at once; returns its exit code."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        return self.process.exitcode


class _Pool(Generic[Item, Result]):
    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item], limits: Limits):
        self._function, self._items, self._limits = function, items, limits
        self._workers: list[_Worker] = []
        self._next = 0

    def start(self) -> None:
        self._workers.append(_Worker(self._function, self._limits))

    def end(self) -> None:
        for worker in self._workers:
            worker.end()

    def wait(self) -> dict[int, Result | Stopped]:
        """Wait for the next results, or for the next time limit; give free workers the next items."""
        first = min((worker.deadline for worker in self._workers), default=math.inf)
        ready = wait([worker.connection for worker in self._workers], max(0.0, first - time.monotonic()))
        results: dict[int, Result | Stopped] = {}
        for worker in list(self._workers):
            if worker.connection in ready:
                self._receive(worker, results)
            elif time.monotonic() >= worker.deadline:
                self._replace(
                    worker, results, f"takes longer than {WAITING * self._limits.seconds:g} s, most of it waiting"
                )
        return results

    def _receive(self, worker: _Worker, results: dict[int, Result | Stopped]) -> None:
        try:
            result = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            self._replace(worker, results, None)
            return
        if isinstance(result, Exception):
            raise result
        if worker.place is not None:
            results[worker.place] = result
        self._give_next(worker)

    def _give_next(self, worker: _Worker) -> None:
        if self._next == len(self._items):
            self._workers.remove(worker)
            worker.end()
            return
        worker.place, self._next = self._next, self._next + 1
        worker.deadline = time.monotonic() + WAITING * self._limits.seconds
        worker.connection.send(self._items[worker.place])

    def _replace(self, worker: _Worker, results: dict[int, Result | Stopped], reason: str | None) -> None:
        self._workers.remove(worker)
        if reason is None:  # it ended by itself, and is waited for so that its own exit code is seen
            worker.process.join(1)
        code = worker.end()
        if worker.place is None:
            raise WorkerError(f"a worker process ended while it started (exit code {code}); run again with --workers 1")
        results[worker.place] = Stopped(reason or _reason_of(code, self._limits))
        if self._next < len(self._items):
            self.start()


def _reason_of(code: int | None, limits: Limits) -> str:
    if code == -signal.SIGXCPU:
        return f"takes longer than {limits.seconds:g} s"
    if code == -signal.SIGKILL:
        return "its process was ended from outside, most likely for lack of memory; try it alone"
    return f"ended its process (exit code {code}); the file is damaged, or a library has a fault"


def _serve(connection: Connection, function: Callable[[Any], Any], limits: Limits) -> None:
    """Call the function with each item that comes, until the parent closes the connection or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_DATA, limits.gigabytes * GIBIBYTE)
    connection.send(None)  # ready
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        _lower(resource.RLIMIT_CPU, time.process_time() + limits.seconds)  # the system then sends SIGXCPU
        try:
            result = function(item)
        except MemoryError:
            result = Stopped(f"needs more memory than {limits.gigabytes:g} GiB")
        except Exception as error:
            result = error
        connection.send(result)


def _lower(limit: int, value: float) -> None:
    """Set a limit of this process, but none above what the system allows it."""
    _, most = resource.getrlimit(limit)
    wanted = math.ceil(value)
    resource.setrlimit(limit, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
