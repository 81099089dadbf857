"""Data-parallel steps over all devices: the one module that knows how batches and states are spread.

Everything else hands over its rows of a batch and gets whole results. `jax.pmap` gives each device its rows; a step
adds up over the devices, those of other processes included, with `total`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import jax_utils
from jax.experimental import multihost_utils

from mammo_jax.training_config import TrainingError

YNNPACK_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
KNOWN_JAX = ((0, 10), (0, 12))
"""First and last version of JAX that are known to have this flag; a flag that XLA doesn't know ends the process."""
BARRIER_PASS = "cse_barrier_expander"


def _choose_for_cpu() -> None:
    """Have XLA convolve on CPU with Eigen instead of YNNPACK, and leave `computed_once` in its programs.

    YNNPACK computes convolutions of up to 64 features, and most gradients for kernels, on one core: with two cores a
    training step of a ResNet18 takes a third longer.

    On CPU XLA takes optimisation barriers out of a program before it fuses operations; with that pass left out, steps
    take down to half the time. The setting counts for every kind of device, and GPUs need the pass, so it is left as it
    is where there could be one. XLA reads the variable when it compiles for the first time.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if flags.strip() and not flags.strip().startswith("-"):
        return  # the name of a file
    if YNNPACK_FLAG not in flags and KNOWN_JAX[0] <= jax.version.__version_info__[:2] <= KNOWN_JAX[1]:
        flags += f" {YNNPACK_FLAG}="
    if BARRIER_PASS not in flags and _only_cpu():
        flags += f" --xla_disable_hlo_passes={BARRIER_PASS}"  # adds to what the user leaves out
    os.environ["XLA_FLAGS"] = flags


def _only_cpu() -> bool:
    """Whether JAX cannot find another kind of device: none is asked for or installed."""
    if os.environ.get("JAX_PLATFORMS"):
        return os.environ["JAX_PLATFORMS"] == "cpu"
    return not entry_points(group="jax_plugins") and find_spec("libtpu") is None


_choose_for_cpu()

AXIS = "devices"
"""Name of the mapped axis: what modules and steps add up over."""


class DataParallel:
    """The devices that share each batch.

    Parameters
    ----------
    devices : sequence of Device or None
        All devices of all processes by default.
    parts : int
        Every device's number of rows is a multiple of this.
    """

    def __init__(self, devices: Sequence[jax.Device] | None = None, parts: int = 1):
        self.devices = tuple(jax.devices() if devices is None else devices)
        self.local = tuple(device for device in self.devices if device.process_index == jax.process_index())
        self.parts = parts

    def parallel(self, step: Callable, in_axes: tuple[int | None, ...], *, donate_first: bool = False) -> Callable:
        """Compile a step that runs on all devices at once.

        Parameters
        ----------
        step : callable
            Takes and returns pytrees of arrays; may use the axis `AXIS`.
        in_axes : tuple of 0 or None
            For every argument: 0 where it comes from `replicate` or `spread`, None for plain values that are the
            same on all devices.
        donate_first : bool
            The memory of the first argument may be used for the results; it is gone afterwards.
        """
        donated = (0,) if donate_first else ()
        return jax.pmap(step, axis_name=AXIS, in_axes=in_axes, devices=self.devices, donate_argnums=donated)

    def replicate(self, tree: Any) -> Any:
        """Put a copy of every array on each device."""
        # The axis name makes the first call's input look like every later call's, so that a step compiles once.
        return jax_utils.replicate(tree, self.local, axis_name=AXIS)

    def rows(self, batch_size: int) -> range:
        """Rows of a batch that this process prepares; those from `batch_size` up only fill the devices."""
        multiple = len(self.devices) * self.parts
        each = -(-batch_size // multiple) * self.parts
        first = next(place for place, device in enumerate(self.devices) if device in self.local) * each
        return range(first, first + each * len(self.local))

    def spread(self, batch: Any) -> Any:
        """Divide this process's rows of every array [rows, …] among its devices.

        Rows of zeros are added where the devices don't divide them evenly; a step must not count them, which is
        what a weight (zero there) is for.
        """
        count = len(self.local)

        def divide(rows: np.ndarray) -> np.ndarray:
            missing = -len(rows) % (count * self.parts)
            rows = np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) if missing else rows
            return rows.reshape(count, -1, *rows.shape[1:])

        return jax.tree.map(divide, batch)

    def first(self, tree: Any) -> Any:
        """Return one copy of a replicated tree, as NumPy arrays on the host."""
        return jax.tree.map(lambda leaf: np.array(leaf.addressable_shards[0].data)[0], tree)

    def gather(self, rows: jax.Array) -> np.ndarray:
        """Return the rows of all devices in order, as [rows, …]; the caller cuts off what was added."""
        if len(self.local) == len(self.devices):
            values = np.asarray(rows)
        else:
            own = np.concatenate([np.asarray(shard.data) for shard in rows.addressable_shards])
            values = multihost_utils.process_allgather(own, tiled=True)
        return values.reshape(-1, *values.shape[2:])


def total(tree: Any) -> Any:
    """Sum of every array over the devices; inside a step of `DataParallel.parallel`."""
    return jax.lax.psum(tree, AXIS)


def computed_once(values: Any) -> Any:
    """Have XLA on CPU compute these arrays once and keep them, where it would compute them again for every use.

    By an optimisation barrier. Elsewhere they stay as they are: XLA for GPU and TPU weighs this by itself.
    """
    return jax.lax.optimization_barrier(values) if jax.default_backend() == "cpu" else values


def join_processes() -> None:
    """Make one group of the processes that run this program, one a machine; call it before anything else of JAX.

    SLURM, Open MPI, Kubernetes and cloud TPUs are recognised by JAX; elsewhere the environment variables
    ``JAX_COORDINATOR_ADDRESS`` (host:port of the first process), ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID`` say who
    is who. All processes need the same folders.

    Raises
    ------
    TrainingError
        If neither a cluster nor the variables say so.
    """
    number, place = os.environ.get("JAX_NUM_PROCESSES"), os.environ.get("JAX_PROCESS_ID")
    try:
        jax.distributed.initialize(
            num_processes=None if number is None else int(number), process_id=None if place is None else int(place)
        )
    except ValueError as error:
        raise TrainingError(
            f"distributed: no cluster that JAX knows, and the variables don't say who is who ({error}); set"
            " JAX_COORDINATOR_ADDRESS (host:port of the first process), JAX_NUM_PROCESSES and JAX_PROCESS_ID (0, 1, …)"
            " in every process"
        ) from error


def writes_files() -> bool:
    """Whether this is the process that writes what all of them share."""
    return jax.process_index() == 0


def wait_for_all(reason: str) -> None:
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(reason)


def agree(decision: bool) -> bool:
    """Return the first process's decision in every process."""
    if jax.process_count() == 1:
        return decision
    return bool(multihost_utils.broadcast_one_to_all(np.array(decision)))


def keep_compiled_steps() -> None:
    """Keep compiled programs in the user's cache folder, so that the next process starts at once.

    ``JAX_COMPILATION_CACHE_DIR`` chooses another folder; ``JAX_ENABLE_COMPILATION_CACHE=false`` switches it off.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "mammo_jax" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def keep_memory() -> None:
    """Have the C library keep freed memory instead of giving it back to the system, where JAX can find only CPUs.

    A step takes and frees buffers of many megabytes. Given back, each of their pages has to be had from the system and
    zeroed again in the next step, which takes up to nine times as long as filling it; the step takes up to half as long
    again. In return the process grows, by up to half in trainings. Only glibc is known to do so. It cannot be undone:
    for processes whose work is networks, not for whoever calls one.

    Call it before anything of JAX runs: a thread that already has a part of memory to itself goes on giving that back.
    Where a plugin for another kind of device is installed, ``JAX_PLATFORMS=cpu`` says that there is none.
    """
    if not _only_cpu() or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        one_arena, never_trim, no_mapping = (-8, 1), (-1, -1), (-4, 0)  # M_ARENA_MAX, M_TRIM_THRESHOLD, M_MMAP_MAX
        for parameter, value in (one_arena, never_trim, no_mapping):
            mallopt(parameter, value)


@contextmanager
def keeping_memory_in_children() -> Iterator[None]:
    """Have processes that are started meanwhile keep memory as in `keep_memory`, by glibc's environment variables.

    A child that says so by itself has imported libraries before, whose threads have parts of memory already.
    """
    settings = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": str(1 << 60), "MALLOC_MMAP_MAX_": "0"}
    before = {name: os.environ.get(name) for name in settings}
    if _only_cpu():
        os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
