import numpy as np
import pytest

from mammo_jax.saliency.baselines import baselines_for, blurred, network_inputs
from mammo_jax.saliency.integrated_gradients import integrated_gradients


@pytest.fixture
def images():
    levels = np.random.default_rng(0).normal(20000, 3000, (3, 32, 24, 1))
    levels[1] *= 2
    return levels.astype(np.uint16)


def test_baselines_are_in_the_units_of_their_own_image(images):
    inputs = network_inputs(images)
    mean, deviation = (getattr(images.astype(float), what)((1, 2, 3), keepdims=True) for what in ("mean", "std"))
    mean_image = images.mean(0)
    expected = {"black": 0.0, "blurred": blurred(images), "mean": mean_image}
    for name, levels in expected.items():
        baselines = baselines_for(images, name, mean_image)
        assert baselines.shape == inputs.shape
        assert baselines.dtype == np.float32
        np.testing.assert_allclose(
            baselines * deviation + mean, np.broadcast_to(levels, images.shape), rtol=1e-4, atol=0.1
        )
    np.testing.assert_allclose(inputs * deviation + mean, images, rtol=1e-4)


def test_maps_do_not_depend_on_exposure(images):
    """Twice the exposure gives the same map from black, because the units are the image's own."""
    halves, doubled = images[:1] // 2 * 2, images[:1] // 2 * 4

    def squares(_, x):
        return (x**2).sum((1, 2, 3))

    maps = [
        integrated_gradients(squares, None, network_inputs(levels), baselines_for(levels, "black")).maps
        for levels in (halves, doubled)
    ]
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-3, atol=1e-4)


def test_blur_removes_detail_and_keeps_the_level(images):
    smooth = blurred(images)
    assert (smooth.std((1, 2, 3)) < images.std((1, 2, 3)) / 5).all()
    np.testing.assert_allclose(smooth.mean((1, 2, 3)), images.mean((1, 2, 3)), rtol=0.02)


def test_unknown_baselines_and_a_missing_mean_image_are_refused(images):
    for name in ("white", "mean"):
        with pytest.raises(ValueError, match="black, blurred, mean"):
            baselines_for(images, name)
