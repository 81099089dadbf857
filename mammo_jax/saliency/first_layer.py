"""Split a Flax network into its first convolution and the rest: an affine layer is needed at two points only."""

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
"""Affine layers that can be split off."""

INFERENCE = {"train": False, "mask": None}
"""Keyword arguments of a study's networks at inference; passed to modules that have them."""


def apply_module(module: nn.Module, variables: Any, images: jax.Array) -> jax.Array:
    """Return the logits [n] of a module at inference."""
    return jnp.asarray(module.apply(variables, images, **inference_options(module)))


def inference_options(module: nn.Module) -> dict[str, Any]:
    """Return the items of `INFERENCE` that are parameters of the module's call."""
    parameters = inspect.signature(type(module).__call__).parameters
    return {name: value for name, value in INFERENCE.items() if name in parameters}


def starts_with_convolution(module: nn.Module, variables: Any, image: Any) -> bool:
    """Return whether the images are the input of one convolution and of nothing else, by tracing."""
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


def split_network(network: Network, split: bool, shape: tuple[int, ...]) -> tuple[Callable, Callable]:
    """Split a network into an affine part and the rest.

    Parameters
    ----------
    network : Network
    split : bool
        True: the affine part is the first convolution (see `starts_with_convolution`). False: it is the identity.
    shape : (rows, columns, channels)
        Shape of an image.

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
    """Apply a module with `hidden`, if given, as its first convolution's output; return the logits and that output."""
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
