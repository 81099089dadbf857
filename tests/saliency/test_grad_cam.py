import flax.linen as nn
import jax
import numpy as np
import pytest

from mammo_jax.models.cnn import CNN
from mammo_jax.saliency.grad_cam import feature_layers, grad_cam


class Small(nn.Module):
    """The last feature map is the second convolution's output."""

    @nn.compact
    def __call__(self, images):
        x = nn.relu(nn.Conv(3, (3, 3), name="first")(images))
        x = nn.relu(nn.Conv(4, (3, 3), strides=2, name="second")(x))
        return nn.Dense(1, name="head")(x.reshape(len(x), -1))[:, 0]


def test_against_the_definition_written_out():
    images = np.random.default_rng(0).normal(size=(40, 16, 12, 1)).astype(np.float32)  # more than one batch
    module = Small()
    variables = jax.jit(module.init)(jax.random.key(0), images)
    convolve = nn.Conv(4, (3, 3), strides=2)

    def features(image):
        first = nn.relu(nn.Conv(3, (3, 3)).apply({"params": variables["params"]["first"]}, image[None]))
        return nn.relu(convolve.apply({"params": variables["params"]["second"]}, first))

    def head(activations):
        return nn.Dense(1).apply({"params": variables["params"]["head"]}, activations.reshape(1, -1))[0, 0]

    maps = grad_cam(module, variables, images)
    assert maps.shape == (40, 16, 12)
    for index in (0, 33, 39):
        activations = features(images[index])
        # Where the ReLU is active, the gradient of its output is that of its input.
        gradient = jax.grad(lambda x: head(nn.relu(x)))(activations) * (activations > 0)
        cam = np.maximum((np.asarray(gradient).mean((1, 2), keepdims=True) * activations).sum(-1), 0)
        expected = jax.image.resize(cam, (1, 16, 12), "bilinear")
        np.testing.assert_allclose(maps[index], expected[0], atol=1e-6)
    assert maps.max() > 0


def test_the_last_feature_map_of_the_studys_network():
    module = CNN(filters=(2, 3, 4))
    images = np.zeros((2, 32, 32, 1), np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), images)
    name, shape = feature_layers(module, variables, images)[-1]
    assert name == ("MaskedBatchNorm_2",)
    assert shape.shape == (2, 8, 8, 4)


def test_a_network_without_feature_maps_is_refused():
    class Flat(nn.Module):
        @nn.compact
        def __call__(self, images):
            return nn.Dense(1)(images.reshape(len(images), -1))[:, 0]

    images = np.zeros((1, 4, 4, 1), np.float32)
    variables = Flat().init(jax.random.key(0), images)
    with pytest.raises(ValueError, match="Flat: no submodule returns a feature map"):
        grad_cam(Flat(), variables, images)
