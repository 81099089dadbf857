"""The training benchmark runs from end to end, and takes no names that it does not know."""

import csv
import math
from importlib.util import find_spec

import pytest

from experiments import benchmark_training
from mammo_jax.training_config import TrainingConfig


def test_one_small_network_is_measured(tmp_path, monkeypatch, capsys):
    config = TrainingConfig(filters=(2, 3, 4), batch_size=4, augment=False)
    monkeypatch.setattr(benchmark_training, "CASES", (("tiny", config, 32), ("left out", config, 4096)))
    monkeypatch.setattr(benchmark_training, "set_up", lambda networks: None)
    monkeypatch.setattr(benchmark_training, "peak_flops", lambda compute: 1e12)
    benchmark_training.main(["--cases", "tiny", "--rounds", "1", "--out", str(tmp_path)])
    (row,) = csv.DictReader((tmp_path / "benchmark_training.csv").read_text().splitlines())
    assert (row["network"], row["pixels"], row["batch"]) == ("tiny", "32", "4")
    numbers = {name: float(row[name]) for name in ("train", "predict", "input", "compile_train_seconds", "memory_mb")}
    assert all(math.isfinite(number) and number > 0 for number in numbers.values()), numbers
    with_torch = find_spec("torch") is not None
    assert (float(row["train_ratio"]) > 0) == with_torch, "NaN where there is no PyTorch"
    assert ("PyTorch is not installed" in capsys.readouterr().out) != with_torch


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_the_peak_is_that_of_the_type_computed_in(compute, monkeypatch):
    seen = []
    monkeypatch.setattr(benchmark_training, "in_turns", lambda works, rounds: [[seen.append(works) or 2.0]])
    monkeypatch.setattr(benchmark_training.jnp, "ones", lambda shape, dtype: seen.append(dtype))
    assert benchmark_training.peak_flops(compute) == 2 * 2048**3 / 2.0
    assert seen[0] == compute


@pytest.mark.parametrize(
    ("flags", "said"), [(["--cases", "cnn 8-16-23"], "are not among"), (["--compute", "int8"], "int8")]
)
def test_what_is_not_known_is_refused(flags, said, capsys):
    with pytest.raises(SystemExit):
        benchmark_training.main(flags)
    assert said in capsys.readouterr().err
