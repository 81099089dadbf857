"""How a process is set up: by whoever asks for it, and by nobody else."""

import os
import subprocess
import sys

import jax
import pytest

from mammo_jax import runtime


def test_what_is_to_be_computed_once_stays_apart_in_the_compiled_program():
    """XLA takes barriers out of programs for CPU, unless the pass that does so is left out."""
    code = """
import jax
from mammo_jax.devices import computed_once
from mammo_jax.runtime import choose_xla_flags
choose_xla_flags()
print(jax.jit(lambda x: computed_once(x * 2.0) + 1.0).lower(1.0).compile().as_text())
"""
    for flags in ("", "--xla_disable_hlo_passes=algsimp"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "XLA_FLAGS": flags}, capture_output=True, text=True
        )
        assert "opt-barrier" in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("platforms", "plugins", "only_cpu"),
    [("cpu", ["cuda"], True), ("", [], True), ("", ["cuda"], False), ("cuda,cpu", ["cuda"], False)],
)
def test_a_pass_that_other_devices_need_is_left_out_on_cpu_alone(monkeypatch, platforms, plugins, only_cpu):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    monkeypatch.setattr(runtime, "entry_points", lambda group: plugins if group == "jax_plugins" else [])
    runtime.choose_xla_flags()
    assert os.environ["XLA_FLAGS"].startswith("--xla_cpu_multi_thread_eigen=true ")
    assert ("--xla_disable_hlo_passes=cse_barrier_expander" in os.environ["XLA_FLAGS"]) is only_cpu


def test_a_file_of_xla_flags_is_left_as_it_is(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "flags.txt")
    runtime.choose_xla_flags()
    assert os.environ["XLA_FLAGS"] == "flags.txt"


@pytest.mark.parametrize("chosen", [None, "elsewhere"])
def test_compiled_steps_are_kept_in_the_users_cache_or_where_he_wants(chosen, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        jax.config.update("jax_compilation_cache_dir", chosen)
        runtime.keep_compiled_programs()
        kept = jax.config.values["jax_compilation_cache_dir"]
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert kept == (chosen or str(tmp_path / "mammo_jax" / "jax"))


def test_a_library_users_process_is_left_as_it_is():
    """Networks, training steps and saliency can be imported and used; only jobs set anything up."""
    code = """
import ctypes, os
before = dict(os.environ)
import jax
import mammo_jax.saliency.stage, mammo_jax.training.grid, mammo_jax.dataset.writing, mammo_jax.jobs.study
from mammo_jax.models import build_model
from mammo_jax.training.step import build_steps
from mammo_jax.training_config import TrainingConfig
build_steps(TrainingConfig())
changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
print(sorted(changed), jax.config.values["jax_compilation_cache_dir"], os.environ["XLA_FLAGS"])
"""
    flags = "--xla_cpu_multi_thread_eigen=true"
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["XLA_FLAGS"] = flags
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == f"[] None {flags}", done.stderr[-2000:]
