"""How far a stage is: a bar on a terminal, and lines elsewhere, such as in a cluster's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

SHARE = 0.05
LEAST_SECONDS, MOST_SECONDS = 30.0, 600.0
"""A line comes after a further `SHARE`, never sooner than the first, and with the next item after the second."""

SHORT_SECONDS = 1.0
"""A stage that ends sooner has no line."""


class Progress(Protocol):
    """What counts items; also a context manager that ends the display."""

    n: int

    def update(self, n: int = 1) -> object:
        """Count `n` more items."""

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Show a few words at the end, such as the last result."""

    def __enter__(self) -> Progress:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> object:
        """End the display."""


def progress(title: str, total: int, unit: str, done: int = 0) -> Progress:
    """Show on standard error how many items are done, how fast, and how long the rest takes.

    Parameters
    ----------
    title : str
        What is done: "compressing".
    total : int
        Number of items.
    unit : str
        One item: "image".
    done : int
        Items that were done before.
    """
    if sys.stderr.isatty():
        return tqdm(total=total, initial=done, desc=title, unit=unit)
    return _Lines(title, total, unit, done)


def counted(items: Iterable[Item], title: str, total: int, unit: str) -> Iterator[Item]:
    """Yield the items, and show how far they are as `progress` does."""
    with progress(title, total, unit) as bar:
        for item in items:
            yield item
            bar.update()


class _Lines:
    """Progress as lines of text."""

    def __init__(self, title: str, total: int, unit: str, done: int):
        self.title, self.total, self.unit, self.before = title, total, unit, done
        self.n = self.shown = done
        self.note = ""
        self.started = self.last = time.monotonic()

    def update(self, n: int = 1) -> None:
        self.n += n
        waited = time.monotonic() - self.last
        further = self.n - self.shown >= SHARE * self.total
        if self.n > self.shown and waited >= (LEAST_SECONDS if further else MOST_SECONDS):
            self._show()

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:  # noqa: ARG002
        self.note = s

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self.n > self.shown and time.monotonic() - self.started >= SHORT_SECONDS:
            self._show()

    def _show(self) -> None:
        self.last, self.shown = time.monotonic(), self.n
        seconds = max(self.last - self.started, 1e-9)
        rate = (self.n - self.before) / seconds
        share = f"{100 * self.n / max(self.total, 1):.0f} %"
        left = tqdm.format_interval((self.total - self.n) / rate) if self.n < self.total else "0:00"
        units = self.unit[:-1] + "ies" if self.unit.endswith("y") else self.unit + "s"
        speed = f"{rate:.3g} {units}/s" if rate >= 1 else f"{1 / rate:.3g} s/{self.unit}"
        parts = [share, f"{self.n} of {self.total} {units}", speed, f"{left} left", *filter(None, [self.note])]
        print(f"{self.title}: {', '.join(parts)}", file=sys.stderr, flush=True)
