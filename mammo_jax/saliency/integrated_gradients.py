"""Integrated gradients of any Flax network, in bounded memory, with the completeness gap of every map.

The first layer of a convolutional network is affine, so along the straight path from baseline to image its output is a
straight path as well: its convolution is done for the two ends alone, and its transpose once, for the summed gradient.
What is left is a Python loop over compiled chunks of path points: convolutions inside `scan` are several times slower
on CPU, and memory does not grow with the number of steps.
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

from mammo_jax.saliency.first_layer import Network, in_two_parts, starts_with_convolution

Rule = Literal["gauss-legendre", "trapezoid"]

GAP_RELATIVE, GAP_ABSOLUTE = 0.01, 1e-3
"""A map is complete where its sum misses F(image) − F(baseline) by at most 1 % or, if that is more, 0.001."""

CHUNK_BYTES = 1 << 22
"""Size of the first layer's output at the path points of one chunk. On CPU a larger one leaves the cache (16 MiB took
twice as long for the study's CNN, where memory is not kept); an accelerator is given 64 times as much."""

LARGEST_CHUNK_BYTES = 1 << 26
"""Where the weights are more than a chunk, it is as large as they are, up to this: it reads and transforms all of them,
and a ResNet18 takes 1.2 times as long with chunks of a third. Of a network that is not split after its first layer the
chunk counts images, which are smaller, so that a third of the weights is enough."""

CHUNK_STEPS = 32
"""Path points of one image in a chunk at most."""


@dataclass(frozen=True)
class Attributions:
    """Attribution maps and how good they are.

    Attributes
    ----------
    maps : float [n, rows, columns]
        Contribution of each pixel to score − baseline_score, summed over the channels.
    scores, baseline_scores : float [n]
        F(image) and F(baseline).
    gaps : float [n]
        Sum of the map − (score − baseline_score).
    steps : int64 [n]
        Path points that were used.
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
    """Nodes and weights of a rule on [0, 1]; float64 [steps] each, the weights sum to 1. Not to be written to.

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
    raise ValueError(f"rule {rule!r} with {steps} steps: ask for gauss-legendre (1 or more) or trapezoid (2 or more)")


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
    """(x − b) · ∫ ∂F/∂x(b + α(x − b)) dα for every image (Sundararajan, Taly & Yan, ICML 2017).

    The steps of an image are doubled until its map is complete (see `GAP_RELATIVE`), or `max_steps` are reached.

    `images` are what the network sees. The networks of a study see images standardised one by one, which takes scale
    and level out of an image: attributing through that from a black baseline would be ill-posed, since every image on
    the path looks the same to the network. Standardising therefore counts as preprocessing, F is the network on
    standardised input, and a baseline is expressed in its image's own units (`baselines_for`). A network over windows
    (`mammo_jax.models.windows`) standardises and chooses them inside F, which jumps where its choice changes along the
    path: no gradient tells of the jump, so its maps are often incomplete, and flagged.

    Parameters
    ----------
    network, variables
        The network and its weights; a module is applied as ``network.apply(variables, images)``.
    images, baselines : float [n, rows, columns, channels]
    rule : {"gauss-legendre", "trapezoid"}
    steps, max_steps : int
        Path points at first, and at most.

    Raises
    ------
    ValueError
        If shapes differ or a score is not finite.
    """
    if images.shape != baselines.shape or images.ndim != 4:
        raise ValueError(f"images {images.shape} and baselines {baselines.shape} must be alike, with four axes")
    found = _fixed_steps(network, variables, images, baselines, quadrature(rule, steps))
    while steps < max_steps and not found.complete.all():
        steps = min(2 * steps, max_steps)
        again = np.flatnonzero(~found.complete)
        better = _fixed_steps(network, variables, images[again], baselines[again], quadrature(rule, steps))
        for field in fields(Attributions):
            getattr(found, field.name)[again] = getattr(better, field.name)
    return found


def _fixed_steps(
    network: Network, variables: Any, images: np.ndarray, baselines: np.ndarray, rule: tuple[np.ndarray, np.ndarray]
) -> Attributions:
    """Integrated gradients with the nodes and weights of one rule, a few images at a time."""
    path = _path(network, variables, images[:1])
    steps = len(rule[0])
    points = path.points
    chunks = -(-steps // min(points, CHUNK_STEPS))
    size = -(-steps // chunks)
    # A power of two, so that few shapes are compiled while fewer and fewer images need more steps.
    at_once = min(1 << (len(images) - 1).bit_length(), max(1, points // size))
    nodes, weights = (np.pad(values, (0, chunks * size - steps)).astype(images.dtype) for values in rule)
    parts = []
    for first in range(0, len(images), at_once):
        pair = [_filled(array[first : first + at_once], at_once) for array in (images, baselines)]
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
    """Whether gaps [n] are within the tolerance for the scores' changes [n]; bool [n]."""
    return np.abs(gaps) <= np.maximum(GAP_RELATIVE * np.abs(change), GAP_ABSOLUTE)


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """Repeat the last row until there are `count`, so that every call has one shape."""
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)]) if len(rows) < count else rows


@dataclass(frozen=True)
class _Path:
    """The compiled parts of one network at one image shape.

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
    first, rest = in_two_parts(network, split, image_shape.shape[1:])

    @jax.jit
    def ends(variables: Any, images: jax.Array, baselines: jax.Array) -> Any:
        start, end = first(variables, baselines), first(variables, images)
        return (rest(variables, end), rest(variables, start)), start, end - start

    @partial(jax.jit, donate_argnames="total")
    def add(variables: Any, start: Any, change: Any, nodes: Any, weights: Any, total: jax.Array) -> jax.Array:
        count, *hidden = start.shape
        along = nodes.reshape(1, -1, *(1 for _ in hidden))
        points = (start[:, None] + along * change[:, None]).reshape(-1, *hidden)
        gradients = jax.grad(lambda points: rest(variables, points).sum())(points).reshape(count, -1, *hidden)
        if jax.default_backend() != "cpu":
            return total + jnp.einsum("k,nk...->n...", weights, gradients)
        for step in range(gradients.shape[1]):  # becomes one loop; XLA's sums over an axis took as long as the network
            total += weights[step] * gradients[:, step]
        return total

    @jax.jit
    def back(variables: Any, images: jax.Array, baselines: jax.Array, total: jax.Array) -> jax.Array:
        (gradient,) = jax.vjp(partial(first, variables), images)[1](total)
        return jnp.sum((images - baselines) * gradient, axis=-1)

    point_bytes = _bytes(jax.eval_shape(first, variables_shape, image_shape))
    chunk_bytes = CHUNK_BYTES if jax.default_backend() == "cpu" else 64 * CHUNK_BYTES
    weight_bytes = _bytes(variables_shape) // (1 if split else 3)
    return _Path(ends, add, back, max(1, max(chunk_bytes, min(weight_bytes, LARGEST_CHUNK_BYTES)) // point_bytes))


def _bytes(shapes: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
