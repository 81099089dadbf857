"""Disk and memory that are too small stop a plan or are said; an accelerator that is not used is said."""

from dataclasses import replace

import pytest

from mammo_jax.planning import machine
from mammo_jax.planning.cost import Work, compress_seconds, disk_bytes, network_bytes, training_seconds
from mammo_jax.planning.errors import PlanError
from mammo_jax.planning.needs import check_needs, duration_text, needs_of
from mammo_jax.sources.stored_pixels import StoredSize
from mammo_jax.training_config import TrainingConfig

DEFAULT = Work(
    sizes=[StoredSize(1664, 1280, 16)] * 640,
    drawn=True,
    ratios=10,
    codec="mammo_jax",
    units=640,
    input_shape=(64, 64),
    folds=5,
    models=55,
    tests=605,
    training=TrainingConfig(),
)


def test_the_default_study_costs_what_it_was_measured_to_cost():
    """Eleven minutes of one core, 21 MB of networks and 51 MB of records."""
    core = compress_seconds(DEFAULT) + training_seconds(DEFAULT)
    assert 8 * 60 < core < 20 * 60
    weights = network_bytes(DEFAULT.training, DEFAULT.input_shape)
    assert 0.05e6 < weights < 0.38e6
    assert 72e6 < disk_bytes(DEFAULT, weights, 2) < 150e6


def test_what_was_not_measured_is_not_guessed(tmp_path):
    other = replace(DEFAULT, codec="jpegxl", training=TrainingConfig(model="my.networks:Net"))
    assert compress_seconds(other) is None
    assert training_seconds(other) is None
    topics = needs_of(other, 10**6, tmp_path, 2, 2).topics()
    assert topics["time"].count("not known") == 2


def test_twice_the_images_epochs_or_pixels_cost_about_twice():
    once = training_seconds(DEFAULT)
    for changes in (
        {"units": 1280},
        {"training": TrainingConfig(epochs=64)},
        {"input_shape": (128, 64)},
        {"training": TrainingConfig(filters=(16, 32, 64))},
    ):
        assert 1.5 * once < training_seconds(replace(DEFAULT, **changes)) < 2.1 * once


def test_too_little_disk_or_memory_stops_the_plan_and_scarce_ones_are_said(tmp_path):
    needs = replace(
        needs_of(DEFAULT, 10**6, tmp_path, 2, 2),
        disk=10**9,
        free_disk=10**12,
        memory=10**9,
        memory_of_one=5 * 10**8,
        free_memory=10**12,
    )
    assert check_needs(needs) == []
    assert check_needs(replace(needs, free_memory=None)) == []
    assert "the disk has 500 MB free, and up to 1 GB are needed" in check_needs(replace(needs, free_disk=5 * 10**8))
    (memory,) = check_needs(replace(needs, free_memory=8 * 10**8))
    assert memory == "800 MB of memory are free, and up to 1 GB are needed; --workers 1 takes less"
    with pytest.raises(PlanError, match=r"the disk has 100 MB free.*another disk"):
        check_needs(replace(needs, free_disk=10**8))
    with pytest.raises(PlanError, match=r"100 MB of memory are free.*with --workers 1"):
        check_needs(replace(needs, free_memory=10**8))


def test_memory_is_what_a_container_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(machine, "MEMORY_INFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   5000 kB\n")
    assert machine.free_memory() == 5_120_000
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert machine.free_memory() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_memory() == 5_120_000
    (tmp_path / "meminfo").unlink()
    assert machine.free_memory() > 10**8  # what the machine has, where nothing says what is free


def test_an_accelerator_that_is_not_used_is_said_with_what_makes_it_usable(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.jax, "default_backend", lambda: "cpu")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    gpus = tmp_path / "gpus"
    gpus.mkdir()
    monkeypatch.setattr(machine, "ACCELERATORS", {"an NVIDIA GPU": (gpus, tmp_path / "nvidia0")})
    assert machine.unused_devices() == []
    (gpus / "0000:01:00.0").mkdir()
    (said,) = machine.unused_devices()
    assert "pip install 'mammo-jax[cuda]'" in said
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    (said,) = machine.unused_devices()
    assert "JAX_PLATFORMS=cpu keeps JAX from it" in said
    monkeypatch.setattr(machine.jax, "default_backend", lambda: "gpu")
    assert machine.unused_devices() == []


def test_durations_are_short_to_read():
    texts = [duration_text(seconds) for seconds in (3, 120, 5399, 5400, 100_000, 400_000)]
    assert texts == ["a minute", "2 minutes", "90 minutes", "1.5 hours", "28 hours", "4.6 days"]
