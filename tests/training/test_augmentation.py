"""Augmentation: one of the symmetries of the square and a small affine change of grey levels, nothing else."""

import jax
import numpy as np

from mammo_jax.training.augmentation import MAX_JITTER, augment


def symmetries(image, square):
    rotations = [np.rot90(image, k) for k in range(4)] if square else [image, image[::-1, ::-1]]
    return [view for rotation in rotations for view in (rotation, rotation[:, ::-1])]


def check(image_shape):
    images = np.random.default_rng(0).normal(size=(64, *image_shape, 1)).astype(np.float32)
    changed = np.asarray(augment(images, jax.random.key(3)))
    assert changed.shape == images.shape
    drawn = set()
    for image, result in zip(images, changed):
        fits = []
        for number, view in enumerate(symmetries(image, image_shape[0] == image_shape[1])):
            (slope, shift), residual, *_ = np.polyfit(view.ravel(), result.ravel(), 1, full=True)
            fits.append((float(residual[0]), number, slope, shift))
        residual, number, slope, shift = min(fits)
        assert residual < 1e-6
        assert abs(slope - 1) <= MAX_JITTER + 1e-4
        assert abs(shift) <= MAX_JITTER + 1e-4
        drawn.add(number)
    return drawn


def test_a_square_image_gets_all_eight_symmetries():
    assert check((6, 6)) == set(range(8))


def test_other_images_are_only_flipped():
    assert check((4, 7)) == set(range(4))


def test_the_result_depends_on_the_key_and_rows_differ():
    images = np.ones((16, 4, 4, 1), np.float32)
    first, again, other = (np.asarray(augment(images, jax.random.key(k))) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first[:, 0, 0, 0])) == 16
