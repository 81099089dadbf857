"""Settings for every test, set before JAX is imported and inherited by the processes that tests start."""

import importlib
import os
from concurrent.futures import Future
from pathlib import Path

import pytest

from mammo_jax import processes, runtime

MAX_WORKERS = 8  # of pytest-xdist; each takes up to 2 GB
LONGEST = ("test_study.py", "test_stage.py", "test_integrated_gradients.py", "test_convolution.py")
"""Modules that begin first, so that no core waits for one of them at the end."""

os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
runtime.quiet_tensorflow()
runtime.choose_xla_flags()
if runtime.YNNPACK_FLAG in os.environ["XLA_FLAGS"]:  # a JAX whose flags are known
    # Tests compile many programs and run each a few times: with machine code that is less optimised, and is found
    # without MLIR, they take 40 % less. What XLA makes of a program before that stays.
    os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false"


def keep_apart(variable: str, default: Path | None) -> None:
    """Give this worker of pytest-xdist its own part of a cache folder: neither Numba nor JAX writes atomically."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    folder = os.environ.get(variable) or default
    if folder is not None:
        os.environ[variable] = str(Path(folder) / worker)


CACHE = Path(__file__).parents[1] / ".pytest_cache"
keep_apart("JAX_COMPILATION_CACHE_DIR", CACHE / "jax")
keep_apart("NUMBA_CACHE_DIR", CACHE / "numba" if "PYTEST_XDIST_WORKER" in os.environ else None)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def pytest_xdist_auto_num_workers() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_WORKERS, cores)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


class InThisProcess:
    """Stands for a ProcessPoolExecutor, and calls at once what it is given."""

    def __init__(self, count, context, initializer, arguments):
        initializer(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_):
        pass


@pytest.fixture
def without_processes(monkeypatch):
    """Work of pools is done here: a process takes four seconds to import what it needs."""
    monkeypatch.setattr(processes, "ProcessPoolExecutor", InThisProcess)


@pytest.fixture(scope="session")
def openjpeg_glymur(tmp_path_factory):
    """glymur, which brings no OpenJPEG of its own, pointed at the one inside Pillow's wheel."""
    import PIL

    (library,) = (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*")
    folder = tmp_path_factory.mktemp("configuration")
    (folder / "glymur").mkdir()
    (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        glymur = importlib.import_module("glymur")
    assert glymur.version.openjpeg_version >= "2.5"
    return glymur
