"""The first convolution apart from the rest of a Flax network: an affine layer needs to be run for two points only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.extend.core import Literal

from mammo_jax.models.ops.convolution import Conv

Network = nn.Module | Callable[[Any, jax.Array], jax.Array]
"""A Flax linen module, or any jittable function: (variables, images [n, rows, columns, 1]) → logits [n]."""

CONVOLUTIONS = (nn.Conv, Conv)
"""Affine layers that may be run apart from the rest."""

INFERENCE = {"train": False, "mask": None}
"""What a study's networks are told when they are not trained; given to modules that ask for it."""


def apply_module(module: nn.Module, variables: Any, images: jax.Array) -> jax.Array:
    """Logits [n] of a module at inference."""
    return jnp.asarray(module.apply(variables, images, **inference_options(module)))


def inference_options(module: nn.Module) -> dict[str, Any]:
    """Return those of `INFERENCE` that a module's call asks for."""
    asked = inspect.signature(type(module).__call__).parameters
    return {name: value for name, value in INFERENCE.items() if name in asked}


def starts_with_convolution(module: nn.Module, variables: Any, image: Any) -> bool:
    """Whether the images go through one convolution and nowhere else, found out by tracing."""
    hidden = jax.eval_shape(lambda v, x: _run(module, v, x, None)[1], variables, image)
    if hidden is None:
        return False
    traced = jax.make_jaxpr(lambda x, v, h: _run(module, v, x, h)[0])(image, variables, hidden).jaxpr
    needed = _variables(traced.outvars)
    for equation in reversed(traced.eqns):
        if needed.intersection(equation.outvars):
            needed |= _variables(equation.invars)
    return traced.invars[0] not in needed


def _variables(values: Sequence[Any]) -> set[Any]:
    return {value for value in values if not isinstance(value, Literal)}


def in_two_parts(network: Network, split: bool, shape: tuple[int, ...]) -> tuple[Callable, Callable]:
    """Divide F into an affine part and the rest.

    Parameters
    ----------
    network : Network
    split : bool
        Let the first convolution be the affine part (see `starts_with_convolution`); else the affine part does nothing.
    shape : (rows, columns, channels)
        Of an image.

    Returns
    -------
    first : (variables, images) → hidden
    rest : (variables, hidden) → logits
    """
    if not isinstance(network, nn.Module):
        return lambda _, images: images, network
    if not split:
        return lambda _, images: images, partial(apply_module, network)

    def first(variables: Any, images: jax.Array) -> jax.Array:
        return _run(network, variables, images, None)[1]

    def rest(variables: Any, hidden: jax.Array) -> jax.Array:
        unused = jnp.zeros((len(hidden), *shape), hidden.dtype)
        return _run(network, variables, unused, hidden)[0]

    return first, rest


def _run(module: nn.Module, variables: Any, images: jax.Array, hidden: jax.Array | None) -> tuple[jax.Array, Any]:
    """Apply a module; return the logits and the output of the convolution of the images, which `hidden` replaces."""
    outputs: list[Any] = []

    def intercept(call: Callable, arguments: tuple, options: dict, context: nn.module.InterceptorContext) -> Any:
        is_first = type(context.module) in CONVOLUTIONS and not outputs and arguments and arguments[0] is images
        result = hidden if is_first and hidden is not None else call(*arguments, **options)
        if is_first:
            outputs.append(result)
        return result

    with nn.intercept_methods(intercept):
        logits = apply_module(module, variables, images)
    return logits, outputs[0] if outputs else None
