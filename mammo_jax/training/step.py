"""The compiled training step and prediction step, the same for every model of a study."""

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

MIN_DEVIATION = 16.0
"""Minimum standard deviation that an image is divided by, in grey levels of 65535: an image that compression made blank
stays blank instead of becoming an image of its rounding errors."""


class TrainState(NamedTuple):
    """The state that a training step updates."""

    variables: dict[str, Any]
    optimizer: Any


class StepInputs(NamedTuple):
    """Inputs of a step that are the same on all devices; they are arguments, so that no value is compiled in."""

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
        (seed, images) → TrainState of one device, with random weights.
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

    Exposure and film density vary between images and are no sign of lesions; with one mean and deviation for a whole
    training set, a network would have to learn that by itself.

    This is applied to every input of a network, also of one that was trained on ImageNet: the mean and deviation of
    ImageNet's three colours have no meaning for an X-ray.

    Parameters
    ----------
    images : uint16 [batch, rows, columns, 1]
        Grey levels, 0 … 65535.

    Returns
    -------
    float32 [batch, rows, columns, 1]
    """
    mean, deviation = mean_and_deviation(images)
    return (images.astype(mean.dtype) - mean) / deviation


def mean_and_deviation(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean and standard deviation of each image, float32 [batch, 1, 1, 1]; the latter at least MIN_DEVIATION."""
    levels = images.astype(jnp.result_type(float))  # float64 only if JAX has it enabled
    axes = (1, 2, 3)
    mean = levels.mean(axes, keepdims=True)
    deviation = jnp.sqrt(jnp.square(levels - mean).mean(axes, keepdims=True))
    return mean, jnp.maximum(deviation, MIN_DEVIATION)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up over the first tenth of `steps`, then cosine decay to 0."""
    warmup = max(1, steps // 10)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def build_steps(config: TrainingConfig) -> Steps:
    """Build the steps of a configuration on all devices; the same configuration gives the same object."""
    return _build_steps(config, tuple(jax.devices()))


@lru_cache(maxsize=8)
def _build_steps(config: TrainingConfig, devices: tuple[jax.Device, ...]) -> Steps:
    parallel = DataParallel(devices, config.accumulate)
    model = build_model(config, AXIS)
    optimizer = _optimizer(config)
    _backbone_factor(config, model)  # raises if the model has no head for backbone_learning_rate

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
    """Sums over the rows of a batch, on one device."""

    gradients: Any
    loss: jax.Array
    weight: jax.Array


def _train_function(
    config: TrainingConfig, parallel: DataParallel, model: nn.Module, optimizer: optax.GradientTransformation
) -> Callable[..., tuple[TrainState, jax.Array]]:
    """Compile the training step: one program, or, with gradient accumulation, one for a part and one for the update.

    One program for all parts would save no memory: on CPU XLA computes independent parts at the same time.
    """
    parts = config.accumulate

    def begin(variables: dict[str, Any]) -> tuple[_Sums, dict[str, Any]]:
        zero = jnp.zeros(())
        rest = {name: value for name, value in variables.items() if name != "params"}
        return _Sums(jax.tree.map(jnp.zeros_like, variables["params"]), zero, zero), rest

    def add(carry: tuple, params: Any, batch: dict[str, jax.Array], inputs: StepInputs, part: np.int32) -> tuple:
        sums, rest = carry
        part_sums, rest = _row_sums(model, config.augment, {**rest, "params": params}, batch, inputs, part)
        return jax.tree.map(jnp.add, sums, part_sums), rest

    def update(state: TrainState, carry: tuple, inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        return _update(config, model, optimizer, state, carry, inputs)

    def whole_batch(state: TrainState, batch: dict[str, jax.Array], inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        carry = _row_sums(model, config.augment, state.variables, batch, inputs, np.int32(0))
        return update(state, carry, inputs)

    if parts == 1:
        return parallel.parallel(whole_batch, (0, 0, None), donate_first=True)
    begin_program = parallel.parallel(begin, (0,))
    add_program = parallel.parallel(add, (0, 0, 0, None, None), donate_first=True)
    update_program = parallel.parallel(update, (0, 0, None), donate_first=True)

    def accumulated(state: TrainState, batch: dict[str, Any], inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        carry = begin_program(state.variables)
        for part in range(parts):
            rows = {name: values[:, part::parts] for name, values in batch.items()}
            carry = add_program(carry, state.variables["params"], rows, inputs, np.int32(part))
        return update_program(state, carry, inputs)

    return accumulated


def _row_sums(
    model: nn.Module,
    augmented: bool,
    variables: dict[str, Any],
    batch: dict[str, jax.Array],
    inputs: StepInputs,
    part: np.int32,
) -> tuple[_Sums, dict[str, Any]]:
    """Return the sums over this device's rows and the new batch statistics; the random keys come from the inputs."""
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
    """Update the weights with the gradient of the weighted mean of the log loss.

    The gradient is the sum of the weighted gradients over all devices, divided by the sum of all weights, so that it
    does not depend on how the rows are divided.
    """
    sums, rest = total(carry[0]), carry[1]
    gradients = jax.tree.map(lambda gradient: gradient / sums.weight, sums.gradients)
    params, backbone = state.variables["params"], _backbone_factor(config, model)
    updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
    updated = {}
    for name, layer in params.items():
        rate = inputs.learning_rate * (1.0 if name in head_of(model) else backbone)
        updated[name] = jax.tree.map(lambda value, update, rate=rate: value - rate * update, layer, updates[name])
    return TrainState({**rest, "params": updated}, optimizer_state), sums.loss / sums.weight


def _optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Build the optimiser without the rate: AdamW (Loshchilov & Hutter, ICLR 2019), or SGD with momentum 0.9."""
    decay = optax.add_decayed_weights(config.weight_decay, mask=_decayed)
    if config.optimizer == "adamw":
        return optax.chain(optax.scale_by_adam(), decay)
    return optax.chain(decay, optax.trace(0.9))


def _decayed(params: Any) -> Any:
    """Mask for the weight decay: kernels, but not biases and scales, which are vectors."""
    return jax.tree.map(lambda value: value.ndim > 1, params)


def _backbone_factor(config: TrainingConfig, model: nn.Module) -> float:
    """Return the factor of the learning rate for all layers but the head's."""
    if config.backbone_learning_rate is None:
        return 0.1 if config.starts_pretrained else 1.0
    if not head_of(model):
        raise ModelError(
            f"backbone_learning_rate: model {config.model!r} does not name the layers of its head; give the class"
            ' an attribute like head = ("Dense_0",)'
        )
    return config.backbone_learning_rate / config.learning_rate
