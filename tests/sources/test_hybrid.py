import pickle
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mammo_jax.sources import Mammogram, SourceError
from mammo_jax.sources.hybrid import Hybrid
from mammo_jax.sources.mias import Mias
from mammo_jax.sources.phantom import Phantom


@dataclass(frozen=True)
class Films:
    """Phantoms that resemble scanned films: 8 bit, a bright label in the background, pitch and view unknown."""

    phantom: Phantom

    def __len__(self):
        return len(self.phantom)

    def patients(self):
        return self.phantom.patients()

    def labels(self):
        return self.phantom.labels()

    def table(self):
        return self.phantom.table()

    def __getitem__(self, index):
        image = self.phantom[index]
        pixels = (image.pixels >> 4).astype(np.uint8)
        beside = slice(-60, -20) if image.laterality == "L" else slice(20, 60)
        pixels[300:380, beside] = 255
        return replace(image, pixels=pixels, bits_stored=8, pixel_pitch=None, view=None)


PHANTOM = Phantom(images=16, seed=2, rows=416, columns=320, pixel_pitch=0.56)
FILMS = Films(PHANTOM)
HYBRID = Hybrid(FILMS, seed=5, plantings=3, benign=0.3, malignant=0.3, pixel_pitch=0.56)


def site_of(image: Mammogram) -> tuple[float, float]:
    return (image.lesions[0].row, image.lesions[0].column) if image.lesions else image.null_sites[0]


def test_every_normal_image_is_planted_several_times_and_keeps_its_patient():
    normals = [index for index, label in enumerate(FILMS.labels()) if label == "normal"]
    assert len(HYBRID) == 3 * len(normals)
    for number, image in enumerate(HYBRID):
        base = FILMS[normals[number // 3]]
        assert image.image_id == f"{base.image_id}-p{number % 3}"
        assert image.patient_id == base.patient_id == HYBRID.patients()[number]
        assert image.label == HYBRID.labels()[number]
        assert (image.bits_stored, image.pixel_pitch, image.laterality) == (8, 0.56, base.laterality)


def test_pixels_change_inside_the_lesion_and_nowhere_else():
    normals = HYBRID.normals
    for number, image in enumerate(HYBRID):
        base = FILMS[normals[number // 3]]
        changed = image.pixels != base.pixels
        if image.label == "normal":
            assert not changed.any()
            assert len(image.null_sites) == 1
            assert not image.lesions
        else:
            assert not image.null_sites
            assert not changed[~image.lesions[0].mask].any()
            assert changed[image.lesions[0].mask].any()
            assert (image.pixels >= base.pixels).all()


def test_twelve_bits_keep_their_range():
    source = Hybrid(PHANTOM, seed=1, plantings=1, benign=0.0, malignant=1.0, contrast=20.0, calcification_share=1.0)
    image = source[0]
    assert image.pixels.dtype == np.uint16
    assert image.pixels.max() == 4095


def test_classes_are_balanced_as_asked():
    many = Hybrid(Phantom(images=400, seed=1), plantings=4, benign=0.25, malignant=0.25)
    count = Counter(many.labels())
    assert count["benign"] / len(many) == pytest.approx(0.25, abs=0.01)
    assert count["malignant"] / len(many) == pytest.approx(0.25, abs=0.01)


def test_sites_do_not_depend_on_the_label_and_lie_in_the_breast():
    other = replace(HYBRID, benign=0.0, malignant=0.0)
    for image, null in zip(HYBRID, other):
        row, column = site_of(image)
        assert (row, column) == null.null_sites[0]
        around = FILMS.phantom[HYBRID.normals[0]].pixels.shape
        assert 16 / 0.56 - 2 <= row <= around[0] - 16 / 0.56 + 2
        square = null.pixels[int(row) - 14 : int(row) + 15, int(column) - 14 : int(column) + 15]
        assert square.min() > 20, "no air and no film edge within 8 mm"
        assert square.mean() < 255, "not on the label"


def test_sites_avoid_the_muscle():
    mlo = [image for image in HYBRID if image.image_id.split("-")[-2].endswith("MLO")]
    assert mlo
    for image in mlo:
        row, column = site_of(image)
        away = column if image.laterality == "L" else 319 - column
        assert row / 416 + away / 320 > 0.2


def test_an_image_depends_on_seed_and_index_alone():
    again = pickle.loads(pickle.dumps(HYBRID))  # noqa: S301
    for number in (7, 2, 7):
        assert (again[number].pixels == HYBRID[number].pixels).all()
    assert [site_of(image) for image in replace(HYBRID, seed=6)] != [site_of(i) for i in HYBRID]


def test_a_base_of_lesions_is_refused():
    with pytest.raises(SourceError, match="no image labelled normal"):
        Hybrid(Hybrid(PHANTOM, benign=0.0, malignant=1.0))


def test_an_unknown_pitch_is_refused():
    with pytest.raises(SourceError, match="pixel_pitch"):
        Hybrid(FILMS)[0]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"plantings": 0}, "plantings"),
        ({"seed": -1}, "seed"),
        ({"benign": 0.7, "malignant": 0.4}, "at most 1"),
        ({"contrast": -1.0}, "contrast"),
    ],
)
def test_invalid_settings_are_refused(wrong, named):
    with pytest.raises(SourceError, match=named):
        replace(HYBRID, **wrong)


def test_a_breast_without_room_is_named():
    tiny = Hybrid(FILMS, pixel_pitch=0.05)
    with pytest.raises(SourceError, match=r"phantom-2-\d+-.*no room"):
        tiny[0]


def test_real_films(shared_data):
    source = Hybrid(Mias(shared_data / "mini-mias"), seed=1, plantings=2)
    assert len(source) == 2 * 207
    for number in (0, 1, 37, 138, 300):
        image, base = source[number], source.base[source.normals[number // 2]]
        mask = image.lesions[0].mask if image.lesions else np.zeros(image.pixels.shape, bool)
        assert (image.pixels[~mask] == base.pixels[~mask]).all()
        assert (image.pixels[mask] != base.pixels[mask]).any() == bool(image.lesions)


def test_the_table_has_the_ids_and_labels_of_the_images():
    rows = [(row["image_id"], row["patient_id"], row["label"]) for row in HYBRID.table()]
    images = [HYBRID[index] for index in range(6)]
    assert rows[:6] == [(image.image_id, image.patient_id, image.label) for image in images]
