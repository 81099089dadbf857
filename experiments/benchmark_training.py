"""Benchmark of training and inference against PyTorch: images per second, in one run, in turns, with equal threads.

    mammo-jax benchmark-training                 all cores of the machine
    mammo-jax benchmark-training --threads 1     one core, as in the processes of a study

Prints a table and writes OUT/benchmark_training.csv. Both frameworks get float32 images in memory and use AdamW; JAX
also standardises the images in its step. "compile" is the extra time of a process's first training step and prediction,
with compiled programs in the persistent cache. "input" is the rate of the input pipeline alone, which must never be the
bottleneck. "of peak" is the step's rate of operations relative to a large matrix product of the same type on the same
device. Without PyTorch only the JAX half runs; if JAX has a GPU, PyTorch uses it too. Takes about three minutes on two
cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import tyro

from mammo_jax.dataset.input_pipeline import Examples, batches
from mammo_jax.files import atomic_path
from mammo_jax.jobs.run_job import run_job
from mammo_jax.training.step import StepInputs, _build_steps, build_steps
from mammo_jax.training_config import TrainingConfig

CASES: tuple[tuple[str, TrainingConfig, int], ...] = (
    ("cnn 8-16-32", TrainingConfig(batch_size=32, augment=False), 64),
    ("cnn 8-16-32", TrainingConfig(batch_size=16, augment=False), 224),
    ("cnn 16-32-64", TrainingConfig(filters=(16, 32, 64), batch_size=16, augment=False), 224),
    ("resnet18", TrainingConfig(model="resnet18", pretrained="none", batch_size=16, augment=False), 224),
)
RATE = 1e-4


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings of the benchmark.

    Attributes
    ----------
    threads : int or None
        Threads of both frameworks, on CPU; None uses every core.
    rounds : int
        Measurements of each framework, in turns; the minimum counts, and the median is written as well.
    cases : tuple of str
        Networks, by their names in the table; all by default.
    compute : {"float32", "bfloat16"}
        Type of JAX's computation; PyTorch is left out unless it is float32.
    out : Path
        Folder for benchmark_training.csv.
    """

    threads: int | None = None
    rounds: int = 8
    cases: tuple[str, ...] = ()
    compute: Literal["float32", "bfloat16"] = "float32"
    out: Path = Path("runs/benchmark")

    def __post_init__(self) -> None:
        """Raise ValueError for networks that are not in the table."""
        if unknown := set(self.cases) - {name for name, *_ in CASES}:
            raise ValueError(f"cases: {sorted(unknown)} are not among {sorted({name for name, *_ in CASES})}")


@dataclass(frozen=True)
class Measurement:
    """The results of one network: images per second, and ratios, which are above 1 if JAX is faster."""

    network: str
    pixels: int
    batch: int
    device: str
    threads: int
    train: float
    train_median: float
    train_torch: float
    train_ratio: float
    predict: float
    predict_median: float
    predict_torch: float
    predict_ratio: float
    input: float
    compile_train_seconds: float
    compile_predict_seconds: float
    of_peak: float
    memory_mb: float


@dataclass(frozen=True)
class Work:
    """The training step and inference of one framework on one batch; each call waits for its result."""

    train: Callable[[], Any]
    predict: Callable[[], Any]


def images_of(config: TrainingConfig, size: int, count: int = 0) -> Examples:
    """Draw random examples, one batch by default."""
    random = np.random.default_rng(0)
    count = count or config.batch_size
    names = np.array([f"{number:05}" for number in range(count)])
    targets = random.integers(0, 2, count)
    images = random.integers(0, 65536, (count, size, size, 1)).astype(np.uint16)
    return Examples("1", images, targets, targets, targets, names, names)


def in_jax(config: TrainingConfig, size: int) -> tuple[Work, Callable[[], Any]]:
    """Return the study's steps, and a function that returns the compiled training step."""
    examples = images_of(config, size)
    steps = build_steps(config)
    state = [steps.parallel.replicate(jax.device_get(steps.initialise(np.uint32(0), examples.images[:1])))]
    batch = {
        "image": examples.images,
        "target": examples.targets.astype(np.float32),
        "weight": np.ones(config.batch_size, np.float32),
    }
    inputs = StepInputs(np.float32(RATE), np.uint32(0), np.int32(0))
    spread = steps.parallel.spread(batch)
    variables = steps.parallel.replicate(steps.parallel.first(state[0].variables))

    def train() -> None:
        state[0], loss = steps.train(state[0], spread, inputs)
        loss.block_until_ready()

    def predict() -> None:
        steps.predict(variables, spread["image"]).block_until_ready()

    def compiled() -> Any:
        return steps.train.lower(state[0], spread, inputs).compile()  # type: ignore[attr-defined]

    return Work(train, predict), compiled


def in_torch(config: TrainingConfig, size: int, threads: int) -> Work | None:
    """Return the same network's steps in PyTorch; None if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    from experiments.torch_parity.models import TorchCNN, TorchResNet18
    from experiments.torch_parity.parity import network_input
    from experiments.torch_parity.training import as_torch

    torch.set_num_threads(threads)
    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    model = (TorchCNN(config.filters) if config.model == "cnn" else TorchResNet18()).to(device)
    images = as_torch(network_input(images_of(config, size).images)).to(device)
    targets = torch.from_numpy(images_of(config, size).targets).float().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=config.weight_decay)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(images), targets)
        loss.backward()
        optimizer.step()
        loss.item()

    def predict() -> None:
        model.eval()
        with torch.no_grad():
            model(images).sum().item()

    return Work(train, predict)


def in_turns(works: Sequence[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """Measure the seconds of each function in turns, after one call that is not counted."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for seconds, work in zip(times, works):
            start = time.perf_counter()
            work()
            if turn:
                seconds.append(time.perf_counter() - start)
    return times


def compile_seconds(config: TrainingConfig, size: int) -> tuple[float, float]:
    """Measure the extra seconds of the first training step and prediction, with compiled programs in the cache."""
    for _ in range(2):  # the first time fills the cache
        jax.clear_caches()
        _build_steps.cache_clear()
        work, _ = in_jax(config, size)
        train, predict = (_extra_seconds_of_first(call) for call in (work.train, work.predict))
    return train, predict


def _extra_seconds_of_first(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(4):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times[0] - min(times[1:])


def input_rate(config: TrainingConfig, size: int) -> float:
    """Measure the images per second of the input pipeline alone."""
    count = 16 * config.batch_size
    feed = batches(images_of(config, size, count), np.ones(count, np.float32), config.batch_size, 0, range(64))
    next(feed)
    start = time.perf_counter()
    return sum(len(batch["image"]) for batch in feed) / (time.perf_counter() - start)


def peak_flops(compute: str) -> float:
    """Measure the operations per second of a large matrix product of this type on one device."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    product = jax.jit(jnp.matmul)
    matrix = jnp.ones((size, size), compute)
    (times,) = in_turns([lambda: product(matrix, matrix).block_until_ready()], 4)
    return 2 * size**3 / min(times)


def measure(name: str, config: TrainingConfig, size: int, threads: int, rounds: int, peak: float) -> Measurement:
    """Measure one network."""
    compile_train, compile_predict = compile_seconds(config, size)
    ours, compiled = in_jax(config, size)
    theirs = in_torch(config, size, threads) if config.compute == "float32" else None
    works = [ours] if theirs is None else [ours, theirs]
    train = in_turns([work.train for work in works], rounds)
    predict = in_turns([work.predict for work in works], rounds)
    rates = [[config.batch_size / min(times) for times in pair] for pair in zip(train, predict)]
    train_rate, predict_rate = rates[0]
    train_torch, predict_torch = rates[1] if theirs is not None else (float("nan"), float("nan"))
    program = compiled()
    stats = jax.local_devices()[0].memory_stats() or {}
    memory = stats.get("peak_bytes_in_use") or program.memory_analysis().temp_size_in_bytes
    cost = program.cost_analysis() or {}
    return Measurement(
        network=name,
        pixels=size,
        batch=config.batch_size,
        device=jax.devices()[0].device_kind,
        threads=threads,
        train=train_rate,
        train_median=config.batch_size / median(train[0]),
        train_torch=train_torch,
        train_ratio=train_rate / train_torch,
        predict=predict_rate,
        predict_median=config.batch_size / median(predict[0]),
        predict_torch=predict_torch,
        predict_ratio=predict_rate / predict_torch,
        input=input_rate(config, size),
        compile_train_seconds=compile_train,
        compile_predict_seconds=compile_predict,
        of_peak=cost.get("flops", float("nan")) / min(train[0]) / peak,
        memory_mb=memory / 1e6,
    )


def benchmark(config: BenchmarkConfig, _flags: Sequence[str]) -> None:
    """Measure every network; print a table and write it to `out`."""
    cores = sorted(os.sched_getaffinity(0))
    threads = min(config.threads or len(cores), len(cores))
    os.sched_setaffinity(0, set(cores[:threads]))  # before JAX counts the cores
    peak = peak_flops(config.compute)
    print(f"{jax.devices()[0].device_kind}, threads: {threads}; images per second, × PyTorch's")
    print(f"{'':24}{'train':>8}{'×':>7}{'predict':>9}{'×':>7}{'input':>9}{'compile':>14}{'of peak':>9}{'memory':>10}")
    if config.compute == "float32" and find_spec("torch") is None:
        print("PyTorch is not installed, so its columns are empty; pip install 'mammo-jax[torch]'")
    measurements = []
    for name, training, size in CASES:
        if config.cases and name not in config.cases:
            continue
        settings = TrainingConfig(**{**asdict(training), "compute": config.compute})
        row = measure(name, settings, size, threads, config.rounds, peak)
        measurements.append(row)
        compiling = f"{row.compile_train_seconds:.2f} + {row.compile_predict_seconds:.2f} s"
        print(
            f"{f'{name}, {size} px, {row.batch}':24}{row.train:8.1f}{row.train_ratio:7.2f}{row.predict:9.1f}"
            f"{row.predict_ratio:7.2f}{row.input:9.0f}{compiling:>14}{row.of_peak:9.0%}{row.memory_mb:7.0f} MB",
            flush=True,
        )
    with atomic_path(config.out / "benchmark_training.csv") as path:
        pd.DataFrame(map(asdict, measurements)).to_csv(path, index=False, na_rep="nan")
    print(f"\n{config.out / 'benchmark_training.csv'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(
        benchmark, lambda flags: tyro.cli(BenchmarkConfig, args=flags, description=__doc__), arguments, networks=True
    )


if __name__ == "__main__":
    main()
