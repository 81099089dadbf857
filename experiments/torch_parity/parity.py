"""Test cases for the parity of JAX and PyTorch: networks with weights and batches by formula, and JAX's results.

`check_against_torch` compares these results with PyTorch's; the tests compare them with stored results of PyTorch.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mammo_jax.models import build_model, init_model
from mammo_jax.models.pretrained import to_torch, torch_name
from mammo_jax.training.step import StepInputs, build_steps, standardise
from mammo_jax.training_config import TrainingConfig

STEPS = 20
RATES = {"sgd": 1e-3, "adamw": 1e-4}

Optimizer = Literal["sgd", "adamw"]


@dataclass(frozen=True)
class Case:
    """A network and the size of its input; weights and batches are computed from the case."""

    name: str
    config: TrainingConfig
    size: int
    batch: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of a batch."""
        return (self.batch, self.size, self.size, 1)


_PLAIN = TrainingConfig(augment=False, weight_decay=0.05, pretrained="none")
CASES = {
    "cnn": Case("cnn", replace(_PLAIN, filters=(4, 8, 8)), 32, 6),
    "resnet18": Case("resnet18", replace(_PLAIN, model="resnet18"), 48, 4),
}


@dataclass
class Trajectory:
    """The result of a training from the case's weights, with PyTorch's names and layout.

    Attributes
    ----------
    losses : list of float
        The loss before each step.
    state : dict of str to array
        Weights and running statistics after the last step.
    """

    losses: list[float] = field(default_factory=list)
    state: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """The difference of two results, with its limit.

    Attributes
    ----------
    what : str
        What is compared.
    difference : float
        The largest absolute difference.
    scale : float
        The largest absolute value.
    limit : float or None
        Limit of the difference; with None the difference is only shown.
    of_scale : bool
        True if the limit is relative to the scale.
    """

    what: str
    difference: float
    scale: float
    limit: float | None
    of_scale: bool = False

    @property
    def excess(self) -> float:
        """The difference minus the limit; NaN if the difference is NaN."""
        allowed = 0.0 if self.limit is None else self.limit * (self.scale if self.of_scale else 1.0)
        return self.difference - allowed

    @property
    def passed(self) -> bool:
        """Whether the difference is finite and within the limit."""
        return bool(np.isfinite(self.difference)) and (self.limit is None or self.excess <= 0)


def compare_arrays(what: str, ours: Any, theirs: Any, limit: float | None, *, of_scale: bool = False) -> Row:
    """Compare two arrays, or two dicts of arrays; of a dict the array with the largest excess gives the row."""
    if isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            raise RuntimeError(f"{what}: one side lacks {ours.keys() ^ theirs.keys()}")
        rows = [compare_arrays(what, ours[name], theirs[name], limit, of_scale=of_scale) for name in theirs]
        return rows[int(np.argmax([row.excess for row in rows]))]  # for argmax NaN is the largest, unlike for max
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise RuntimeError(f"{what}: the shapes are {ours.shape} and {theirs.shape}")
    return Row(what, float(np.abs(ours - theirs).max()), float(np.abs(theirs).max()), limit, of_scale)


@contextmanager
def needing_torch() -> Iterator[None]:
    """Exit with a message that says what to install if a module of the extra `torch` is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("torch", "captum", "transformers"):
            raise
        raise SystemExit(f"error: {error.name} is not installed; pip install 'mammo-jax[torch]'") from error


def noise(name: str, count: int) -> np.ndarray:
    """Return pseudo-random numbers in −1 … 1 that do not depend on machine or library version; float64 [count].

    The bits of a counter, mixed as in SplitMix64 (Steele et al., OOPSLA 2014).
    """
    bits = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits ^= np.uint64(zlib.crc32(name.encode()))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return (bits >> np.uint64(11)) / 2.0**52 - 1.0


def case_variables(case: Case, dtype: np.dtype | type) -> dict[str, Any]:
    """Compute the weights and running statistics of a case, with realistic magnitudes."""
    shapes = jax.eval_shape(lambda: init_model(case.config, jax.random.key(0), jax.numpy.zeros(case.shape)))
    variables = {}
    for path, leaf in flatten_dict(shapes).items():
        values = noise(torch_name(path), leaf.size).reshape(leaf.shape)
        if path[-1] == "kernel":
            values = values * np.sqrt(6.0 / np.prod(leaf.shape[:-1]))  # He et al., ICCV 2015
        elif path[-1] in ("scale", "var"):
            values = 1 + 0.2 * values
        else:
            values = 0.1 * values
        variables[path] = values.astype(dtype)
    return unflatten_dict(variables)


def case_batches(case: Case, steps: int = STEPS) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches whose rows have different weights; the sums of the weights are exact in every precision."""
    for step in range(steps):
        levels = 30000 + 15000 * noise(f"images {step}", int(np.prod(case.shape)))
        yield {
            "image": levels.astype(np.uint16).reshape(case.shape),
            "target": (noise(f"targets {step}", case.batch) > 0).astype(np.float32),
            "weight": np.resize(np.array([0.5, 1, 2], np.float32), case.batch),
        }


def network_input(images: np.ndarray, dtype: np.dtype | type = np.float32) -> np.ndarray:
    """Convert images to network input: standardised in this precision."""
    with jax.enable_x64(dtype == np.float64):
        return np.asarray(standardise(jax.numpy.asarray(images)))


def jax_logits(case: Case, dtype: np.dtype | type) -> np.ndarray:
    """Compute the logits of the first batch with the case's running statistics."""
    variables = case_variables(case, dtype)
    images = network_input(next(case_batches(case))["image"], dtype)
    with jax.enable_x64(dtype == np.float64):
        return np.asarray(jax.jit(build_model(case.config).apply)(variables, images))


def jax_trajectory(
    case: Case, optimizer: Optimizer, dtype: np.dtype | type, steps: int = STEPS, **changes: Any
) -> Trajectory:
    """Train with the training step of the study."""
    config = replace(case.config, optimizer=optimizer, **changes)
    with jax.enable_x64(dtype == np.float64):
        compiled = build_steps(config)
        state = compiled.parallel.replicate(jax.device_get(compiled.start(case_variables(case, dtype))))
        trajectory = Trajectory()
        for step, batch in enumerate(case_batches(case, steps)):
            inputs = StepInputs(np.float64(_rate(config)), np.uint32(0), np.int32(step))  # type: ignore[arg-type]
            state, loss = compiled.train(state, compiled.parallel.spread(batch), inputs)
            trajectory.losses.append(float(compiled.parallel.first(loss)))
        trajectory.state = to_torch(compiled.parallel.first(state.variables))
    return trajectory


def jax_gradients(case: Case, dtype: np.dtype | type) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Compute the gradients of the first batch's loss, from a step of descent at rate 1, and the new statistics."""
    after = jax_trajectory(case, "sgd", dtype, steps=1, weight_decay=0.0, learning_rate=1.0).state
    before = to_torch(case_variables(case, dtype))
    gradients = {name: before[name] - value for name, value in after.items() if "running" not in name}
    return gradients, {name: value for name, value in after.items() if "running" in name}


def _rate(config: TrainingConfig) -> float:
    return 1.0 if config.learning_rate == 1.0 else RATES[config.optimizer]


def digest(arrays: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Summarise each array by two numbers: its norm, and its product with noise divided by the root of its size."""
    return {
        name: [
            float(np.linalg.norm(values)),
            float(np.ravel(values) @ noise(name + "?", values.size)) / float(np.sqrt(values.size)),
        ]
        for name, values in arrays.items()
    }
