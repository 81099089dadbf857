"""Headers are read without pixels, and what they show wrong names no file."""

import numpy as np
import pytest
from PIL import Image

from mammo_jax.dataset.units import UnitConfig
from mammo_jax.planning.errors import PlanError
from mammo_jax.planning.images import check_images, check_samples
from mammo_jax.sources.folder import Folder
from mammo_jax.sources.phantom import Phantom
from mammo_jax.sources.stored_pixels import read_pixels, read_size

WHOLE = UnitConfig(unit="whole", target="malignant")


@pytest.fixture
def folder(tmp_path):
    """Six images, the second without an end, the third no image, the fourth missing."""
    image = np.zeros((60, 40), np.uint16)
    image[5:55, :30] = 1000 + np.arange(30)
    for number in range(6):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[:60])
    (tmp_path / "2.png").write_bytes(b"no image")
    (tmp_path / "3.png").unlink()
    lines = [f"{number}.png,P{number},{'malignant' if number % 2 else 'normal'}" for number in range(6)]
    (tmp_path / "images.csv").write_text("\n".join(["path,patient_id,label", *lines]))
    return Folder(tmp_path / "images.csv", plain_ids=True)


def test_headers_say_the_size_and_what_is_wrong_with_a_file(folder, tmp_path):
    checked = check_images(folder, WHOLE, "headers", 1)
    assert [image.size is None for image in checked] == [False, False, True, True, False, False]
    assert checked[0].size == (60, 40, 16)
    assert "is neither PNG" in checked[2].problem
    assert "cannot be read" in checked[3].problem
    assert not any(str(tmp_path) in image.problem or ".png" in image.problem for image in checked)


def test_pixels_show_what_headers_do_not(folder):
    checked = check_images(folder, WHOLE, "pixels", 1)
    assert [image.size is None for image in checked] == [False, True, True, True, False, False]
    assert "damaged" in checked[1].problem


def test_a_pitch_that_no_image_has_is_found_by_a_few_samples(folder):
    patches = UnitConfig(unit="patch")
    with pytest.raises(PlanError, match=r"3 of 3 images that were tried .*pixel_pitch is unknown.*--pixel-pitch"):
        check_samples(folder, patches, [0, 4, 5])
    check_samples(folder, UnitConfig(unit="patch", pixel_pitch=1.0), [0, 4, 5])
    check_samples(folder, WHOLE, [0, 1, 5])  # one is damaged, which says nothing of the others


def test_a_drawn_image_stands_for_all():
    source = Phantom(images=8, rows=104, columns=80, pixel_pitch=2.24)
    checked = check_images(source, WHOLE, "headers", 1)
    assert [image.size for image in checked] == [(104, 80, 16)] * 8


def test_the_size_in_the_header_is_that_of_the_pixels(tmp_path):
    for name, image in {"a.png": np.ones((7, 9), np.uint8), "b.tif": np.ones((5, 4), np.uint16)}.items():
        Image.fromarray(image).save(tmp_path / name)
    Image.fromarray(np.ones((16, 24), np.uint8)).save(tmp_path / "c.jpg")
    for name in ("a.png", "b.tif", "c.jpg"):
        pixels = read_pixels(tmp_path / name).pixels
        assert read_size(tmp_path / name) == (*pixels.shape, 8 * pixels.itemsize)
