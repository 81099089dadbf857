"""What this machine has for a study: memory, disk, devices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import jax

CONTROL_GROUP = Path("/sys/fs/cgroup")
MEMORY_INFO = Path("/proc/meminfo")
ACCELERATORS = {
    "an NVIDIA GPU": (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0")),
    "a TPU": (Path("/dev/accel0"),),
}
"""What the system shows of devices, whether or not JAX can use them."""
HOW_TO_USE = {
    "an NVIDIA GPU": "pip install 'mammo-jax[cuda]' makes it usable",
    "a TPU": "pip install 'mammo-jax[tpu]' makes it usable",
}


def free_memory() -> int | None:
    """Return the bytes of memory that can be had without swapping; None where the system does not say."""
    found = [value for value in (_free_of_system(), _free_of_group()) if value is not None]
    return min(found, default=None)


def _free_of_system() -> int | None:
    if not MEMORY_INFO.exists():
        names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
        known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else None
    for line in MEMORY_INFO.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _free_of_group() -> int | None:
    """What a container leaves of its limit (control groups, version 2)."""
    try:
        limit = (CONTROL_GROUP / "memory.max").read_text().strip()
        used = (CONTROL_GROUP / "memory.current").read_text().strip()
    except OSError:
        return None
    return None if limit == "max" else max(int(limit) - int(used), 0)


def free_disk(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or will be on."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def devices_text() -> str:
    """Name the devices that JAX uses: "1 × cpu"."""
    devices = jax.devices()
    kinds = {device.device_kind for device in devices}
    return f"{len(devices)} × {' and '.join(sorted(kinds))}"


def unused_devices() -> list[str]:
    """Say which accelerators are there and not used, and how to use them."""
    if jax.default_backend() != "cpu":
        return []
    there = [name for name, paths in ACCELERATORS.items() if any(_is_there(path) for path in paths)]
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return [f"{name} is there, but JAX_PLATFORMS=cpu keeps JAX from it; unset that to use it" for name in there]
    return [f"{name} is there, but JAX computes on the CPU; {HOW_TO_USE[name]}" for name in there]


def _is_there(path: Path) -> bool:
    """Whether a path is there; a folder counts if it lists something."""
    return any(path.iterdir()) if path.is_dir() else path.exists()
