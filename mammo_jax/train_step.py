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
from mammo_jax.devices import AXIS, DataParallel, keep_compiled_steps, keep_memory, total
from mammo_jax.models import ModelError, build_model, init_model
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
    """Return the steps of a configuration on all devices; the same object for the same configuration."""
    return _build_steps(config, tuple(jax.devices()))


@lru_cache(maxsize=8)
def _build_steps(config: TrainingConfig, devices: tuple[jax.Device, ...]) -> Steps:
    keep_compiled_steps()
    keep_memory()
    parallel = DataParallel(devices, config.accumulate)
    model = build_model(config, AXIS)
    optimizer = _optimizer(config)
    backbone = _backbone_factor(config, model)

    def start(variables: dict[str, Any]) -> TrainState:
        return TrainState(variables, optimizer.init(variables["params"]))

    def initialise(seed: np.uint32, images: np.ndarray) -> TrainState:
        return start(init_model(config, jax.random.key(seed), jnp.asarray(images, jnp.float32)))

    def train(state: TrainState, batch: dict[str, jax.Array], inputs: StepInputs) -> tuple[TrainState, jax.Array]:
        key = jax.random.fold_in(jax.random.key(inputs.seed), inputs.step)
        augment_key, dropout_key = jax.random.split(key)
        images = standardise(batch["image"])
        if config.augment:
            images = augment(images, augment_key, AXIS)
        rows = {**batch, "image": images}
        gradients, loss, changed = _gradients(model, state.variables, rows, dropout_key, config.accumulate)
        params = state.variables["params"]
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        rates = {name: inputs.learning_rate * (1.0 if name in _head(model) else backbone) for name in params}
        params = {
            name: jax.tree.map(lambda value, update, rate=rates[name]: value - rate * update, layer, updates[name])
            for name, layer in params.items()
        }
        return TrainState({**changed, "params": params}, optimizer_state), loss

    def predict(variables: dict[str, Any], images: jax.Array) -> jax.Array:
        logits = jnp.asarray(model.apply(variables, standardise(images), train=False, mask=None))
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    return Steps(
        parallel=parallel,
        initialise=jax.jit(initialise),
        start=jax.jit(start),
        train=parallel.parallel(train, (0, 0, None), donate_first=True),
        predict=parallel.parallel(predict, (0, 0)),
    )


def _gradients(
    model: nn.Module, variables: dict[str, Any], batch: dict[str, jax.Array], dropout_key: jax.Array, parts: int
) -> tuple[Any, jax.Array, Any]:
    """Gradient of the weighted mean of the log loss, that loss, and the new batch statistics.

    The gradient is the sum over all devices of weighted gradients, over the sum of all weights: the same however the
    rows are divided. With several parts, each takes every so-manieth row and waits for the one before, whose memory it
    can then use; the optimisation barrier keeps the compiler from computing them side by side.
    """
    params = variables["params"]
    rest = {name: value for name, value in variables.items() if name != "params"}

    def weighted_loss(params: Any, rest: Any, rows: dict[str, jax.Array], key: jax.Array) -> tuple[jax.Array, Any]:
        logits, changed = model.apply(
            {**rest, "params": params},
            rows["image"],
            train=True,
            mask=rows["weight"] > 0,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        losses = optax.sigmoid_binary_cross_entropy(logits, rows["target"])
        return jnp.sum(rows["weight"] * losses), changed

    differentiate = jax.value_and_grad(weighted_loss, has_aux=True)
    loss, gradients = None, None
    for part in range(parts):
        rows = {name: values[part::parts] for name, values in batch.items()}
        key = dropout_key if parts == 1 else jax.random.fold_in(dropout_key, part)
        if loss is None:
            (loss, rest), gradients = differentiate(params, rest, rows, key)
            continue
        rows, rest, gradients = jax.lax.optimization_barrier((rows, rest, gradients))
        (more, rest), further = differentiate(params, rest, rows, key)
        loss, gradients = loss + more, jax.tree.map(jnp.add, gradients, further)
    weight, loss, gradients = total((jnp.sum(batch["weight"]), loss, gradients))
    return jax.tree.map(lambda gradient: gradient / weight, gradients), loss / weight, rest


def _optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Everything but the rate: AdamW (Loshchilov & Hutter, ICLR 2019), or momentum 0.9 with decay in the gradient."""
    decay = optax.add_decayed_weights(config.weight_decay, mask=_decayed)
    if config.optimizer == "adamw":
        return optax.chain(optax.scale_by_adam(), decay)
    return optax.chain(decay, optax.trace(0.9))


def _decayed(params: Any) -> Any:
    """Decay kernels, not the biases and scales, which are vectors."""
    return jax.tree.map(lambda value: value.ndim > 1, params)


def _head(model: nn.Module) -> tuple[str, ...]:
    """Layers that learn at the full rate."""
    return tuple(getattr(model, "head", ()))


def _backbone_factor(config: TrainingConfig, model: nn.Module) -> float:
    """Rate of the layers that are not the head's, as part of the head's rate."""
    if config.backbone_learning_rate is None:
        return 0.1 if config.starts_pretrained else 1.0
    if not _head(model):
        raise ModelError(
            f"backbone_learning_rate: model {config.model!r} does not say which layers are its head; give the class"
            ' an attribute like head = ("Dense_0",)'
        )
    return config.backbone_learning_rate / config.learning_rate
