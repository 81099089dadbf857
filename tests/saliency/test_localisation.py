"""Localisation measures compared with simple maps, scikit-learn, and chance by brute force."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu
from sklearn.metrics import average_precision_score

from mammo_jax.saliency.localisation import MEASURES, localise, smooth

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
    """Compute every measure from its definition, for one position."""
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
def test_measures_agree_with_their_definitions(seed, breast):
    lesion = square(5, 7 + 4 * seed)  # the last one extends beyond the breast
    attributions = noise(seed) + 0.3 * seed * lesion
    measures = localise(attributions, lesion, breast)
    for name, value in reference(attributions, lesion, breast).items():
        assert measures[name] == pytest.approx(value), name


def test_chance_is_the_mean_over_all_positions_inside_the_breast(breast):
    lesion = square(10, 3)
    attributions = noise() + lesion
    measures = localise(attributions, lesion, breast, positions=10_000)
    moved = [square(row, column) for row in range(SHAPE[0] - 5) for column in range(26 - 5)]
    assert measures["positions"] == len(moved)
    expected = [reference(attributions, shifted, breast) for shifted in moved]
    for name in MEASURES:
        assert measures[f"{name}_chance"] == pytest.approx(np.mean([values[name] for values in expected])), name


def test_drawn_positions_estimate_the_same_chance(breast):
    lesion = square(10, 3)
    every, drawn = (localise(noise(), lesion, breast, positions=count) for count in (10_000, 150))
    assert drawn["positions"] == 150
    assert drawn == localise(noise(), lesion, breast, positions=150)
    for name in ("energy", "average_precision"):
        assert drawn[f"{name}_chance"] == pytest.approx(every[f"{name}_chance"], rel=0.15)


def test_a_perfect_map_has_the_highest_measures_and_chance_grows_with_the_area(breast):
    chances = []
    for side in (4, 8, 12):
        lesion = square(6, 6, side)
        edge = ndimage.distance_transform_edt(lesion) > 0
        measures = localise(np.where(edge, 1.0, -1.0), lesion, breast, positions=10_000)
        assert measures["pointing_game"] == 1
        assert measures["dice_area"] > 0.9
        assert measures["average_precision"] > 0.9
        chances.append(measures["energy_chance"])
    assert chances[0] < chances[1] < chances[2]


def test_a_map_outside_the_lesion_has_measures_below_chance(breast):
    measures = localise(square(16, 18).astype(float), square(2, 2), breast, positions=10_000)
    for name in MEASURES:
        assert measures[name] < measures[f"{name}_chance"], name


def test_pixels_outside_the_breast_do_not_count(breast):
    lesion = square(5, 5)
    attributions = smooth(noise()) * breast
    far = attributions.copy()
    far[:, 29] = 0.0
    brighter = far.copy()
    brighter[:, 29] = 1e-3  # the smoothing spreads less than a rounding error of it into the breast
    a, b = localise(far, lesion, breast), localise(brighter, lesion, breast)
    assert a["energy"] == pytest.approx(b["energy"], rel=1e-3)


def test_the_measures_of_a_blank_map(breast):
    measures = localise(np.zeros(SHAPE), square(5, 5), breast)
    assert measures["pointing_game"] == measures["energy"] == measures["iou_otsu"] == 0
    assert measures["energy_chance"] == measures["pointing_game_chance"] == 0
    prevalence = 36 / breast.sum()
    assert measures["average_precision"] == pytest.approx(prevalence)
    negative = localise(np.full(SHAPE, -1.0), square(5, 5), breast)
    assert negative["energy"] == 0


def test_tied_values_are_one_threshold_as_in_scikit_learn(monkeypatch):
    monkeypatch.setattr("mammo_jax.saliency.localisation.SMOOTHING", 0)
    everywhere = np.ones(SHAPE, bool)
    for seed in range(20):
        random = np.random.default_rng(seed)
        lesion = square(*random.integers(0, 18, 2), side=int(random.integers(1, 6)))
        attributions = random.integers(0, 5, SHAPE).astype(float)
        expected = average_precision_score(lesion.ravel(), attributions.ravel())
        assert localise(attributions, lesion, everywhere)["average_precision"] == pytest.approx(expected)


def test_a_missing_lesion_and_unlike_shapes_are_refused(breast):
    with pytest.raises(ValueError, match="no lesion"):
        localise(noise(), np.zeros(SHAPE, bool), breast)
    with pytest.raises(ValueError, match="shapes differ"):
        localise(noise(), square(1, 1), breast[:5])
