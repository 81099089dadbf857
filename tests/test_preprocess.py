import numpy as np
import pytest
from skimage.transform import downscale_local_mean

from mammo_jax.preprocess import breast_mask, find_framing, patch_view, to_record, whole_view


def half_disc(rows=400, columns=300, radius=150, noise=4.0):
    """Return an image of a bright half disc at the right edge and a bright label far from it, and the disc's mask."""
    grid_row, grid_column = np.ogrid[:rows, :columns]
    disc = (grid_row - rows / 2) ** 2 + (grid_column - columns) ** 2 <= radius**2
    image = np.where(disc, 900.0, 20.0) + np.random.default_rng(0).normal(0, noise, (rows, columns))
    image[10:40, 10:40] = 4000
    return np.clip(image, 0, 4095).astype(np.uint16), disc


def test_the_mask_has_the_breast_and_not_the_label():
    image, disc = half_disc()
    mask = breast_mask(image)
    assert (mask & disc).sum() / (mask | disc).sum() > 0.95
    assert not mask[10:40, 10:40].any()


def test_blank_image_is_all_breast():
    assert breast_mask(np.zeros((50, 40), np.uint8)).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (129, 5)])
def test_odd_shapes_are_segmented(shape):
    assert breast_mask(np.full(shape, 7, np.uint8)).shape == shape


def test_framing_faces_left():
    image, _ = half_disc()
    framing = find_framing(breast_mask(image))
    assert framing.mirrored
    assert not find_framing(breast_mask(image)[:, ::-1]).mirrored
    assert framing.position(framing.top, framing.right) == (0, 0)
    assert framing.position(framing.bottom, framing.left) == (1, 1)
    view = whole_view(image, framing, (64, 32))
    mirrored = whole_view(np.ascontiguousarray(image[:, ::-1]), find_framing(breast_mask(image)[:, ::-1]), (64, 32))
    assert np.abs(view - mirrored).mean() < 5  # the box filter rounds its edges one way
    assert view[:, 0].mean() > view[:, 31].mean()


def test_patch_is_the_local_mean():
    image = np.random.default_rng(1).integers(0, 4096, (200, 160)).astype(np.uint16)
    patch = patch_view(image, 100, 80, 64, 16, mirrored=False)
    np.testing.assert_allclose(patch, downscale_local_mean(image[68:132, 48:112].astype(float), (4, 4)), rtol=1e-5)
    np.testing.assert_array_equal(patch_view(image, 100, 80, 64, 16, mirrored=True), patch[:, ::-1])


def test_patch_at_the_border_is_moved_inside():
    image = np.random.default_rng(1).integers(0, 4096, (200, 160)).astype(np.uint16)
    np.testing.assert_allclose(
        patch_view(image, -5, 500, 64, 64, mirrored=False), image[:64, 96:].astype(np.float32), rtol=1e-6
    )


def test_zoom_keeps_the_scale_of_every_image():
    image, _ = half_disc()
    framing = find_framing(breast_mask(image))
    view = whole_view(image, framing, (400, 400), zoom=0.5)
    assert np.flatnonzero(view.any(1)).size == round((framing.bottom - framing.top) * 0.5)
    fitting = whole_view(image, framing, (40, 40), zoom=10.0)
    assert fitting[:, 0].all(), "a box larger than the canvas is made to fit"


def test_record_spans_the_stored_bits():
    view = np.array([[0.0, 4095.0, 2048.0, 5000.0, -3.0]], np.float32)
    np.testing.assert_array_equal(to_record(view, 12), [[0, 65535, 32776, 65535, 0]])
