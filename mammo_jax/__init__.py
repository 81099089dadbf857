"""How far can mammograms be compressed before deep learning gets worse?

In Python, with the same functions as the command line::

    import mammo_jax as mj

    run = mj.Study(source="phantom", images=64, ratios=(100, 1000), out="runs/small").run()
    run.verdict, run.metrics, run.report

What is listed here is imported when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammo_jax import sources as sources
    from mammo_jax.api.compression import Compressed as Compressed
    from mammo_jax.api.compression import compress as compress
    from mammo_jax.api.evaluation import evaluate as evaluate
    from mammo_jax.api.model import Model as Model
    from mammo_jax.api.model import load_model as load_model
    from mammo_jax.api.run import Run as Run
    from mammo_jax.api.run import Verdict as Verdict
    from mammo_jax.api.study import Study as Study
    from mammo_jax.errors import UserError as UserError

_MODULES = {
    "Compressed": "api.compression",
    "Model": "api.model",
    "Run": "api.run",
    "Study": "api.study",
    "UserError": "errors",
    "Verdict": "api.run",
    "compress": "api.compression",
    "evaluate": "api.evaluation",
    "load_model": "api.model",
}
__all__ = [*_MODULES, "sources"]


def __getattr__(name: str) -> Any:
    """Import what is used for the first time."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    if name == "sources":
        return import_module(f"{__name__}.sources")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
