"""What XLA is told when the package is imported."""

import os
import subprocess
import sys

import pytest

from mammo_jax import devices


def test_what_is_to_be_computed_once_stays_apart_in_the_compiled_program():
    """XLA takes barriers out of programs for CPU, unless the pass that does so is left out."""
    code = (
        "import jax; from mammo_jax.devices import computed_once as once; f = jax.jit(lambda x: once(x * 2.0) + 1.0);"
    )
    code += "print(f.lower(1.0).compile().as_text())"
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
    monkeypatch.setattr(devices, "entry_points", lambda group: plugins if group == "jax_plugins" else [])
    devices._choose_for_cpu()
    assert os.environ["XLA_FLAGS"].startswith("--xla_cpu_multi_thread_eigen=true ")
    assert ("--xla_disable_hlo_passes=cse_barrier_expander" in os.environ["XLA_FLAGS"]) is only_cpu


def test_a_file_of_xla_flags_is_left_as_it_is(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "flags.txt")
    devices._choose_for_cpu()
    assert os.environ["XLA_FLAGS"] == "flags.txt"
