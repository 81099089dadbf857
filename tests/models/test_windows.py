"""Windows over larger images, against a plain loop over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models import build_model, init_model
from mammo_jax.models.windows import cut_windows
from mammo_jax.training_config import TrainingConfig

PATCHES = TrainingConfig(filters=(2, 3, 4))
WHOLE = TrainingConfig(filters=(2, 3, 4), window=16, window_step=8)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, 40, 30, 1)), jnp.float32)


@pytest.fixture(scope="module")
def variables(images):
    return init_model(PATCHES, jax.random.key(0), images[:, :16, :16])


def windows_by_loop(image):
    """Standardised windows of one image [rows, columns, 1], continued by zeros."""
    padded = np.pad(np.asarray(image, np.float64), ((0, 0), (0, 2), (0, 0)))  # 40 = 16 + 3 · 8, 32 = 16 + 2 · 8
    found = []
    for row in range(0, 25, 8):
        for column in range(0, 17, 8):
            window = padded[row : row + 16, column : column + 16]
            found.append((window - window.mean()) / window.std())
    return np.array(found)


def test_windows_cover_the_image_and_are_standardised_one_by_one(images):
    expected = np.array([windows_by_loop(image) for image in images])
    np.testing.assert_allclose(cut_windows(images, 16, 8), expected, atol=1e-5)


def test_background_is_not_stretched():
    faint = jnp.asarray(np.random.default_rng(0).normal(scale=1e-4, size=(1, 16, 16, 1)), jnp.float32)
    assert float(jnp.abs(cut_windows(faint, 16, 8)).max()) < 0.1


def test_image_is_as_suspicious_as_its_most_suspicious_window(images, variables):
    of_patches = jax.jit(build_model(PATCHES).apply)
    expected = [max(of_patches(variables, np.float32(windows_by_loop(image)))) for image in images]
    np.testing.assert_allclose(build_model(WHOLE).apply(variables, images), expected, rtol=1e-5)


def test_variables_are_those_of_the_network(images, variables):
    own = init_model(WHOLE, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, dict(variables))
    assert build_model(WHOLE).head == build_model(PATCHES).head


def test_training_goes_through_that_window_and_leaves_the_statistics(images, variables):
    network = build_model(WHOLE)

    def score(pixels, train):
        arguments = {"mutable": ["batch_stats"]} if train else {}
        found = network.apply(variables, pixels, train=train, **arguments)
        return (found[0].sum(), found[1]) if train else (found.sum(), None)

    (trained, statistics), gradient = jax.value_and_grad(score, has_aux=True)(images, True)
    (tested, _), expected = jax.value_and_grad(score, has_aux=True)(images, False)
    np.testing.assert_allclose(trained, tested, rtol=1e-6)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, statistics["batch_stats"], variables["batch_stats"])


@pytest.mark.parametrize("step", [0, 17])
def test_step_that_leaves_gaps_is_refused(step):
    with pytest.raises(ValueError, match="window_step"):
        TrainingConfig(window=16, window_step=step)
