"""The classifiers: Flax linen modules that map images [batch, rows, columns, 1] to one logit per image."""

from __future__ import annotations

import dataclasses
import importlib
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp

from mammo_jax.errors import UserError
from mammo_jax.models.cnn import CNN
from mammo_jax.models.resnet import ResNet18
from mammo_jax.models.windows import SlidingWindowClassifier
from mammo_jax.training_config import TrainingConfig

COLLECTIONS = {"params", "batch_stats"}
"""The variable collections that a network may have."""


class ModelError(UserError):
    """A network that cannot be used; the message names the setting and what to do."""


def build_model(config: TrainingConfig, axis_name: str | None = None) -> nn.Module:
    """Build the network that a configuration names.

    Every network has ``apply(variables, images [B, H, W, 1], train, mask) -> logits [B]``: `images` are standardised,
    `train` is a bool, `mask` (bool [B], or None) is False for padding rows. Its class may name the layers after the
    feature extractor in an attribute `head`, see `head_of`.

    Parameters
    ----------
    config : TrainingConfig
        Its `model` is "cnn", "resnet18", or "package.module:Class" for a Flax linen module of the user. The user's
        class is called without arguments, except `axis_name` and `dtype` if it has these fields.
    axis_name : str or None
        The mapped axis of the devices in a data-parallel step, over which batch statistics are summed.

    Raises
    ------
    ModelError
        If the class cannot be imported, is not a Flax module, has another signature, or lacks a field that the
        configuration needs.
    """
    network = _network(config, axis_name)
    return network if config.window is None else SlidingWindowClassifier(network, config.window, config.window_step)


def _network(config: TrainingConfig, axis_name: str | None) -> nn.Module:
    dtype = None if config.compute == "float32" else jnp.bfloat16
    if config.model == "cnn":
        return CNN(filters=config.filters, dropout=config.dropout, axis_name=axis_name, dtype=dtype)
    if config.model == "resnet18":
        channels = 3 if config.first_kernel == "repeat" else 1
        return ResNet18(channels=channels, axis_name=axis_name, dtype=dtype)
    cls = _import_class(config.model)
    arguments = {"axis_name": axis_name, "dtype": dtype}
    fields = {field.name for field in dataclasses.fields(cls)}
    if dtype is not None and "dtype" not in fields:
        raise ModelError(f"model {config.model!r}: compute {config.compute!r} needs a module with a field `dtype`")
    try:
        return cls(**{name: value for name, value in arguments.items() if name in fields})
    except TypeError as error:
        raise ModelError(f"model {config.model!r}: {error}; give every field a default value") from error


def init_model(config: TrainingConfig, key: jax.Array, images: jax.Array) -> dict:
    """Initialise a network's variables: "params", and "batch_stats" if the network has batch statistics.

    Raises
    ------
    ModelError
        If the network has other variable collections, if its `head` names layers that it does not have, or if it does
        not return one logit per image.
    """
    model = build_model(config)
    logits, variables = model.init_with_output(key, images, train=False, mask=None)
    if unknown := set(variables) - COLLECTIONS:
        raise ModelError(
            f"model {config.model!r}: variable collections {sorted(unknown)} are not supported; use only"
            f" {sorted(COLLECTIONS)}"
        )
    layers = sorted(variables.get("params", {}))
    if absent := set(head_of(model)) - set(layers):
        raise ModelError(f"model {config.model!r}: head names {sorted(absent)}, but its layers are {layers}")
    if logits.shape != images.shape[:1]:
        raise ModelError(
            f"model {config.model!r}: returns {logits.shape} for images {images.shape}; return one logit per image,"
            f" {images.shape[:1]}"
        )
    return dict(variables)


def head_of(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers after the feature extractor, which are trained at the full learning rate.

    They are the class's attribute `head`; without that attribute there are none.

    Raises
    ------
    ModelError
        If `head` is not a tuple of str.
    """
    head = getattr(model, "head", ())
    if not (isinstance(head, tuple) and all(isinstance(name, str) for name in head)):
        raise ModelError(
            f"model {type(model).__name__}: `head` must name the layers after the feature extractor, as a tuple like"
            f' head = ("Dense_0",); it is {head!r}'
        )
    return head


def _import_class(name: str) -> type[nn.Module]:
    module, _, class_name = name.partition(":")
    try:
        cls = getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"model {name!r}: {error}; write it as package.module:Class, importable from the current folder or"
            " PYTHONPATH"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise ModelError(f"model {name!r}: not a flax.linen.Module")
    try:
        inspect.signature(cls.__call__).bind(None, None, train=False, mask=None)
    except TypeError as error:
        raise ModelError(
            f"model {name!r}: {error}; define __call__(self, images, train=False, mask=None), where images"
            " [batch, rows, columns, 1] are standardised and mask [batch] is False for padding rows"
        ) from error
    return cls
