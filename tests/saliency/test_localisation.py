"""Localisation measures against maps made by hand, scikit-learn, and chance by brute force."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu
from sklearn.metrics import average_precision_score

from mammo_jax.saliency.localisation import MEASURES, localize, smooth

SHAPE = (24, 30)


def square(row, column, side=6, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[row : row + side, column : column + side] = True
    return mask


@pytest.fixture
def breast():
    mask = np.ones(SHAPE, bool)
    mask[:, 26:] = False
    return mask


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE)


def reference(attributions, lesion, breast):
    """Every measure written out once more, one place at a time, from the definitions."""
    region = breast | lesion
    values, truth = smooth(attributions)[region], lesion[region]
    positive = np.maximum(values, 0)
    area = int(truth.sum())
    top = np.zeros(len(values), bool)
    top[np.argsort(-values, kind="stable")[:area]] = True
    otsu = positive > threshold_otsu(positive)

    def overlap(marked):
        both = (marked & truth).sum()
        return both / (marked | truth).sum(), 2 * both / (marked.sum() + truth.sum())

    return {
        "pointing_game": float(truth[np.argmax(values)]),
        "energy": positive[truth].sum() / positive.sum(),
        "iou_area": overlap(top)[0],
        "dice_area": overlap(top)[1],
        "iou_otsu": overlap(otsu)[0],
        "dice_otsu": overlap(otsu)[1],
        "average_precision": average_precision_score(truth, values),
    }


@pytest.mark.parametrize("seed", range(4))
def test_measures_are_what_their_definitions_say(seed, breast):
    lesion = square(5, 7 + 4 * seed)  # the last one reaches out of the breast
    attributions = noise(seed) + 0.3 * seed * lesion
    found = localize(attributions, lesion, breast)
    for name, value in reference(attributions, lesion, breast).items():
        assert found[name] == pytest.approx(value), name


def test_chance_is_the_mean_over_every_place_inside_the_breast(breast):
    lesion = square(10, 3)
    attributions = noise() + lesion
    found = localize(attributions, lesion, breast, positions=10_000)
    moved = [square(row, column) for row in range(SHAPE[0] - 5) for column in range(26 - 5)]
    assert found["positions"] == len(moved)
    expected = [reference(attributions, place, breast) for place in moved]
    for name in MEASURES:
        assert found[f"{name}_chance"] == pytest.approx(np.mean([values[name] for values in expected])), name


def test_drawn_places_estimate_the_same_chance(breast):
    lesion = square(10, 3)
    every, drawn = (localize(noise(), lesion, breast, positions=count) for count in (10_000, 150))
    assert drawn["positions"] == 150
    assert drawn == localize(noise(), lesion, breast, positions=150)
    for name in ("energy", "average_precision"):
        assert drawn[f"{name}_chance"] == pytest.approx(every[f"{name}_chance"], rel=0.15)


def test_a_perfect_map_gets_everything_and_chance_follows_the_area(breast):
    chances = []
    for side in (4, 8, 12):
        lesion = square(6, 6, side)
        edge = ndimage.distance_transform_edt(lesion) > 0
        found = localize(np.where(edge, 1.0, -1.0), lesion, breast, positions=10_000)
        assert found["pointing_game"] == 1
        assert found["dice_area"] > 0.9
        assert found["average_precision"] > 0.9
        chances.append(found["energy_chance"])
    assert chances[0] < chances[1] < chances[2]


def test_a_map_elsewhere_gets_less_than_chance(breast):
    found = localize(square(16, 18).astype(float), square(2, 2), breast, positions=10_000)
    for name in MEASURES:
        assert found[name] < found[f"{name}_chance"], name


def test_what_lies_outside_of_the_breast_does_not_count(breast):
    lesion = square(5, 5)
    attributions = smooth(noise()) * breast
    far = attributions.copy()
    far[:, 29] = 0.0
    louder = far.copy()
    louder[:, 29] = 1e-3  # reaches the breast through the smoothing by less than rounding
    a, b = localize(far, lesion, breast), localize(louder, lesion, breast)
    assert a["energy"] == pytest.approx(b["energy"], rel=1e-3)


def test_a_blank_map_marks_nothing(breast):
    found = localize(np.zeros(SHAPE), square(5, 5), breast)
    assert found["pointing_game"] == found["energy"] == found["iou_otsu"] == 0
    assert found["energy_chance"] == found["pointing_game_chance"] == 0
    prevalence = 36 / breast.sum()
    assert found["average_precision"] == pytest.approx(prevalence)
    negative = localize(np.full(SHAPE, -1.0), square(5, 5), breast)
    assert negative["energy"] == 0


def test_tied_values_are_one_threshold_as_in_scikit_learn(monkeypatch):
    monkeypatch.setattr("mammo_jax.saliency.localisation.SMOOTHING", 0)
    everywhere = np.ones(SHAPE, bool)
    for seed in range(20):
        random = np.random.default_rng(seed)
        lesion = square(*random.integers(0, 18, 2), side=int(random.integers(1, 6)))
        attributions = random.integers(0, 5, SHAPE).astype(float)
        expected = average_precision_score(lesion.ravel(), attributions.ravel())
        assert localize(attributions, lesion, everywhere)["average_precision"] == pytest.approx(expected)


def test_a_missing_lesion_and_unlike_shapes_are_refused(breast):
    with pytest.raises(ValueError, match="no lesion"):
        localize(noise(), np.zeros(SHAPE, bool), breast)
    with pytest.raises(ValueError, match="shapes differ"):
        localize(noise(), square(1, 1), breast[:5])
