"""The network: its layers, the image sizes that it accepts, and the independence of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models.cnn import CNN


@pytest.fixture(scope="module")
def variables():
    return CNN((4, 8, 8)).init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))


def images(count, rows=32, columns=32):
    return jnp.asarray(np.random.default_rng(1).normal(size=(count, rows, columns, 1)), jnp.float32)


def test_three_convolutional_and_three_fully_connected_layers(variables):
    shapes = {name: layer["kernel"].shape for name, layer in variables["params"].items() if "kernel" in layer}
    assert shapes == {
        "Conv_0": (3, 3, 1, 4),
        "Conv_1": (3, 3, 4, 8),
        "Conv_2": (3, 3, 8, 8),
        "Dense_0": (128, 128),
        "Dense_1": (128, 32),
        "Dense_2": (32, 1),
    }


@pytest.mark.parametrize("size", [(32, 32), (47, 61), (128, 96), (8, 8)])
def test_one_network_takes_images_of_any_size(variables, size):
    logits = CNN((4, 8, 8)).apply(variables, images(2, *size))
    assert logits.shape == (2,)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()


def test_rows_are_predicted_independently(variables):
    model, batch = CNN((4, 8, 8)), images(5)
    alone = jnp.concatenate([model.apply(variables, batch[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(model.apply(variables, batch), alone, rtol=1e-4, atol=1e-6)


def test_padded_rows_change_nothing_in_training(variables):
    model, batch = CNN((4, 8, 8)), images(5)
    padded = jnp.concatenate([batch, jnp.full((3, 32, 32, 1), 50.0)])
    logits, stats = model.apply(variables, batch, train=True, mutable=["batch_stats"])
    again, padded_stats = model.apply(variables, padded, train=True, mask=jnp.arange(8) < 5, mutable=["batch_stats"])
    np.testing.assert_allclose(again[:5], logits, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), padded_stats, stats)
