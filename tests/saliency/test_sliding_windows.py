"""Saliency of a classifier of sliding windows, compared with its patch network on the single windows."""

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
    """Draw random weights of the patch network."""
    init = jax.jit(partial(init_model, PATCHES))
    return jax.device_get(init(jax.random.key(seed), network_inputs(images)[:1, :16, :16]))


@pytest.fixture(scope="module")
def variables(images):
    return draw(0, images)


def test_integrated_gradients_are_a_plain_sum_over_the_path_and_flagged_if_the_score_jumps(images, variables):
    network, inputs, baselines = build_model(WHOLE), network_inputs(images), baselines_for(images, "blurred")
    result = integrated_gradients(network, variables, inputs, baselines)
    np.testing.assert_allclose(result.scores, network.apply(variables, inputs), rtol=1e-5)
    np.testing.assert_array_equal(result.complete, is_complete(result.gaps, result.scores - result.baseline_scores))
    assert not result.complete.any(), "the selected windows of these images change along the path"
    slope = jax.jit(jax.grad(lambda x: network.apply(variables, x).sum()))
    points = (np.arange(1000) + 0.5) / 1000
    mean = sum(np.asarray(slope((baselines + a * (inputs - baselines)).astype(np.float32))) for a in points) / 1000
    expected = ((inputs - baselines) * mean)[..., 0]
    np.testing.assert_allclose(result.maps, expected, atol=0.05 * np.abs(expected).max())


def test_grad_cam_is_the_sum_over_the_highest_scoring_windows_at_their_positions(images, variables):
    inputs = network_inputs(images)
    windows, cover = (np.asarray(part) for part in select_windows(inputs, 16, 8))
    patches = build_model(PATCHES)
    maps = grad_cam(build_model(WHOLE), variables, inputs)
    assert maps.shape == images.shape[:3]
    for image, own, own_cover, cam in zip(inputs, windows, cover, maps):
        has_tissue = (own_cover >= MIN_COVER) | (own_cover == own_cover.max())
        logits = np.where(has_tissue, patches.apply(variables, own), NO_TISSUE_LOGIT)
        highest = np.argsort(-logits)[:POOLED_WINDOWS]
        weights = np.exp(logits[highest]) / np.exp(logits[highest]).sum()  # derivatives of the score by the logits
        expected = np.zeros((40, 32), np.float32)
        for number, weight in zip(highest, weights):
            row, column = position(image, own[number])
            window_map = grad_cam(patches, variables, own[number][None])[0]
            expected[row : row + 16, column : column + 16] += weight * window_map
        np.testing.assert_allclose(cam, expected[:, :30], atol=1e-4 * expected.max())
    assert maps.max() > 0


def position(image, window):
    """Return row and column of a window in an image [40, 30, 1] padded with its darkest value."""
    padded = np.pad(image, ((0, 0), (0, 2), (0, 0)), constant_values=image.min())
    corners = [(row, column) for row in range(0, 25, 8) for column in range(0, 17, 8)]
    cuts = [padded[row : row + 16, column : column + 16].ravel() for row, column in corners]
    return corners[int(np.argmax([np.corrcoef(cut, window.ravel())[0, 1] for cut in cuts]))]


def test_the_cascade_randomises_the_layers_of_the_patch_network(images, variables):
    stages = list(parameter_cascade(build_model(WHOLE), variables, network_inputs(images), seed=1))
    assert [layer for layer, _ in stages] == ["Dense_2", "Dense_1", "Dense_0", "Conv_2", "Conv_1", "Conv_0"]
    jax.tree.map(np.testing.assert_array_equal, stages[-1][1], draw(1, images))
