"""Settings for every test, set before JAX is imported and inherited by the processes that tests start."""

import importlib
import os
import subprocess
import sys
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
    # Tests compile many programs and run each a few times: with machine code that is not optimised, and is found
    # without MLIR, they take half as long. What XLA makes of a program before that stays.
    os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


# JAX doesn't write its cache so that another process can read meanwhile: each worker has its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
CACHE = Path(__file__).parents[1] / ".pytest_cache"
PROGRAMS = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or CACHE / "jax")
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(PROGRAMS / WORKER)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))


def pytest_configure(config):
    """Compile the codec's kernels once, before workers start, which would each take a minute to do so."""
    if WORKER or not config.getoption("numprocesses", None):
        return
    print("compiling the codec's kernels where they are not in the cache", flush=True)
    compiling = []
    for part in ("encode", "decode"):
        command = [sys.executable, Path(__file__).with_name("compile_kernels.py"), part]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        compiling.append(subprocess.Popen(command, env=environment))
    for process in compiling:
        process.wait()  # where one fails, so do the tests of what it compiles


def pytest_xdist_auto_num_workers() -> int:
    return min(MAX_WORKERS, processes.available_cores())


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


@pytest.fixture
def limits_aside(monkeypatch):
    """Compressing and verifying are done here, without the processes that hold their limits."""
    for module in ("batch", "verification"):
        name = f"mammo_jax.compression.{module}.results_within_limits"
        monkeypatch.setattr(name, lambda function, items, *_: map(function, items))


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images (mini-mias, dicom, cases, png16), which are not part of the project."""
    folder = os.environ.get("MAMMO_SHARED_DATA")
    if not folder:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    return Path(folder)


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
