"""The training benchmark runs from end to end, and takes no names that it does not know."""

import csv
import math
import timeit
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import pytest

from experiments import benchmark_training
from mammo_jax.jobs import run_job
from mammo_jax.training_config import TrainingConfig


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_one_small_network_is_measured(compute, tmp_path, monkeypatch, capsys):
    config = TrainingConfig(filters=(2, 3, 4), batch_size=4, augment=False)
    monkeypatch.setattr(benchmark_training, "CASES", (("tiny", config, 32), ("left out", config, 4096)))
    monkeypatch.setattr(run_job, "set_up", lambda networks: None)  # kept memory would stay for other tests
    flags = ["--cases", "tiny", "--rounds", "1", "--compute", compute, "--out", str(tmp_path)]
    benchmark_training.main(flags)
    (row,) = csv.DictReader((tmp_path / "benchmark_training.csv").read_text().splitlines())
    assert (row["network"], row["pixels"], row["batch"]) == ("tiny", "32", "4")
    numbers = {name: float(row[name]) for name in ("train", "predict", "input", "compile_train_seconds", "memory_mb")}
    assert all(math.isfinite(number) and number > 0 for number in numbers.values()), numbers
    assert 0 < float(row["of_peak"]) < 1, "no network is computed faster than a large matrix product"
    compared = compute == "float32" and find_spec("torch") is not None
    assert (float(row["train_ratio"]) > 0) == compared, "NaN where there is nothing to compare with"
    missing = compute == "float32" and find_spec("torch") is None
    assert ("PyTorch is not installed" in capsys.readouterr().out) == missing


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_the_peak_is_what_a_product_of_that_type_reaches(compute, monkeypatch):
    """Measured anew here, by a smaller product; on a shared machine the two may be a few times apart."""
    ones, types = jnp.ones, []
    with monkeypatch.context() as patch:
        patch.setattr(jnp, "ones", lambda shape, dtype: (types.append(dtype), ones(shape, dtype))[1])
        peak = benchmark_training.peak_flops(compute)
    assert types == [compute]
    size = 1024
    matrix = jnp.ones((size, size), compute)
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    seconds = min(timeit.repeat(lambda: product(matrix, matrix).block_until_ready(), number=1, repeat=5))
    assert 1 / 10 < peak * seconds / (2 * size**3) < 10


@pytest.mark.parametrize(
    ("flags", "said"), [(["--cases", "cnn 8-16-23"], "are not among"), (["--compute", "int8"], "int8")]
)
def test_what_is_not_known_is_refused(flags, said, capsys):
    with pytest.raises(SystemExit):
        benchmark_training.main(flags)
    assert said in capsys.readouterr().err
