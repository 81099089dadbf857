"""The compiled steps: one training step and one prediction step, the same for every model of a study."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
from flax import linen as nn

from mammo_jax.augmentation import augment
from mammo_jax.devices import AXIS, DataParallel, keep_compiled_steps, total
from mammo_jax.models.cnn import CNN
from mammo_jax.training_config import TrainingConfig

FAINTEST = 16.0
"""Least standard deviation that is stretched to 1, in grey levels of 65535: an image that compression left blank stays
blank instead of becoming an image of its rounding errors."""


class TrainState(NamedTuple):
    """What a training step changes."""

    variables: dict[str, Any]
    optimizer: Any


class StepInputs(NamedTuple):
    """What is the same on all devices in one step; plain numbers, so that no value is compiled in."""

    learning_rate: np.float32
    seed: np.uint32
    step: np.int32


@dataclass(frozen=True)
class Steps:
    """The functions that a training needs, compiled once for each shape of a batch.

    Attributes
    ----------
    parallel : DataParallel
    initialise : callable
        (seed, images) → TrainState of one device, with fresh weights.
    start : callable
        variables → TrainState of one device, with these weights.
    train : callable
        (state, batch, inputs) → (state, loss); replicated state, spread batch, StepInputs.
    predict : callable
        (variables, images) → logits; replicated variables, spread images.
    """

    parallel: DataParallel
    initialise: Callable[..., TrainState]
    start: Callable[..., TrainState]
    train: Callable[..., tuple[TrainState, jax.Array]]
    predict: Callable[..., jax.Array]


def build_model(config: TrainingConfig, axis_name: str | None = None) -> nn.Module:
    """Return the network that a configuration names.

    Every network has ``apply(variables, images [B, H, W, 1], train, mask) -> logits [B]``.
    """
    return CNN(filters=config.filters, dropout=config.dropout, axis_name=axis_name)


def standardise(images: jax.Array) -> jax.Array:
    """Give every image mean 0 and standard deviation 1.

    Exposure and film density vary from image to image and say nothing about lesions; with one mean and deviation for
    a whole training set, a network has to learn that by itself.

    Parameters
    ----------
    images : uint16 [batch, rows, columns, 1]
        Grey levels, 0 … 65535.

    Returns
    -------
    float32 [batch, rows, columns, 1]
    """
    levels = images.astype(jnp.float32)
    axes = (1, 2, 3)
    centred = levels - levels.mean(axes, keepdims=True)
    deviation = jnp.sqrt(jnp.square(centred).mean(axes, keepdims=True))
    return centred / jnp.maximum(deviation, FAINTEST)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Rate of one of `steps` steps: a linear rise over the first tenth, then half a cosine down to 0."""
    warmup = max(1, steps // 10)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def build_steps(config: TrainingConfig) -> Steps:
    """Return the steps of a configuration on all local devices; the same object for the same configuration."""
    return _build_steps(config, tuple(jax.local_devices()))


@lru_cache(maxsize=8)
def _build_steps(config: TrainingConfig, devices: tuple[jax.Device, ...]) -> Steps:
    keep_compiled_steps()
    parallel = DataParallel(devices)
    model = build_model(config, AXIS)
    optimizer = optax.chain(
        optax.scale_by_adam(), optax.add_decayed_weights(config.weight_decay, mask=lambda p: _decayed(p))
    )

    def start(variables: dict[str, Any]) -> TrainState:
        return TrainState(variables, optimizer.init(variables["params"]))

    def initialise(seed: np.uint32, images: np.ndarray) -> TrainState:
        return start(dict(build_model(config).init(jax.random.key(seed), images.astype(jnp.float32))))

    def train(state: TrainState, batch: dict[str, jax.Array], inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        return _train_step(model, optimizer, config.augment, state, batch, inputs)

    def predict(variables: dict[str, Any], images: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply(variables, standardise(images)))

    return Steps(
        parallel=parallel,
        initialise=jax.jit(initialise),
        start=jax.jit(start),
        train=parallel.parallel(train, (0, 0, None)),
        predict=parallel.parallel(predict, (0, 0)),
    )


def _train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    augmented: bool,
    state: TrainState,
    batch: dict[str, jax.Array],
    inputs: StepInputs,
) -> tuple[TrainState, jax.Array]:
    """AdamW on the weighted mean of the log loss (Loshchilov & Hutter, ICLR 2019).

    The gradient is the sum over all devices of weighted gradients, over the sum of all weights: the same however the
    rows are divided. Everything random follows from (seed, step, row).
    """
    key = jax.random.fold_in(jax.random.key(inputs.seed), inputs.step)
    augment_key, dropout_key = jax.random.split(key)
    images = standardise(batch["image"])
    if augmented:
        images = augment(images, augment_key, AXIS)

    def weighted_loss(params: Any) -> tuple[jax.Array, Any]:
        logits, changed = model.apply(
            {**state.variables, "params": params},
            images,
            train=True,
            mask=batch["weight"] > 0,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        losses = optax.sigmoid_binary_cross_entropy(logits, batch["target"])
        return jnp.sum(batch["weight"] * losses), changed

    params = state.variables["params"]
    (loss, changed), gradients = jax.value_and_grad(weighted_loss, has_aux=True)(params)
    weight, loss, gradients = total((jnp.sum(batch["weight"]), loss, gradients))
    gradients = jax.tree.map(lambda gradient: gradient / weight, gradients)
    updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
    params = jax.tree.map(lambda value, update: value - inputs.learning_rate * update, params, updates)
    return TrainState({**changed, "params": params}, optimizer_state), loss / weight


def _decayed(params: Any) -> Any:
    """Decay kernels, not the biases and scales, which are vectors."""
    return jax.tree.map(lambda value: value.ndim > 1, params)
