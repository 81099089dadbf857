"""Integrated gradients of any Flax network, in bounded memory, with the completeness gap of every map.

The first layer of a convolutional network is affine. So on the straight path from baseline to image its output is also
a straight path: the convolution is computed for the two ends only, and its transpose once, for the summed gradient. The
rest is a Python loop over compiled chunks of path points: convolutions inside `scan` are several times slower on CPU,
and the memory does not grow with the number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mammo_jax.saliency.first_layer import Network, split_network, starts_with_convolution

Rule = Literal["gauss-legendre", "trapezoid"]

MAX_RELATIVE_GAP, MAX_ABSOLUTE_GAP = 0.01, 1e-3
"""A map is complete if its sum differs from F(image) − F(baseline) by at most 1 % or, if that is more, 0.001."""

CHUNK_BYTES = 1 << 22
"""Size of the first layer's output at the path points of one chunk. On CPU a larger one does not fit the cache (16 MiB
took twice as long for the study's CNN, without `devices.keep_memory`); on an accelerator it is 64 times as large."""

MAX_CHUNK_BYTES = 1 << 26
"""If the weights are larger than a chunk, a chunk is as large as the weights, up to this limit: each chunk reads and
transforms all weights, and a ResNet18 takes 1.2 times as long with chunks of a third of them. For a network that is not
split after its first layer the chunk consists of images, which are smaller, so a third of the weights is enough."""

MAX_CHUNK_STEPS = 32
"""Maximum number of path points of one image in a chunk."""


@dataclass(frozen=True)
class Attributions:
    """Attribution maps with their scores and completeness gaps.

    Attributes
    ----------
    maps : float [n, rows, columns]
        Contribution of each pixel to score − baseline_score, summed over the channels.
    scores, baseline_scores : float [n]
        F(image) and F(baseline).
    gaps : float [n]
        Sum of the map − (score − baseline_score).
    steps : int64 [n]
        Number of path points used.
    complete : bool [n]
        Whether the gap is within the tolerance.
    """

    maps: np.ndarray
    scores: np.ndarray
    baseline_scores: np.ndarray
    gaps: np.ndarray
    steps: np.ndarray
    complete: np.ndarray

    def take(self, rows: np.ndarray) -> Attributions:
        """Return the maps at `rows`."""
        return Attributions(*(getattr(self, field.name)[rows] for field in fields(self)))


@lru_cache(maxsize=64)
def quadrature(rule: Rule, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a rule on [0, 1], float64 [steps] each; the weights sum to 1. Cached: do not modify.

    Raises
    ------
    ValueError
        If the rule is unknown or has too few steps.
    """
    if rule == "gauss-legendre" and steps >= 1:
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (1 + nodes) / 2, weights / 2
    if rule == "trapezoid" and steps >= 2:
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    raise ValueError(f"rule {rule!r} with {steps} steps: use gauss-legendre (1 or more) or trapezoid (2 or more)")


def integrated_gradients(
    network: Network,
    variables: Any,
    images: np.ndarray,
    baselines: np.ndarray,
    *,
    rule: Rule = "gauss-legendre",
    steps: int = 32,
    max_steps: int = 512,
) -> Attributions:
    """Compute (x − b) · ∫ ∂F/∂x(b + α(x − b)) dα for every image (Sundararajan, Taly & Yan, ICML 2017).

    The steps of an image are doubled until its map is complete (see `MAX_RELATIVE_GAP`), or `max_steps` are reached.

    `images` are the network's input. The networks of a study get images that are standardised one by one, which removes
    scale and level. Attribution through the standardisation from a black baseline would be ill-posed, since every image
    on the path gives the same input. So standardisation is part of the preprocessing, F is the network on standardised
    input, and a baseline is expressed in its image's own units (`baselines_for`). A classifier of sliding windows
    (`mammo_jax.models.windows`) selects and standardises its windows inside F, which is discontinuous where the
    selection changes along the path. The gradient does not contain the jump, so its maps are often incomplete, and
    flagged.

    Parameters
    ----------
    network, variables
        The network and its weights; a module is applied as ``network.apply(variables, images)``.
    images, baselines : float [n, rows, columns, channels]
    rule : {"gauss-legendre", "trapezoid"}
    steps, max_steps : int
        Number of path points at first, and maximum.

    Raises
    ------
    ValueError
        If shapes differ or a score is not finite.
    """
    if images.shape != baselines.shape or images.ndim != 4:
        raise ValueError(f"images {images.shape} and baselines {baselines.shape} must have one shape, with four axes")
    attributions = _fixed_steps(network, variables, images, baselines, quadrature(rule, steps))
    while steps < max_steps and not attributions.complete.all():
        steps = min(2 * steps, max_steps)
        incomplete = np.flatnonzero(~attributions.complete)
        refined = _fixed_steps(network, variables, images[incomplete], baselines[incomplete], quadrature(rule, steps))
        for field in fields(Attributions):
            getattr(attributions, field.name)[incomplete] = getattr(refined, field.name)
    return attributions


def _fixed_steps(
    network: Network, variables: Any, images: np.ndarray, baselines: np.ndarray, rule: tuple[np.ndarray, np.ndarray]
) -> Attributions:
    """Compute integrated gradients with the nodes and weights of one rule, in batches of images."""
    path = _path(network, variables, images[:1])
    steps = len(rule[0])
    points = path.points
    chunks = -(-steps // min(points, MAX_CHUNK_STEPS))
    size = -(-steps // chunks)
    # A power of two, so that few shapes are compiled when fewer and fewer images need more steps.
    batch_size = min(1 << (len(images) - 1).bit_length(), max(1, points // size))
    nodes, weights = (np.pad(values, (0, chunks * size - steps)).astype(images.dtype) for values in rule)
    parts = []
    for first in range(0, len(images), batch_size):
        pair = [_padded(array[first : first + batch_size], batch_size) for array in (images, baselines)]
        scores, start, change = path.ends(variables, *pair)
        total = jnp.zeros_like(start)
        for chunk in range(0, len(nodes), size):
            total = path.add(
                variables, start, change, nodes[chunk : chunk + size], weights[chunk : chunk + size], total
            )
        parts.append((path.back(variables, *pair, total), *scores))
    maps, scores, baseline_scores = (np.concatenate([np.asarray(p[i]) for p in parts])[: len(images)] for i in range(3))
    if not (np.isfinite(scores).all() and np.isfinite(baseline_scores).all()):
        raise ValueError("a score is not finite: the images, the baselines or the weights are damaged")
    change = scores - baseline_scores
    gaps = maps.sum((1, 2), dtype=np.float64) - change
    return Attributions(maps, scores, baseline_scores, gaps, np.full(len(images), steps), is_complete(gaps, change))


def is_complete(gaps: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return whether gaps [n] are within the tolerance for the scores' changes [n]; bool [n]."""
    return np.abs(gaps) <= np.maximum(MAX_RELATIVE_GAP * np.abs(change), MAX_ABSOLUTE_GAP)


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    """Repeat the last row until there are `count` rows, so that every call has the same shape."""
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)]) if len(rows) < count else rows


@dataclass(frozen=True)
class _Path:
    """The compiled parts of the path integral for one network and one image shape.

    ends : (variables, images, baselines) → ((scores, baseline scores), hidden at the baselines, change to the images)
    add : (variables, start, change, nodes, weights, total) → total + Σ weight · gradient at the nodes
    back : (variables, images, baselines, total) → maps
    points : path points in a chunk
    """

    ends: Callable
    add: Callable
    back: Callable
    points: int


def _path(network: Network, variables: Any, image: np.ndarray) -> _Path:
    leaves, tree = jax.tree.flatten((variables, image))
    shapes = tuple(jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype) for leaf in leaves)
    return _compiled(network, tree, shapes)


@lru_cache(maxsize=16)
def _compiled(network: Network, tree: Any, shapes: tuple[jax.ShapeDtypeStruct, ...]) -> _Path:
    variables_shape, image_shape = jax.tree.unflatten(tree, shapes)
    split = isinstance(network, nn.Module) and starts_with_convolution(network, variables_shape, image_shape)
    first, rest = split_network(network, split, image_shape.shape[1:])

    @jax.jit
    def ends(variables: Any, images: jax.Array, baselines: jax.Array) -> Any:
        start, end = first(variables, baselines), first(variables, images)
        return (rest(variables, end), rest(variables, start)), start, end - start

    @partial(jax.jit, donate_argnames="total")
    def add(variables: Any, start: Any, change: Any, nodes: Any, weights: Any, total: jax.Array) -> jax.Array:
        count, *hidden = start.shape
        alpha = nodes.reshape(1, -1, *(1 for _ in hidden))
        points = (start[:, None] + alpha * change[:, None]).reshape(-1, *hidden)
        gradients = jax.grad(lambda points: rest(variables, points).sum())(points).reshape(count, -1, *hidden)
        if jax.default_backend() != "cpu":
            return total + jnp.einsum("k,nk...->n...", weights, gradients)
        for step in range(
            gradients.shape[1]
        ):  # fused into one loop; XLA's sum over an axis took as long as the network
            total += weights[step] * gradients[:, step]
        return total

    @jax.jit
    def back(variables: Any, images: jax.Array, baselines: jax.Array, total: jax.Array) -> jax.Array:
        (gradient,) = jax.vjp(partial(first, variables), images)[1](total)
        return jnp.sum((images - baselines) * gradient, axis=-1)

    point_bytes = _bytes(jax.eval_shape(first, variables_shape, image_shape))
    chunk_bytes = CHUNK_BYTES if jax.default_backend() == "cpu" else 64 * CHUNK_BYTES
    weight_bytes = _bytes(variables_shape) // (1 if split else 3)
    return _Path(ends, add, back, max(1, max(chunk_bytes, min(weight_bytes, MAX_CHUNK_BYTES)) // point_bytes))


def _bytes(shapes: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
