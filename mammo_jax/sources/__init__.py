"""Sources of mammograms, one module per source; each is a sequence of `Mammogram`.

The sources themselves are imported when they are first used: ``mammo_jax.sources.Folder("images.csv")[0].pixels``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mammo_jax.sources.mammogram import LABELS, Label, Lesion, Mammogram, Source, SourceError

if TYPE_CHECKING:
    from mammo_jax.sources.datasets import PublishedSource as PublishedSource
    from mammo_jax.sources.folder import Folder as Folder
    from mammo_jax.sources.hybrid import Hybrid as Hybrid
    from mammo_jax.sources.mias import Mias as Mias
    from mammo_jax.sources.phantom import Phantom as Phantom

_SOURCES = {"Folder": "folder", "Hybrid": "hybrid", "Mias": "mias", "Phantom": "phantom", "PublishedSource": "datasets"}

__all__ = ["LABELS", "Label", "Lesion", "Mammogram", "Source", "SourceError"]


def __getattr__(name: str) -> Any:
    """Import a source that is used for the first time."""
    if name in _SOURCES:
        return getattr(import_module(f"{__name__}.{_SOURCES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SOURCES])
