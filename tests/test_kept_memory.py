"""Processes that compute networks keep the memory that a step frees, and others don't."""

import ctypes
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import jax
import pytest

from mammo_jax import devices, training_grid
from mammo_jax.train_step import _build_steps
from mammo_jax.training_config import TrainingConfig


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
@pytest.mark.parametrize(("only_cpu", "expected"), [(True, 3), (False, 0)])
def test_memory_is_kept_on_request_and_where_there_are_only_cpus(only_cpu, expected, monkeypatch):
    calls = []
    library = SimpleNamespace(mallopt=lambda *parameter: calls.append(parameter))
    monkeypatch.setattr(devices, "ctypes", SimpleNamespace(CDLL=lambda name: library))
    monkeypatch.setattr(devices, "_only_cpu", lambda: only_cpu)
    _build_steps(TrainingConfig(weight_decay=0.12), tuple(jax.local_devices()[:1]))
    assert list(training_grid._run_all(SimpleNamespace(run=str), ["task"], 1)) == ["task"]
    assert not calls
    devices.keep_memory()
    assert len(calls) == expected


def four_kibibyte_pages():
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return os.sysconf("SC_PAGE_SIZE") == 4096 and not (huge.exists() and "[always]" in huge.read_text())


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="glibc's")
@pytest.mark.skipif(sys.platform.startswith("linux") and not four_kibibyte_pages(), reason="counts pages of 4 KiB")
@pytest.mark.parametrize("kept", [True, False])
def test_kept_memory_is_not_had_from_the_system_again(kept):
    script = f"""
import resource
import jax, jax.numpy as jnp
from mammo_jax.devices import keep_memory
if {kept}:
    keep_memory()
step = jax.jit(lambda x: x + 1)
x = jnp.ones((64, 400_000))
pages = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
for _ in range(80):
    step(x).block_until_ready()
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print((pages[-1] - pages[-21]) / 20)
"""
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    hundred_megabytes = 25_000
    assert (float(process.stdout) > hundred_megabytes / 2) == (not kept)


def test_workers_keep_memory_before_anything_else(monkeypatch):
    done = []
    monkeypatch.setattr(training_grid, "keep_memory", lambda: done.append("kept"))
    monkeypatch.setattr(training_grid, "threading", SimpleNamespace(Thread=lambda **_: done.append("thread") or Mock()))
    monkeypatch.setattr(training_grid, "_worker", None)
    for name in ("XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "")
    training_grid._start_worker(SimpleNamespace())
    assert done == ["kept", "thread"]


class Kept(Exception):
    """Raised in place of keeping memory."""


@pytest.mark.parametrize(
    "job", ["study", "train", "saliency", "benchmark_training", "check_saliency", "check_against_torch"]
)
def test_jobs_that_compute_networks_keep_memory_first_of_all(job, tmp_path, monkeypatch):
    def keep():
        raise Kept

    module = importlib.import_module(f"experiments.{job}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "keep_memory", keep)
    with pytest.raises(Kept):
        module.main([])
    assert not list(tmp_path.iterdir())
