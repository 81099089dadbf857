"""Worker processes of a script or notebook."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def workers_without_main() -> Iterator[None]:
    """Have worker processes start without the caller's script, which they would run once more each.

    What they compute is always in an imported module, so a script needs no ``if __name__ == "__main__"``.
    """
    main = sys.modules["__main__"]
    if multiprocessing.parent_process() is not None:  # a worker of the caller's own, whose script is not there
        yield
        return
    kept: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    try:
        vars(main).pop("__file__", None)
        main.__spec__ = None
        yield
    finally:
        vars(main).update(kept)
