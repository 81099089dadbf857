"""Integrated gradients compared with closed forms and a slow loop in float64."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models.cnn import CNN
from mammo_jax.saliency import smoothgrad
from mammo_jax.saliency.first_layer import starts_with_convolution
from mammo_jax.saliency.integrated_gradients import (
    CHUNK_BYTES,
    MAX_CHUNK_STEPS,
    Attributions,
    _path,
    integrated_gradients,
    is_complete,
    quadrature,
)
from mammo_jax.saliency.smoothgrad import smoothgrad_integrated_gradients

SHAPE = (3, 16, 20, 1)
RULES = ("gauss-legendre", "trapezoid")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class TwoBranches(nn.Module):
    """The images are also used besides the first convolution."""

    @nn.compact
    def __call__(self, images):
        return nn.Conv(3, (3, 3))(images).max((1, 2, 3)) + images.sum((1, 2, 3)) ** 2


class Strided(nn.Module):
    """A first convolution with stride, bias and explicit padding, followed by a smooth function."""

    @nn.compact
    def __call__(self, images):
        x = nn.tanh(nn.Conv(4, (5, 5), strides=2, padding=((2, 1), (0, 3)))(images))
        return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


class NoConvolution(nn.Module):
    @nn.compact
    def __call__(self, images):
        return nn.Dense(1)(nn.tanh(nn.Dense(5)(images.reshape(len(images), -1))))[:, 0]


MODULES = (CNN(filters=(3, 4, 5), dense=(8, 6)), Strided(), TwoBranches(), NoConvolution())


def naive(apply, variables, images, baselines, rule, steps):
    """Compute integrated gradients with the whole network, one image and one step at a time."""
    nodes, weights = quadrature(rule, steps)
    maps = []
    slope = jax.jit(jax.grad(lambda x: apply(variables, x[None])[0]))
    for image, baseline in zip(images, baselines):
        gradient = np.zeros_like(image)
        for node, weight in zip(nodes, weights):
            gradient += weight * np.asarray(slope(baseline + node * (image - baseline)))
        maps.append(((image - baseline) * gradient).sum(-1))
    return np.stack(maps)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
@pytest.mark.parametrize("rule", RULES)
def test_every_network_agrees_with_a_slow_loop(module, rule, monkeypatch):
    monkeypatch.setattr("mammo_jax.saliency.integrated_gradients.MAX_CHUNK_STEPS", 4)  # chunks that do not divide 11
    with jax.enable_x64(True):
        images, baselines = normal(*SHAPE), normal(*SHAPE, seed=1)
        variables = jax.tree.map(
            lambda leaf: np.asarray(leaf, np.float64), jax.jit(module.init)(jax.random.key(3), images)
        )
        attributions = integrated_gradients(module, variables, images, baselines, rule=rule, steps=11, max_steps=11)
        expected = naive(module.apply, variables, images, baselines, rule, 11)
    assert attributions.maps.dtype == np.float64
    np.testing.assert_allclose(attributions.maps, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("module", "expected"), list(zip(MODULES, (True, True, False, False))))
def test_the_first_convolution_is_split_off_if_nothing_else_uses_the_images(module, expected):
    images = np.zeros(SHAPE, np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), images)
    assert starts_with_convolution(module, variables, images) == expected


@pytest.mark.parametrize("rule", RULES)
def test_the_map_of_a_linear_network_is_exact(rule):
    weights = normal(*SHAPE[1:]).astype(np.float32)
    images, baselines = (normal(*SHAPE, seed=seed).astype(np.float32) for seed in (1, 2))

    def linear(variables, x):
        return (x * variables[None]).sum((1, 2, 3)) + 5

    attributions = integrated_gradients(linear, weights, images, baselines, rule=rule, steps=2)
    expected = ((images - baselines) * weights).sum(-1)
    np.testing.assert_allclose(attributions.maps, expected, atol=1e-5)
    assert attributions.complete.all()
    assert (attributions.steps == 2).all()


def test_the_map_of_a_square_is_exact_with_one_gauss_legendre_point():
    images, baselines = (normal(*SHAPE, seed=seed).astype(np.float32) for seed in (1, 2))
    attributions = integrated_gradients(squares, None, images, baselines, steps=1, max_steps=1)
    np.testing.assert_allclose(attributions.maps, (images**2 - baselines**2).sum(-1), atol=1e-5)


def squares(_, x):
    return (x**2).sum((1, 2, 3))


def step_like(_, x):
    """Rise steeply at one place of the path, which few points miss."""
    return jax.nn.sigmoid(60 * (x.mean((1, 2, 3)) - 0.37))


def test_steps_are_doubled_only_for_incomplete_maps():
    images = np.ones((2, 8, 8, 1), np.float32)
    images[1] = 0.1  # its path ends before the rise
    attributions = integrated_gradients(step_like, None, images, np.zeros_like(images), steps=4, max_steps=256)
    assert attributions.steps[1] == 4
    assert attributions.steps[0] > 16
    assert attributions.complete.all()
    assert abs(attributions.gaps[0]) <= 0.01
    np.testing.assert_allclose(
        attributions.maps.sum((1, 2)) - (attributions.scores - attributions.baseline_scores),
        attributions.gaps,
        atol=1e-6,
    )


def test_a_map_that_stays_incomplete_is_flagged_with_its_gap():
    images = np.ones((1, 8, 8, 1), np.float32)
    attributions = integrated_gradients(step_like, None, images, np.zeros_like(images), steps=4, max_steps=4)
    assert not attributions.complete[0]
    assert abs(attributions.gaps[0]) > 0.1


def test_relu_networks_become_complete():
    module = CNN(filters=(4, 8, 8), dense=(16, 8))
    images = normal(6, 32, 32, 1).astype(np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), images)
    attributions = integrated_gradients(module, variables, images, np.full_like(images, -2))
    assert attributions.complete.all()
    np.testing.assert_allclose(attributions.scores, module.apply(variables, images), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
@pytest.mark.parametrize("rule", RULES)
def test_rules_are_exact_for_polynomials_of_their_order(rule, steps):
    if rule == "trapezoid" and steps == 1:
        with pytest.raises(ValueError, match="trapezoid"):
            quadrature(rule, steps)
        return
    nodes, weights = quadrature(rule, steps)
    assert len(nodes) == len(weights) == steps
    assert weights.sum() == pytest.approx(1)
    assert weights @ nodes == pytest.approx(1 / 2)
    if rule == "gauss-legendre":
        assert weights @ nodes ** (2 * steps - 1) == pytest.approx(1 / (2 * steps))


@pytest.mark.parametrize(
    ("dense", "split", "expected"),
    [
        ((512, 512), True, 1 << 22),
        ((2048, 1024), True, 4 * (128 * 2048 + 2048 * 1024)),
        ((2048, 1024), False, 1 << 22),  # a third of that is less than a chunk
        ((8192, 4096), True, 1 << 26),
    ],
)
def test_a_chunk_is_as_large_as_the_weights_up_to_a_limit(dense, split, expected):
    module = CNN(filters=(4, 8, 8), dense=dense)
    image = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), image)
    network = module if split else lambda variables, images: module.apply(variables, images)
    points = _path(network, variables, image).points
    assert points == pytest.approx(expected / (32 * 32 * 4 * (4 if split else 1)), rel=0.02)


def test_memory_does_not_grow_with_the_steps():
    """With more steps the same compiled chunk is called more often."""
    module = CNN(filters=(4, 8, 8), dense=(16, 8))
    images = np.zeros((1, 64, 64, 1), np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), images)
    path = _path(module, variables, images)
    assert path.points == CHUNK_BYTES // (64 * 64 * 4 * 4)
    calls = []

    def sizes(steps):
        original = path.add
        counted = lambda *arguments: calls.append(len(arguments[3])) or original(*arguments)  # noqa: E731
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mammo_jax.saliency.integrated_gradients._path", lambda *_: type(path)(
                path.ends, counted, path.back, path.points))  # fmt: skip
            calls.clear()
            integrated_gradients(module, variables, images, images - 1, steps=steps, max_steps=steps)
        return list(calls)

    assert path.points >= MAX_CHUNK_STEPS
    assert sizes(512) == [MAX_CHUNK_STEPS] * (512 // MAX_CHUNK_STEPS)
    assert sizes(2048) == [MAX_CHUNK_STEPS] * (2048 // MAX_CHUNK_STEPS)


def test_damaged_input_is_refused():
    images = np.ones((1, 8, 8, 1), np.float32)
    with pytest.raises(ValueError, match="must have one shape"):
        integrated_gradients(squares, None, images, images[:, :4])
    with pytest.raises(ValueError, match="not finite"):
        integrated_gradients(squares, None, images * np.nan, images)


def test_smoothgrad_is_the_mean_over_noisy_copies():
    images = normal(2, 8, 8, 1).astype(np.float32)
    attributions = smoothgrad_integrated_gradients(squares, None, images, np.zeros_like(images), samples=4000, steps=1)
    spread = 0.15 * np.ptp(images.reshape(2, -1), axis=1)
    expected = images[..., 0] ** 2 + spread[:, None, None] ** 2  # E (x + s n)² = x² + s²
    np.testing.assert_allclose(attributions.maps, expected, atol=0.25)
    assert attributions.maps.mean() == pytest.approx(expected.mean(), rel=0.02)
    assert attributions.complete.all()
    again = smoothgrad_integrated_gradients(squares, None, images[:1], np.zeros_like(images[:1]), samples=4000, steps=1)
    np.testing.assert_array_equal(again.maps[0], attributions.maps[0])


def test_smoothgrad_doubles_the_steps_of_copies_that_are_not_complete():
    images = normal(2, 8, 8, 1).astype(np.float32)

    def steep(_, inputs):
        return jnp.tanh(3 * (inputs.sum((1, 2, 3)) - 1))

    arguments = (steep, None, images, np.zeros_like(images))
    fixed = smoothgrad_integrated_gradients(*arguments, samples=6, steps=2, max_steps=2)
    assert not fixed.complete.any()
    attributions = smoothgrad_integrated_gradients(*arguments, samples=6, steps=2, max_steps=512)
    assert attributions.complete.all()
    assert (attributions.steps > 6 * 2).all()
    assert is_complete(attributions.gaps, attributions.scores - attributions.baseline_scores).all()


def test_a_smoothgrad_map_is_flagged_if_the_gaps_of_its_copies_cancel(monkeypatch):
    images = np.zeros((1, 4, 4, 1), np.float32)

    def cancelling(network, variables, noisy, baselines, **steps):
        sign = np.where(np.arange(len(noisy)) % 2, 1.0, -1.0)
        one = np.ones(len(noisy))
        return Attributions(np.zeros((len(noisy), 4, 4)), one, 0 * one, sign, one.astype(int), one < 0)

    monkeypatch.setattr(smoothgrad, "integrated_gradients", cancelling)
    attributions = smoothgrad_integrated_gradients(squares, None, images, images, samples=8)
    assert attributions.gaps[0] == 0
    assert not attributions.complete[0]
