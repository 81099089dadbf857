"""The classifiers: Flax linen modules that map [batch, rows, columns, 1] to one logit an image."""

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
from mammo_jax.models.windows import OverWindows
from mammo_jax.training_config import TrainingConfig

COLLECTIONS = {"params", "batch_stats"}
"""What a network's variables may hold."""


class ModelError(UserError):
    """A network that cannot be used; the message names the setting and the way out."""


def build_model(config: TrainingConfig, axis_name: str | None = None) -> nn.Module:
    """Return the network that a configuration names.

    Every network has ``apply(variables, images [B, H, W, 1], train, mask) -> logits [B]``: `images` are standardised,
    `train` is a bool, `mask` (bool [B], or None) is False for rows that only fill the batch up. It may name the layers
    after its features as `head`, see `head_of`.

    Parameters
    ----------
    config : TrainingConfig
        Its `model` is "cnn", "resnet18", or "package.module:Class" for a Flax linen module of the user. That one is
        made without arguments, except `axis_name` and `dtype` where it has these fields.
    axis_name : str or None
        The mapped axis of the devices in a data-parallel step, over which batch statistics are added up.

    Raises
    ------
    ModelError
        If the class cannot be found, is no Flax module, cannot be called like this, or lacks a field that the
        configuration asks for.
    """
    network = _network(config, axis_name)
    return network if config.window is None else OverWindows(network, config.window, config.window_step)


def _network(config: TrainingConfig, axis_name: str | None) -> nn.Module:
    dtype = None if config.compute == "float32" else jnp.bfloat16
    if config.model == "cnn":
        return CNN(filters=config.filters, dropout=config.dropout, axis_name=axis_name, dtype=dtype)
    if config.model == "resnet18":
        channels = 3 if config.first_kernel == "repeat" else 1
        return ResNet18(channels=channels, axis_name=axis_name, dtype=dtype)
    cls = _find_class(config.model)
    offered = {"axis_name": axis_name, "dtype": dtype}
    fields = {field.name for field in dataclasses.fields(cls)}
    if dtype is not None and "dtype" not in fields:
        raise ModelError(f"model {config.model!r}: compute {config.compute!r} needs a module with a field `dtype`")
    try:
        return cls(**{name: value for name, value in offered.items() if name in fields})
    except TypeError as error:
        raise ModelError(f"model {config.model!r}: {error}; give every field a default") from error


def init_model(config: TrainingConfig, key: jax.Array, images: jax.Array) -> dict:
    """Return fresh variables: "params", and "batch_stats" where the network has some.

    Raises
    ------
    ModelError
        If the network holds other variables, names layers as its head that it does not have, or does not return one
        logit an image.
    """
    model = build_model(config)
    logits, variables = model.init_with_output(key, images, train=False, mask=None)
    if unknown := set(variables) - COLLECTIONS:
        raise ModelError(f"model {config.model!r}: variables {sorted(unknown)} are not known, only {COLLECTIONS} are")
    layers = sorted(variables.get("params", {}))
    if absent := set(head_of(model)) - set(layers):
        raise ModelError(f"model {config.model!r}: head names {sorted(absent)}, but its layers are {layers}")
    if logits.shape != images.shape[:1]:
        raise ModelError(
            f"model {config.model!r}: returns {logits.shape} for images {images.shape}; return one logit an image,"
            f" {images.shape[:1]}"
        )
    return dict(variables)


def head_of(model: nn.Module) -> tuple[str, ...]:
    """Layers after the features, which learn at the full rate: the class's `head`, none where it has no such attribute.

    Raises
    ------
    ModelError
        If it is something else than a tuple of str.
    """
    head = getattr(model, "head", ())
    if not (isinstance(head, tuple) and all(isinstance(name, str) for name in head)):
        raise ModelError(
            f"model {type(model).__name__}: `head` names the layers after the features, as a tuple like"
            f' head = ("Dense_0",); it is {head!r}'
        )
    return head


def _find_class(name: str) -> type[nn.Module]:
    module, _, class_name = name.partition(":")
    try:
        cls = getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"model {name!r}: {error}; name a class as package.module:Class, importable from the current folder or"
            " PYTHONPATH"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise ModelError(f"model {name!r}: not a flax.linen.Module")
    try:
        inspect.signature(cls.__call__).bind(None, None, train=False, mask=None)
    except TypeError as error:
        raise ModelError(
            f"model {name!r}: {error}; define __call__(self, images, train=False, mask=None), where images"
            " [batch, rows, columns, 1] are standardised and mask [batch] is False for rows that only fill the batch up"
        ) from error
    return cls
