"""Grad-CAM on the last feature map of any Flax network, found by tracing."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mammo_jax.models.windows import SlidingWindowClassifier, sum_window_maps
from mammo_jax.saliency.first_layer import apply_module

BATCH = 32


def grad_cam(module: nn.Module, variables: Any, images: np.ndarray) -> np.ndarray:
    """Compute Grad-CAM: the ReLU of feature maps weighted by mean gradients (Selvaraju et al., ICCV 2017).

    The last feature map is the last output with four axes of any submodule, after a ReLU. A classifier of sliding
    windows has one for each window. The score's gradient is not 0 only for the windows with the highest scores; their
    maps are added at the windows' positions.

    Parameters
    ----------
    module : nn.Module
        ``apply(variables, images) -> logits [n]``.
    variables : dict
    images : float [n, rows, columns, channels]
        Input of the network.

    Returns
    -------
    float [n, rows, columns]
        Not negative, resized bilinearly to the images, or to their windows.

    Raises
    ------
    ValueError
        If no submodule has a feature map as its output.
    """
    maps = _compiled(module)
    parts = []
    for first in range(0, len(images), BATCH):
        rows = images[first : first + BATCH]
        padded = np.pad(rows, [(0, min(BATCH, len(images)) - len(rows)), *[(0, 0)] * 3])
        parts.append(np.asarray(maps(variables, padded))[: len(rows)])
    return np.concatenate(parts)


@lru_cache(maxsize=16)
def _compiled(module: nn.Module) -> Callable:
    @jax.jit
    def maps(variables: Any, images: jax.Array) -> jax.Array:
        layers = feature_layers(module, variables, images)
        if not layers:
            raise ValueError(f"{type(module).__name__}: no submodule returns a feature map with four axes")
        name, shape = layers[-1]

        def score(offset: jax.Array) -> tuple[jax.Array, jax.Array]:
            logits, features = _run(module, variables, images, name, offset)
            return logits.sum(), features

        gradient, features = jax.grad(score, has_aux=True)(jnp.zeros(shape.shape, shape.dtype))
        weights = gradient.mean((1, 2), keepdims=True)
        cam = nn.relu((weights * nn.relu(features)).sum(-1))
        if isinstance(module, SlidingWindowClassifier):
            sides = (module.window, module.window)
            windows = jax.image.resize(cam, (len(cam), *sides), "bilinear").reshape(len(images), -1, *sides)
            return sum_window_maps(windows, images, module.step)
        return jax.image.resize(cam, images.shape[:3], "bilinear")

    return maps


def feature_layers(module: nn.Module, variables: Any, images: Any) -> list[tuple[tuple[str, ...], Any]]:
    """List the submodules that return feature maps, in the order of their calls, each with its output's shape."""
    layers = []

    def intercept(call: Callable, arguments: tuple, options: dict, context: nn.module.InterceptorContext) -> Any:
        output = call(*arguments, **options)
        if context.module.path and getattr(output, "ndim", 0) == 4:
            layers.append((context.module.path, jax.ShapeDtypeStruct(output.shape, output.dtype)))
        return output

    with nn.intercept_methods(intercept):
        jax.eval_shape(partial(apply_module, module), variables, images)
    return layers


def _run(
    module: nn.Module, variables: Any, images: jax.Array, name: tuple[str, ...], offset: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Apply a module with `offset` added to one layer's output; return the logits and that output."""
    outputs: list[jax.Array] = []

    def intercept(call: Callable, arguments: tuple, options: dict, context: nn.module.InterceptorContext) -> Any:
        output = call(*arguments, **options)
        if context.module.path == name and not outputs:
            output = output + offset
            outputs.append(output)
        return output

    with nn.intercept_methods(intercept):
        logits = apply_module(module, variables, images)
    return logits, outputs[0]
