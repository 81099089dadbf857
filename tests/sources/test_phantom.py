import io
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from mammo_jax.sources import SourceError
from mammo_jax.sources.phantom import VIEWS, Phantom

SMALL = Phantom(images=24, seed=7, rows=416, columns=320, pixel_pitch=0.56)


def pixels_of(source: Phantom, index: int) -> bytes:
    return source[index].pixels.tobytes()


def test_an_image_is_what_it_says():
    for index, image in enumerate(SMALL):
        assert image.pixels.shape == (416, 320)
        assert image.pixels.dtype == np.uint16
        assert image.pixels.max() < 4096
        assert (image.bits_stored, image.pixel_pitch) == (12, 0.56)
        assert (image.laterality, image.view) == VIEWS[index % 4]
        assert image.patient_id == f"phantom-7-{index // 4}" == SMALL.patients()[index]
        assert image.label == SMALL.labels()[index]
        near, far = image.pixels[:, :20].mean(), image.pixels[:, -20:].mean()
        assert (near > far) == (image.laterality == "L"), "the chest wall of a left breast is on the left"
    assert len({image.image_id for image in SMALL}) == len(SMALL)


def test_the_default_is_the_full_matrix():
    image = Phantom(images=1)[0]
    assert image.pixels.shape == (1664, 1280)


def test_lesions_and_null_sites():
    for image in SMALL:
        assert len(image.lesions) == (image.label != "normal")
        assert len(image.null_sites) == (image.label == "normal")
        for lesion in image.lesions:
            assert lesion.label == image.label
            assert lesion.mask.shape == image.pixels.shape
            assert lesion.mask.dtype == bool
            assert lesion.mask.any()
            assert np.median(image.pixels[lesion.mask]) > 400, "a lesion lies in the breast"


def test_an_image_depends_on_seed_and_index_alone():
    backwards = [pixels_of(SMALL, index) for index in reversed(range(8))][::-1]
    longer = replace(SMALL, images=400)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        elsewhere = list(pool.map(pixels_of, [SMALL] * 8, range(8)))
    assert backwards == elsewhere == [pixels_of(longer, index) for index in range(8)]
    assert longer.labels()[:24] == SMALL.labels()
    assert pixels_of(replace(SMALL, seed=8), 0) != backwards[0]
    assert len(set(backwards)) == 8


def test_pickling_is_cheap():
    assert len(pickle.dumps(Phantom(images=10_000))) < 1000


@pytest.mark.parametrize("images", [200, 700, 2000])
def test_prevalence_is_that_of_the_paper(images):
    labels = Phantom(images=images, seed=3).labels()
    for label, share in (("normal", 0.62), ("benign", 0.19), ("malignant", 0.19)):
        assert labels.count(label) / images == pytest.approx(share, abs=0.02)


def test_both_views_of_one_breast_show_the_lesion():
    labels = Phantom(images=400).labels()
    sides = []
    for first in range(0, 400, 4):
        left, right, left_mlo, right_mlo = labels[first : first + 4]
        assert (left, right) == (left_mlo, right_mlo)
        assert "normal" in (left, right)
        sides += ["L"] * (left != "normal") + ["R"] * (right != "normal")
    assert 0.35 < sides.count("L") / len(sides) < 0.65


def test_nothing_but_the_lesion_depends_on_the_label():
    """With another prevalence the images are the same except for the pixels of the lesions."""
    lesions = 0
    for share in ({"benign": 0.0, "malignant": 0.0}, {"benign": 0.5, "malignant": 0.0}):
        for image, other in zip(SMALL, replace(SMALL, **share)):
            mask = np.zeros(image.pixels.shape, bool)
            for lesion in image.lesions + other.lesions:
                mask |= lesion.mask
                lesions += 1
            assert (image.pixels[~mask] == other.pixels[~mask]).all()
            sites = [
                [(lesion.row, lesion.column) for lesion in one.lesions] + list(one.null_sites) for one in (image, other)
            ]
            assert sites[0] == sites[1]
    assert lesions > 10


def test_contrast_is_the_difficulty():
    index = SMALL.labels().index("malignant")
    none, weak, strong = (replace(SMALL, contrast=contrast)[index] for contrast in (0.0, 0.5, 1.0))
    mask = strong.lesions[0].mask
    added = [image.pixels[mask].astype(float) - none.pixels[mask] for image in (weak, strong)]
    assert 0 < 1.7 * added[0].mean() < added[1].mean()


def patch(image, side=64):
    place = image.lesions[0] if image.lesions else None
    row, column = (place.row, place.column) if place else image.null_sites[0]
    top = int(np.clip(row - side // 2, 0, image.pixels.shape[0] - side))
    left = int(np.clip(column - side // 2, 0, image.pixels.shape[1] - side))
    return image.pixels[top : top + side, left : left + side]


def png_bytes(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return len(file.getvalue())


@pytest.fixture(scope="module")
def shortcuts():
    """Brightness, encoded size and position of 500 images and of their patches."""
    rows = []
    for image in replace(SMALL, images=500, seed=1):
        window = patch(image)
        place = image.lesions[0] if image.lesions else None
        row, column = (place.row, place.column) if place else image.null_sites[0]
        rows.append(
            {
                "label": image.label,
                "mean of the image": image.pixels.mean(),
                "size of the breast": (image.pixels > 0).mean(),
                "PNG size of the image": png_bytes(image.pixels),
                "JPEG 2000 size of the image": len(imagecodecs.jpeg2k_encode(image.pixels, level=50)),
                "mean of the patch": window.mean(),
                "PNG size of the patch": png_bytes(np.ascontiguousarray(window)),
                "row of the site": row,
                "distance of the site from the chest wall": column if image.laterality == "L" else 319 - column,
            }
        )
    return rows


@pytest.mark.parametrize("positive", [("malignant",), ("benign", "malignant")])
def test_no_shortcut_tells_the_classes_apart(shortcuts, positive):
    truth = [row["label"] in positive for row in shortcuts]
    for name in shortcuts[0]:
        if name != "label":
            auroc = roc_auc_score(truth, [row[name] for row in shortcuts])
            assert max(auroc, 1 - auroc) <= 0.6, f"{name}: {auroc:.3f}"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"images": 0}, "images"),
        ({"seed": -1}, "seed"),
        ({"rows": 400, "pixel_pitch": 0.14}, "too small"),
        ({"benign": 0.4, "malignant": 0.2}, "at most 0.5"),
        ({"benign": -0.1}, "shares"),
        ({"contrast": -1.0}, "contrast"),
        ({"calcification_share": 1.5}, "calcification_share"),
        ({"beta": 9.0}, "beta"),
    ],
)
def test_invalid_settings_are_refused(wrong, named):
    with pytest.raises(SourceError, match=named):
        replace(SMALL, **wrong)


def test_the_table_has_the_ids_and_labels_of_the_images():
    rows = [(row["image_id"], row["patient_id"], row["label"]) for row in SMALL.table()]
    images = [SMALL[index] for index in range(6)]
    assert rows[:6] == [(image.image_id, image.patient_id, image.label) for image in images]


def test_there_is_no_image_beyond_the_last():
    with pytest.raises(IndexError):
        SMALL[24]
