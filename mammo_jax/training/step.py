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

from mammo_jax.devices import AXIS, DataParallel, total
from mammo_jax.models import ModelError, build_model, head_of, init_model
from mammo_jax.training.augmentation import augment
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


def standardise(images: jax.Array) -> jax.Array:
    """Give every image mean 0 and standard deviation 1.

    Exposure and film density vary from image to image and say nothing about lesions; with one mean and deviation for
    a whole training set, a network has to learn that by itself.

    Every image that a network sees goes through here, also that of a network trained on ImageNet, whose mean and
    deviation of three colours mean nothing for an X-ray.

    Parameters
    ----------
    images : uint16 [batch, rows, columns, 1]
        Grey levels, 0 … 65535.

    Returns
    -------
    float32 [batch, rows, columns, 1]
    """
    mean, deviation = own_units(images)
    return (images.astype(mean.dtype) - mean) / deviation


def own_units(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of every image, float32 [batch, 1, 1, 1]; the deviation is at least `FAINTEST`."""
    levels = images.astype(jnp.result_type(float))  # float64 only where JAX was told to use it
    axes = (1, 2, 3)
    mean = levels.mean(axes, keepdims=True)
    deviation = jnp.sqrt(jnp.square(levels - mean).mean(axes, keepdims=True))
    return mean, jnp.maximum(deviation, FAINTEST)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Rate of one of `steps` steps: a linear rise over the first tenth, then half a cosine down to 0."""
    warmup = max(1, steps // 10)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def build_steps(config: TrainingConfig) -> Steps:
    """Return the steps of a configuration on all devices; the same object for the same configuration."""
    return _build_steps(config, tuple(jax.devices()))


@lru_cache(maxsize=8)
def _build_steps(config: TrainingConfig, devices: tuple[jax.Device, ...]) -> Steps:
    parallel = DataParallel(devices, config.accumulate)
    model = build_model(config, AXIS)
    optimizer = _optimizer(config)
    _backbone_factor(config, model)  # refuses a setting that the model cannot have

    def start(variables: dict[str, Any]) -> TrainState:
        return TrainState(variables, optimizer.init(variables["params"]))

    def initialise(seed: np.uint32, images: np.ndarray) -> TrainState:
        return start(init_model(config, jax.random.key(seed), jnp.asarray(images, jnp.float32)))

    def predict(variables: dict[str, Any], images: jax.Array) -> jax.Array:
        logits = jnp.asarray(model.apply(variables, standardise(images), train=False, mask=None))
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    return Steps(
        parallel=parallel,
        initialise=jax.jit(initialise),
        start=jax.jit(start),
        train=_train_function(config, parallel, model, optimizer),
        predict=parallel.parallel(predict, (0, 0)),
    )


class _Sums(NamedTuple):
    """What the rows of a batch add up to, on one device."""

    gradients: Any
    loss: jax.Array
    weight: jax.Array


def _train_function(
    config: TrainingConfig, parallel: DataParallel, model: nn.Module, optimizer: optax.GradientTransformation
) -> Callable[..., tuple[TrainState, jax.Array]]:
    """Compile the training step: one program, or, where gradients are accumulated, one for each part and the update.

    One program for all parts would save no memory: XLA computes on CPU what it can side by side.
    """
    parts = config.accumulate

    def begin(variables: dict[str, Any]) -> tuple[_Sums, dict[str, Any]]:
        zero = jnp.zeros(())
        rest = {name: value for name, value in variables.items() if name != "params"}
        return _Sums(jax.tree.map(jnp.zeros_like, variables["params"]), zero, zero), rest

    def add(carry: tuple, params: Any, batch: dict[str, jax.Array], inputs: StepInputs, part: np.int32) -> tuple:
        sums, rest = carry
        found, rest = _row_sums(model, config.augment, {**rest, "params": params}, batch, inputs, part)
        return jax.tree.map(jnp.add, sums, found), rest

    def update(state: TrainState, carry: tuple, inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        return _update(config, model, optimizer, state, carry, inputs)

    def at_once(state: TrainState, batch: dict[str, jax.Array], inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        carry = _row_sums(model, config.augment, state.variables, batch, inputs, np.int32(0))
        return update(state, carry, inputs)

    if parts == 1:
        return parallel.parallel(at_once, (0, 0, None), donate_first=True)
    first, more = parallel.parallel(begin, (0,)), parallel.parallel(add, (0, 0, 0, None, None), donate_first=True)
    last = parallel.parallel(update, (0, 0, None), donate_first=True)

    def in_parts(state: TrainState, batch: dict[str, Any], inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        carry = first(state.variables)
        for part in range(parts):
            rows = {name: values[:, part::parts] for name, values in batch.items()}
            carry = more(carry, state.variables["params"], rows, inputs, np.int32(part))
        return last(state, carry, inputs)

    return in_parts


def _row_sums(
    model: nn.Module,
    augmented: bool,
    variables: dict[str, Any],
    batch: dict[str, jax.Array],
    inputs: StepInputs,
    part: np.int32,
) -> tuple[_Sums, dict[str, Any]]:
    """Sums over this device's rows, and the new batch statistics; all that is random follows from the inputs."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(inputs.seed), inputs.step), part)
    augment_key, dropout_key = jax.random.split(key)
    images = standardise(batch["image"])
    if augmented:
        images = augment(images, augment_key, AXIS)

    def weighted_loss(params: Any) -> tuple[jax.Array, Any]:
        logits, changed = model.apply(
            {**variables, "params": params},
            images,
            train=True,
            mask=batch["weight"] > 0,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        losses = optax.sigmoid_binary_cross_entropy(logits, batch["target"])
        return jnp.sum(batch["weight"] * losses), changed

    (loss, changed), gradients = jax.value_and_grad(weighted_loss, has_aux=True)(variables["params"])
    return _Sums(gradients, loss, jnp.sum(batch["weight"])), dict(changed)


def _update(
    config: TrainingConfig,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    carry: tuple[_Sums, dict[str, Any]],
    inputs: StepInputs,
) -> tuple[TrainState, jax.Array]:
    """Go one step against the gradient of the weighted mean of the log loss.

    It is the sum over all devices of weighted gradients, over the sum of all weights: the same however the rows are
    divided.
    """
    sums, rest = total(carry[0]), carry[1]
    gradients = jax.tree.map(lambda gradient: gradient / sums.weight, sums.gradients)
    params, backbone = state.variables["params"], _backbone_factor(config, model)
    updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
    moved = {}
    for name, layer in params.items():
        rate = inputs.learning_rate * (1.0 if name in head_of(model) else backbone)
        moved[name] = jax.tree.map(lambda value, update, rate=rate: value - rate * update, layer, updates[name])
    return TrainState({**rest, "params": moved}, optimizer_state), sums.loss / sums.weight


def _optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Everything but the rate: AdamW (Loshchilov & Hutter, ICLR 2019), or momentum 0.9 with decay in the gradient."""
    decay = optax.add_decayed_weights(config.weight_decay, mask=_decayed)
    if config.optimizer == "adamw":
        return optax.chain(optax.scale_by_adam(), decay)
    return optax.chain(decay, optax.trace(0.9))


def _decayed(params: Any) -> Any:
    """Decay kernels, not the biases and scales, which are vectors."""
    return jax.tree.map(lambda value: value.ndim > 1, params)


def _backbone_factor(config: TrainingConfig, model: nn.Module) -> float:
    """Rate of the layers that are not the head's, as part of the head's rate."""
    if config.backbone_learning_rate is None:
        return 0.1 if config.starts_pretrained else 1.0
    if not head_of(model):
        raise ModelError(
            f"backbone_learning_rate: model {config.model!r} does not say which layers are its head; give the class"
            ' an attribute like head = ("Dense_0",)'
        )
    return config.backbone_learning_rate / config.learning_rate
