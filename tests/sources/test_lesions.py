import numpy as np
import pytest
from scipy.ndimage import label as connected
from skimage.measure import regionprops

from mammo_jax.sources import lesions
from mammo_jax.sources.mammogram import Label

PITCH = 0.14


def draw(number: int, label: Label, share: float, pitch: float = PITCH, contrast: float = 1.0) -> lesions.Stamp:
    kind, form = np.random.default_rng(number), np.random.default_rng([number, 1])
    return lesions.draw_lesion(kind, form, label, pitch, contrast, share)


@pytest.mark.parametrize(("benign", "malignant"), [(0.19, 0.19), (0.5, 0.1), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("first", [0, 137])
def test_labels_keep_the_asked_shares_over_every_stretch(benign, malignant, first):
    drawn = [lesions.label_at(5, first + number, benign, malignant) for number in range(100)]
    assert drawn.count("malignant") == pytest.approx(100 * malignant, abs=2)
    assert drawn.count("benign") == pytest.approx(100 * benign, abs=2)


def test_another_seed_gives_other_labels():
    first, second = ([lesions.label_at(seed, number, 0.3, 0.3) for number in range(30)] for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("label", ["benign", "malignant"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_lesion_adds_exposure_inside_its_mask_only(label, share):
    for number in range(5):
        stamp = draw(number, label, share)
        assert stamp.exposure.dtype == np.float32
        assert stamp.exposure.shape[0] == stamp.exposure.shape[1]
        assert stamp.exposure.shape[0] % 2 == 1
        assert (stamp.exposure[~stamp.mask] == 0).all()
        assert (stamp.exposure >= 0).all()
        assert stamp.exposure.max() > 0.05
        if share == 0:
            assert (stamp.exposure[stamp.mask] > 0).all()


def test_a_mass_fades_out_at_its_mask():
    """There is no visible edge: the outermost pixels inside the mask are faint."""
    for label in ("benign", "malignant"):
        stamp = draw(1, label, 0.0)
        edge = stamp.mask & ~np.roll(stamp.mask, 1, 0)
        assert stamp.exposure[edge].max() < 0.25 * stamp.exposure.max()


def test_masses_differ_in_form_and_not_in_size_or_brightness():
    solidity = {}
    for label in ("benign", "malignant"):
        stamps = [draw(number, label, 0.0) for number in range(12)]
        solidity[label] = [regionprops(stamp.mask.astype(int))[0].solidity for stamp in stamps]
        solidity[label, "sum"] = [stamp.exposure.sum() * PITCH**2 for stamp in stamps]
    assert min(solidity["benign"]) > 0.95
    assert max(solidity["malignant"]) < 0.85
    np.testing.assert_allclose(solidity["benign", "sum"], solidity["malignant", "sum"], rtol=0.08)


def test_masses_have_the_documented_size_and_contrast():
    for number in range(20):
        stamp = draw(number, "benign", 0.0)
        radius = np.sqrt(stamp.mask.sum() / np.pi) * PITCH
        assert 0.7 * lesions.MASS_RADIUS[0] < radius < 1.15 * lesions.MASS_RADIUS[1]
        mean = stamp.exposure[stamp.mask].mean()
        assert 0.8 * lesions.MASS_CONTRAST[0] < mean < 1.8 * lesions.MASS_CONTRAST[1]


def test_clusters_are_coarse_and_round_or_fine_and_long():
    fine_pitch = 0.04
    for number in range(6):
        grains_by_label = {}
        for label in ("benign", "malignant"):
            stamp = draw(number, label, 1.0, fine_pitch)
            grains, count = connected(stamp.exposure > 0.08)
            assert count >= 5
            grains_by_label[label] = regionprops(grains)
            extent = np.ptp(np.argwhere(stamp.mask), axis=0).max() * fine_pitch
            assert 3 < extent < 18
        size = {
            key: np.median([grain.equivalent_diameter_area for grain in grains])
            for key, grains in grains_by_label.items()
        }
        assert 0.45 < size["benign"] * fine_pitch < 1.1
        assert 0.1 < size["malignant"] * fine_pitch < 0.55
        length = {key: np.median([grain.eccentricity for grain in grains]) for key, grains in grains_by_label.items()}
        assert length["malignant"] > length["benign"]


def test_contrast_scales_and_zero_is_nothing():
    one, half, none = (draw(3, "malignant", 0.0, contrast=contrast).exposure for contrast in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, one / 2, rtol=1e-5)
    assert not none.any()


def test_the_same_lesion_shows_alike_at_every_pitch():
    coarse, fine = (draw(7, "benign", 0.0, pitch) for pitch in (0.28, 0.07))
    assert coarse.mask.sum() * 0.28**2 == pytest.approx(fine.mask.sum() * 0.07**2, rel=0.05)
    assert coarse.exposure.max() == pytest.approx(fine.exposure.max(), rel=0.05)


def test_a_null_lesion_is_blended_and_leaves_nothing():
    stamp = draw(2, "normal", 0.5)
    image = np.full((300, 300), 0.25, np.float32)
    assert lesions.plant(image, stamp, 150, 150) is None
    assert (image == np.float32(0.25)).all()
    assert not stamp.mask.any()


@pytest.mark.parametrize(("row", "column"), [(200, 180), (3, 5), (399, 359)])
def test_planting_says_where_the_lesion_is(row, column):
    image = np.zeros((400, 360), np.float32)
    lesion = lesions.plant(image, draw(1, "malignant", 0.0), row, column, scale=1000)
    assert lesion is not None
    assert (lesion.row, lesion.column, lesion.label) == (row, column, "malignant")
    assert (image[lesion.mask] > 0).all()
    assert (image[~lesion.mask] == 0).all()
    y, x = np.nonzero(lesion.mask)
    assert np.hypot(y - row, x - column).max() <= lesion.radius


def test_spicules_match_a_whole_array_reference():
    y, x = np.mgrid[-40:41, -40:41] * np.float32(0.5)
    distance, angle = np.hypot(y, x), np.arctan2(y, x)
    radius = 8.0
    spicules = lesions._draw_spicules(np.random.default_rng(2), radius)
    expected = np.zeros(distance.shape)
    for direction, bend, reach, width, strength in zip(*spicules):
        turn = angle - direction - bend * (distance / radius - 1)
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        taper = np.clip(1 - (distance - 0.4 * radius) / (reach - 0.4 * radius), 0, 1)
        across = distance * np.sin(turn) / (width * (0.4 + 0.6 * taper))
        line = strength * np.sqrt(taper) * np.exp(-(across**2))
        shown = (distance >= 0.4 * radius) & (distance < reach) & (np.abs(turn) <= 0.6) & (np.abs(across) < 3)
        expected = np.maximum(expected, np.where(shown, line, 0))
    got = lesions._spicules(distance, angle, radius, *spicules)
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_grains_hold_the_volume_of_their_ellipsoids():
    """The sum of a grain's exposure over the plane is its volume, (4/3) π times its three half axes."""
    centre, diameter = np.array([[0.3, -0.7], [2.0, 1.5]]), np.array([0.8, 0.3])
    ratio, tilt = np.array([1.0, 3.0]), np.array([0.2, 1.0])
    image = lesions._grains(40, 0.14, centre, diameter, ratio, tilt, 1.0)
    volume = 4 / 3 * np.pi * (diameter / 2) ** 3
    assert image.sum() * 0.14**2 == pytest.approx(volume.sum(), rel=0.03)
    weight = image / image.sum()
    y, x = np.mgrid[-40:41, -40:41] * 0.14
    middle = (centre * volume[:, None]).sum(axis=0) / volume.sum()
    assert (y * weight).sum() == pytest.approx(middle[0], abs=0.02)
    assert (x * weight).sum() == pytest.approx(middle[1], abs=0.02)
