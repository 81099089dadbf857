"""Sliding windows over larger images, compared with a plain loop over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models import build_model, init_model
from mammo_jax.models.windows import BREAST_LEVEL, MIN_COVER, POOLED_WINDOWS, WINDOW_SHARE, select_windows
from mammo_jax.training_config import TrainingConfig

PATCHES = TrainingConfig(filters=(2, 3, 4))
WHOLE = TrainingConfig(filters=(2, 3, 4), window=16, window_step=8)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).uniform(0.2, 1, size=(3, 40, 30, 1)) - 0.2, jnp.float32)


@pytest.fixture(scope="module")
def variables(images):
    return init_model(PATCHES, jax.random.key(0), images[:, :16, :16])


def naive_windows(image):
    """Return the standardised windows of one image [rows, columns, 1] and the share of each that is breast."""
    levels = np.asarray(image, np.float64)
    levels = (levels - levels.min()) / (levels.max() - levels.min())
    padded = np.pad(levels, ((0, 0), (0, 2), (0, 0)))  # 40 = 16 + 3 · 8, 32 = 16 + 2 · 8
    windows, cover = [], []
    for row in range(0, 25, 8):
        for column in range(0, 17, 8):
            window = padded[row : row + 16, column : column + 16]
            windows.append((window - window.mean()) / window.std())
            cover.append((window > BREAST_LEVEL).mean())
    return np.array(windows), np.array(cover)


def test_the_most_covered_windows_are_standardised_one_by_one(images):
    windows, cover = select_windows(images, 16, 8)
    assert windows.shape == (3, round(WINDOW_SHARE * 12), 16, 16, 1)
    for image, selected, selected_cover in zip(images, windows, cover):
        expected, all_cover = naive_windows(image)
        order = np.argsort(-all_cover, kind="stable")[: len(selected)]
        np.testing.assert_allclose(selected_cover, all_cover[order], atol=1e-6)
        np.testing.assert_allclose(selected, expected[order], atol=1e-4)


def test_image_sums_the_odds_of_its_highest_scoring_windows(images, variables):
    score_patch = jax.jit(build_model(PATCHES).apply)
    for image, score in zip(images, build_model(WHOLE).apply(variables, images)):
        windows, cover = naive_windows(image)
        order = np.argsort(-cover, kind="stable")[: round(WINDOW_SHARE * len(cover))]
        odds = [np.exp(score_patch(variables, np.float32(windows[[i]])))[0] for i in order if cover[i] >= MIN_COVER]
        np.testing.assert_allclose(np.exp(score), sum(sorted(odds)[-POOLED_WINDOWS:]), rtol=1e-4)


def test_a_window_on_the_skin_line_does_not_count(variables):
    """Only the lower left part shows tissue; windows that cross its border are not scored."""
    breast = np.zeros((1, 40, 40, 1), np.float32)
    breast[0, 16:, :24, 0] = np.random.default_rng(0).uniform(0.5, 1, size=(24, 24))
    score = jax.jit(build_model(WHOLE).apply)
    inside = [breast[:, row : row + 16, column : column + 16] for row in (16, 24) for column in (0, 8)]
    logits = [float(score(variables, window)[0]) for window in inside]
    np.testing.assert_allclose(float(score(variables, breast)[0]), np.logaddexp.reduce(logits), rtol=1e-3)


def test_gradient_is_finite_where_background_is_flat(variables):
    breast = np.zeros((1, 48, 48, 1), np.float32)
    breast[0, :18, :18] = np.random.default_rng(0).uniform(0.5, 1, size=(18, 18, 1))
    gradient = jax.grad(lambda pixels: build_model(WHOLE).apply(variables, pixels).sum())(breast)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0, :16, :16]).max() > 0


def test_variables_are_those_of_the_network(images, variables):
    own = init_model(WHOLE, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, dict(variables))
    assert build_model(WHOLE).head == build_model(PATCHES).head


def test_training_uses_those_windows_and_leaves_the_batch_statistics(images, variables):
    network = build_model(WHOLE)

    def score(pixels, train):
        arguments = {"mutable": ["batch_stats"]} if train else {}
        result = network.apply(variables, pixels, train=train, **arguments)
        return (result[0].sum(), result[1]) if train else (result.sum(), None)

    (trained, statistics), gradient = jax.value_and_grad(score, has_aux=True)(images, True)
    (tested, _), expected = jax.value_and_grad(score, has_aux=True)(images, False)
    np.testing.assert_allclose(trained, tested, rtol=1e-6)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, statistics["batch_stats"], variables["batch_stats"])


@pytest.mark.parametrize("step", [0, 17])
def test_step_that_leaves_gaps_is_refused(step):
    with pytest.raises(ValueError, match="window_step"):
        TrainingConfig(window=16, window_step=step)
