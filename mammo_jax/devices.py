"""Data-parallel steps over all local devices: the one module that knows how batches and states are spread.

Everything else hands over whole batches and gets whole results. `jax.pmap` gives each device its rows; a step adds up
over the devices with `total`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import jax_utils

AXIS = "devices"
"""Name of the mapped axis: what modules and steps add up over."""


class DataParallel:
    """The local devices that share each batch.

    Parameters
    ----------
    devices : sequence of Device or None
        All local devices by default.
    """

    def __init__(self, devices: Sequence[jax.Device] | None = None):
        self.devices = tuple(jax.local_devices() if devices is None else devices)

    def parallel(self, step: Callable, in_axes: tuple[int | None, ...]) -> Callable:
        """Compile a step that runs on all devices at once.

        Parameters
        ----------
        step : callable
            Takes and returns pytrees of arrays; may use the axis `AXIS`.
        in_axes : tuple of 0 or None
            For every argument: 0 where it comes from `replicate` or `spread`, None for plain values that are the
            same on all devices.
        """
        return jax.pmap(step, axis_name=AXIS, in_axes=in_axes, devices=self.devices)

    def replicate(self, tree: Any) -> Any:
        """Put a copy of every array on each device."""
        # The axis name makes the first call's input look like every later call's, so that a step compiles once.
        return jax_utils.replicate(tree, self.devices, axis_name=AXIS)

    def spread(self, batch: Any) -> Any:
        """Divide the rows of every array [rows, …] among the devices.

        Rows of zeros are added where the devices don't divide the batch evenly; a step must not count them, which is
        what a weight (zero there) is for.
        """
        count = len(self.devices)

        def divide(rows: np.ndarray) -> np.ndarray:
            missing = -len(rows) % count
            rows = np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) if missing else rows
            return rows.reshape(count, -1, *rows.shape[1:])

        return jax.tree.map(divide, batch)

    def first(self, tree: Any) -> Any:
        """Return one copy of a replicated tree, as NumPy arrays on the host."""
        return jax.tree.map(lambda leaf: np.array(leaf.addressable_shards[0].data)[0], tree)

    def gather(self, rows: jax.Array) -> np.ndarray:
        """Return the rows of all devices in order, as [rows, …]; the caller cuts off what `spread` added."""
        values = np.asarray(rows)
        return values.reshape(-1, *values.shape[2:])


def total(tree: Any) -> Any:
    """Sum of every array over the devices; inside a step of `DataParallel.parallel`."""
    return jax.lax.psum(tree, AXIS)


def keep_compiled_steps() -> None:
    """Keep compiled programs in the user's cache folder, so that the next process starts at once.

    ``JAX_COMPILATION_CACHE_DIR`` chooses another folder; ``JAX_ENABLE_COMPILATION_CACHE=false`` switches it off.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "mammo_jax" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
