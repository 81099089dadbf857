"""How a process is set up for a job: memory, XLA, TensorFlow, and the cache of compiled programs.

Nothing here happens at import. Every job calls `set_up` before anything else, and every worker process of a pool the
function that is made for it; whoever uses the package as a library keeps the process as it is. Two things happen where
they are needed: reading a dataset imports TensorFlow, with `quiet_tensorflow` before, and OpenJPEG takes its number of
threads from the environment variable OPJ_NUM_THREADS, which `mammo_jax.compression.codecs` sets for single calls.

| what | for whom | why |
|---|---|---|
| TF_CPP_MIN_LOG_LEVEL, TF_ENABLE_ONEDNN_OPTS | all jobs | TensorFlow announces itself on the terminal otherwise |
| XLA_FLAGS | jobs that compute networks, on CPU | `choose_xla_flags` |
| mallopt | the same | `keep_memory` |
| JAX's compilation cache | the same | `keep_compiled_programs` |
| MALLOC_… | their worker processes | `worker_environment` |
| XLA_FLAGS, TF_NUM_… | the same | `set_up_training_worker`: each has one core |
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path

YNNPACK_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
KNOWN_JAX = ((0, 10), (0, 12))
"""First and last version of JAX that are known to have this flag; a flag that XLA doesn't know ends the process."""
BARRIER_PASS = "cse_barrier_expander"


def set_up(*, networks: bool) -> None:
    """Set this process up for a job; call it before anything of JAX runs.

    Parameters
    ----------
    networks : bool
        Whether the job computes networks. JAX is not touched where it does not.
    """
    quiet_tensorflow()
    if networks:
        choose_xla_flags()
        keep_memory()
        keep_compiled_programs()


@contextmanager
def environment_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within a `with` block, for what reads them there; after it they are as before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def quiet_tensorflow() -> None:
    """Keep TensorFlow's announcements off the terminal, unless the user's environment says otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def choose_xla_flags() -> None:
    """Have XLA convolve on CPU with Eigen instead of YNNPACK, and leave `devices.computed_once` in its programs.

    YNNPACK computes convolutions of up to 64 features, and most gradients for kernels, on one core: with two cores a
    training step of a ResNet18 takes a third longer.

    On CPU XLA takes optimisation barriers out of a program before it fuses operations; with that pass left out, steps
    take down to half the time. The setting counts for every kind of device, and GPUs need the pass, so it is left as it
    is where there could be one. XLA reads the variable when it compiles for the first time.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if flags.strip() and not flags.strip().startswith("-"):
        return  # the name of a file
    jax_version = tuple(int(part) for part in version("jax").split(".")[:2])
    if YNNPACK_FLAG not in flags and KNOWN_JAX[0] <= jax_version <= KNOWN_JAX[1]:
        flags += f" {YNNPACK_FLAG}="
    if BARRIER_PASS not in flags and _only_cpu():
        flags += f" --xla_disable_hlo_passes={BARRIER_PASS}"  # adds to what the user leaves out
    os.environ["XLA_FLAGS"] = flags


def _only_cpu() -> bool:
    """Whether JAX cannot find another kind of device: none is asked for or installed."""
    if os.environ.get("JAX_PLATFORMS"):
        return os.environ["JAX_PLATFORMS"] == "cpu"
    return not entry_points(group="jax_plugins") and find_spec("libtpu") is None


def keep_compiled_programs() -> None:
    """Keep compiled programs in the user's cache folder, so that the next process starts at once.

    ``JAX_COMPILATION_CACHE_DIR`` chooses another folder; ``JAX_ENABLE_COMPILATION_CACHE=false`` switches it off.
    """
    import jax  # here, so that jobs without networks do not wait for it

    if jax.config.values["jax_compilation_cache_dir"] is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "mammo_jax" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def keep_memory() -> None:
    """Have the C library keep freed memory instead of giving it back to the system, where JAX can find only CPUs.

    A step takes and frees buffers of many megabytes. Given back, each of their pages has to be had from the system and
    zeroed again in the next step, which takes up to nine times as long as filling it; the step takes up to half as long
    again. In return the process grows, by up to half in trainings. Only glibc is known to do so. It cannot be undone.

    A thread that already has a part of memory to itself goes on giving that back. Where a plugin for another kind of
    device is installed, ``JAX_PLATFORMS=cpu`` says that there is none.
    """
    if not _only_cpu() or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        one_arena, never_trim, no_mapping = (-8, 1), (-1, -1), (-4, 0)  # M_ARENA_MAX, M_TRIM_THRESHOLD, M_MMAP_MAX
        for parameter, value in (one_arena, never_trim, no_mapping):
            mallopt(parameter, value)


def worker_environment() -> dict[str, str]:
    """Environment variables by which glibc keeps memory in a process from its start, as `keep_memory` does later.

    A process that says so by itself has imported libraries before, whose threads have parts of memory already.
    """
    if not _only_cpu():
        return {}
    return {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": str(1 << 60), "MALLOC_MMAP_MAX_": "0"}


def set_up_training_worker() -> None:
    """Set up a process that trains beside others: as a job that computes networks, on one core."""
    choose_xla_flags()
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    keep_compiled_programs()
