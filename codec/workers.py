"""Threads for compiled kernels, which hold no interpreter lock."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

from codec.options import whole_number

Item = TypeVar("Item")
Result = TypeVar("Result")

FEWEST_A_SHARE = 32


class Workers:
    """Threads that share work, the caller's own among them. Use as a context manager.

    Raises
    ------
    OptionError
        `threads` is no whole number above 0. (None are started before there is work.)
    """

    def __init__(self, threads: int):
        self.threads = whole_number("threads", threads, 1)
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """``[function(item) for item in items]``, some at a time."""
        if self._pool is None:
            return [function(item) for item in items]
        items = list(items)
        results: list[Any] = [None] * len(items)
        places = iter(range(len(items)))  # each place is handed out once, whoever asks

        def work() -> None:
            try:
                for place in places:
                    results[place] = function(items[place])
            except BaseException:
                deque(places, 0)  # so that nobody begins another item
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
        """Call `function` with first and end index of equal shares of `count` items, one a thread if they are many."""
        parts = min(self.threads, max(count // FEWEST_A_SHARE, 1))
        borders = [count * part // parts for part in range(parts + 1)]
        self.map(lambda part: function(borders[part], borders[part + 1]), range(parts))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> Any:
        if self._pool:
            self._pool.shutdown()


CALLER = Workers(1)
