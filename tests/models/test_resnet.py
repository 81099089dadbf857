"""ResNet18: torchvision's names and shapes, and repeated grey images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mammo_jax.models.pretrained import to_torch
from mammo_jax.models.resnet import ResNet18


@pytest.fixture(scope="module")
def shapes():
    variables = jax.eval_shape(ResNet18().init, jax.random.key(0), jnp.zeros((1, 64, 64, 1)))
    return {name: array.shape for name, array in to_torch(jax.tree.map(lambda a: np.zeros(a.shape), variables)).items()}


def test_names_and_shapes_are_torchvisions(shapes):
    # torchvision 0.21, resnet18: 11 689 512 parameters with 1000 classes and three channels.
    parameters = sum(np.prod(shape) for name, shape in shapes.items() if "running" not in name)
    assert parameters == 11_689_512 - (1000 * 513 - 513) - 2 * 64 * 49
    assert len(shapes) == 20 + 20 * 4 + 2  # convolutions, batch norms, the last layer
    assert shapes["conv1.weight"] == (64, 1, 7, 7)
    assert shapes["layer1.0.conv2.weight"] == (64, 64, 3, 3)
    assert shapes["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert shapes["layer3.1.bn2.running_var"] == (256,)
    assert shapes["layer4.0.downsample.1.bias"] == (512,)
    assert shapes["fc.weight"] == (1, 512)
    assert not any(name.startswith("layer1.0.downsample") for name in shapes)


def test_repeating_the_image_is_summing_the_kernel():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 32, 32, 1)), jnp.float32)
    three = ResNet18(channels=3)
    variables = three.init(jax.random.key(1), images)
    kernel = variables["params"]["conv1"]["kernel"]
    assert kernel.shape == (7, 7, 3, 64)
    summed = {**variables["params"], "conv1": {"kernel": kernel.sum(2, keepdims=True)}}
    expected = ResNet18().apply({**variables, "params": summed}, images)
    np.testing.assert_allclose(three.apply(variables, images), expected, rtol=1e-4, atol=1e-5)
