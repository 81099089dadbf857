"""Processes that compute networks keep the memory that a step frees, and others don't."""

import ctypes
import importlib
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from mammo_jax import runtime
from mammo_jax.jobs.command_line import job_module
from mammo_jax.training import grid
from mammo_jax.training.step import _build_steps
from mammo_jax.training_config import TrainingConfig


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
@pytest.mark.parametrize(("only_cpu", "expected"), [(True, 3), (False, 0)])
def test_memory_is_kept_on_request_and_where_there_are_only_cpus(only_cpu, expected, monkeypatch):
    calls = []
    library = SimpleNamespace(mallopt=lambda *parameter: calls.append(parameter))
    monkeypatch.setattr(runtime, "ctypes", SimpleNamespace(CDLL=lambda name: library))
    monkeypatch.setattr(runtime, "_only_cpu", lambda: only_cpu)
    _build_steps(TrainingConfig(weight_decay=0.12), tuple(jax.local_devices()[:1]))
    assert list(grid._run_all(SimpleNamespace(run=str), ["task"], 1)) == ["task"]
    assert not calls
    runtime.keep_memory()
    assert len(calls) == expected


def four_kibibyte_pages():
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return os.sysconf("SC_PAGE_SIZE") == 4096 and not (huge.exists() and "[always]" in huge.read_text())


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="glibc's")
@pytest.mark.skipif(sys.platform.startswith("linux") and not four_kibibyte_pages(), reason="counts pages of 4 KiB")
@pytest.mark.parametrize("kept", ["by itself", "by its parent", "not"])
def test_kept_memory_is_not_had_from_the_system_again(kept, monkeypatch):
    script = f"""
import resource
import jax, jax.numpy as jnp
from mammo_jax.runtime import keep_memory
if {kept == "by itself"}:
    keep_memory()
step = jax.jit(lambda x: x + 1)
x = jnp.ones((64, 400_000))
pages = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
for _ in range(80):
    step(x).block_until_ready()
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print((pages[-1] - pages[-21]) / 20)
"""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with runtime.environment_variables(runtime.worker_environment()) if kept == "by its parent" else nullcontext():
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    hundred_megabytes = 25_000
    assert (float(process.stdout) > hundred_megabytes / 2) == (kept == "not")


@pytest.mark.parametrize("only_cpu", [True, False])
def test_children_are_told_where_there_are_only_cpus_and_the_environment_is_left_as_it_was(only_cpu, monkeypatch):
    monkeypatch.setattr(runtime, "_only_cpu", lambda: only_cpu)
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    before = dict(os.environ)
    with runtime.environment_variables(runtime.worker_environment()):
        assert (os.environ["MALLOC_MMAP_MAX_"] == "0") == only_cpu
        assert ("MALLOC_ARENA_MAX" in os.environ) == only_cpu
    assert dict(os.environ) == before


def test_workers_keep_memory_from_their_start(monkeypatch):
    monkeypatch.setattr(runtime, "_only_cpu", lambda: True)
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert list(grid._run_all(_Environment(), ["MALLOC_ARENA_MAX"], workers=1)) == [None]
    assert list(grid._run_all(_Environment(), ["MALLOC_ARENA_MAX"] * 2, workers=2)) == ["1", "1"]


class _Environment:
    """Runner whose tasks are names of environment variables and give the values in their process."""

    def run(self, name):
        return os.environ.get(name)


class Kept(Exception):
    """Raised in place of keeping memory."""


@pytest.mark.parametrize(
    "job", ["study", "train", "saliency", "benchmark-training", "check-saliency", "check-against-torch"]
)
def test_jobs_that_compute_networks_keep_memory_first_of_all(job, tmp_path, monkeypatch):
    def keep():
        raise Kept

    module = importlib.import_module(job_module(job))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "keep_memory", keep)
    with pytest.raises(Kept):
        module.main([])
    assert not list(tmp_path.iterdir())
