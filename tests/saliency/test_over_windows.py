"""Saliency of a network that looks at whole images through windows, against the same network on its windows."""

from functools import partial

import jax
import numpy as np
import pytest

from mammo_jax.models import build_model, init_model
from mammo_jax.models.windows import MIN_COVER, NO_TISSUE_LOGIT, POOLED_WINDOWS, select_windows
from mammo_jax.saliency.baselines import baselines_for, network_inputs
from mammo_jax.saliency.grad_cam import grad_cam
from mammo_jax.saliency.integrated_gradients import integrated_gradients, is_complete
from mammo_jax.saliency.randomisation import parameter_cascade
from mammo_jax.training_config import TrainingConfig

PATCHES = TrainingConfig(filters=(2, 3, 4))
WHOLE = TrainingConfig(filters=(2, 3, 4), window=16, window_step=8)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(10000, 50000, (3, 40, 30, 1)).astype(np.uint16)


def draw(seed, images):
    """Fresh weights of the network alone."""
    init = jax.jit(partial(init_model, PATCHES))
    return jax.device_get(init(jax.random.key(seed), network_inputs(images)[:1, :16, :16]))


@pytest.fixture(scope="module")
def variables(images):
    return draw(0, images)


def test_integrated_gradients_are_a_plain_sum_over_the_path_and_flagged_where_the_score_jumps(images, variables):
    network, inputs, baselines = build_model(WHOLE), network_inputs(images), baselines_for(images, "blurred")
    found = integrated_gradients(network, variables, inputs, baselines)
    np.testing.assert_allclose(found.scores, network.apply(variables, inputs), rtol=1e-5)
    np.testing.assert_array_equal(found.complete, is_complete(found.gaps, found.scores - found.baseline_scores))
    assert not found.complete.any(), "these images change their windows on the path"
    slope = jax.jit(jax.grad(lambda x: network.apply(variables, x).sum()))
    points = (np.arange(1000) + 0.5) / 1000
    mean = sum(np.asarray(slope((baselines + a * (inputs - baselines)).astype(np.float32))) for a in points) / 1000
    expected = ((inputs - baselines) * mean)[..., 0]
    np.testing.assert_allclose(found.maps, expected, atol=0.05 * np.abs(expected).max())


def test_grad_cam_adds_up_those_of_the_most_suspicious_windows_where_they_lie(images, variables):
    inputs = network_inputs(images)
    windows, cover = (np.asarray(part) for part in select_windows(inputs, 16, 8))
    patches = build_model(PATCHES)
    found = grad_cam(build_model(WHOLE), variables, inputs)
    assert found.shape == images.shape[:3]
    for image, own, part_shown, cam in zip(inputs, windows, cover, found):
        shown = (part_shown >= MIN_COVER) | (part_shown == part_shown.max())
        logits = np.where(shown, patches.apply(variables, own), NO_TISSUE_LOGIT)
        worst = np.argsort(-logits)[:POOLED_WINDOWS]
        odds = np.exp(logits[worst]) / np.exp(logits[worst]).sum()  # what the score gains by that window's
        expected = np.zeros((40, 32), np.float32)
        for number, part in zip(worst, odds):
            row, column = place(image, own[number])
            expected[row : row + 16, column : column + 16] += part * grad_cam(patches, variables, own[number][None])[0]
        np.testing.assert_allclose(cam, expected[:, :30], atol=1e-4 * expected.max())
    assert found.max() > 0


def place(image, window):
    """Row and column at which an image [40, 30, 1], continued by its darkest value, holds a window."""
    padded = np.pad(image, ((0, 0), (0, 2), (0, 0)), constant_values=image.min())
    corners = [(row, column) for row in range(0, 25, 8) for column in range(0, 17, 8)]
    cuts = [padded[row : row + 16, column : column + 16].ravel() for row, column in corners]
    return corners[int(np.argmax([np.corrcoef(cut, window.ravel())[0, 1] for cut in cuts]))]


def test_the_cascade_draws_the_layers_of_the_network_in_the_windows_anew(images, variables):
    stages = list(parameter_cascade(build_model(WHOLE), variables, network_inputs(images), seed=1))
    assert [layer for layer, _ in stages] == ["Dense_2", "Dense_1", "Dense_0", "Conv_2", "Conv_1", "Conv_0"]
    jax.tree.map(np.testing.assert_array_equal, stages[-1][1], draw(1, images))
