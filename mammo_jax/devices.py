"""Data-parallel steps over all devices: the one module that knows how batches and states are spread.

Everything else hands over its rows of a batch and gets whole results. `jax.pmap` gives each device its rows; a step
adds up over the devices, those of other processes included, with `total`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import jax_utils
from jax.experimental import multihost_utils

from mammo_jax.training_config import TrainingError

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

    By an optimisation barrier, which XLA on CPU keeps in its programs if `runtime.choose_xla_flags` says so. Elsewhere
    they stay as they are: XLA for GPU and TPU weighs this by itself.
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
