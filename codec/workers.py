"""Threads for compiled kernels, which do not hold the interpreter lock."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

from codec.options import whole_number

Item = TypeVar("Item")
Result = TypeVar("Result")

MIN_SHARE = 32


class Workers:
    """Threads that share work with the calling thread. Use as a context manager.

    Raises
    ------
    OptionError
        `threads` is no whole number above 0. (Threads start only when there is work.)
    """

    def __init__(self, threads: int):
        self.threads = whole_number("threads", threads, 1)
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """``[function(item) for item in items]``, as many at a time as there are threads."""
        if self._pool is None:
            return [function(item) for item in items]
        items = list(items)
        results: list[Any] = [None] * len(items)
        places = iter(range(len(items)))  # each place is given out once, to whichever thread asks

        def work() -> None:
            try:
                for place in places:
                    results[place] = function(items[place])
            except BaseException:
                deque(places, 0)  # so that no thread starts another item
                raise

        others = [self._pool.submit(work) for _ in range(min(self.threads, len(items)) - 1)]
        try:
            work()
        finally:
            running = [other for other in others if not other.cancel()]
            wait(running)
        for other in running:
            other.result()
        return results

    def share(self, count: int, function: Callable[[int, int], object]) -> None:
        """Call `function` with first and end index of equal shares of `count` items, at most one share a thread."""
        parts = min(self.threads, max(count // MIN_SHARE, 1))
        borders = [count * part // parts for part in range(parts + 1)]
        self.map(lambda part: function(borders[part], borders[part + 1]), range(parts))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> Any:
        if self._pool:
            self._pool.shutdown()


SINGLE_THREAD = Workers(1)
