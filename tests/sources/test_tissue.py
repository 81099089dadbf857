import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, map_coordinates

from mammo_jax.sources import tissue

HEIGHT, WIDTH = 233.0, 179.0


def breast(number: int, view: str = "CC") -> tissue.Breast:
    return tissue.draw_breast(np.random.default_rng(number), np.random.default_rng([number, 1]), view, HEIGHT)


def spectral_exponent(image: np.ndarray, pitch: float, low: float, high: float) -> float:
    """Return the exponent of the radially averaged power spectrum between two frequencies in cycles/mm."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, pitch) for n in image.shape), indexing="ij"))
    edges = np.geomspace(low, high, 13)
    ring = np.digitize(frequency, edges)
    mean = [power[ring == k].mean() for k in range(1, 13)]
    slope, _ = np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), np.log(mean), 1)
    return -slope


@pytest.mark.parametrize("beta", [2.0, 3.0])
def test_power_law_field_has_the_asked_spectrum(beta):
    field = tissue.power_law_field(np.random.default_rng(0), (300, 240), beta)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 1e-3
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert spectral_exponent(field, 0.28, 0.05, 1.0) == pytest.approx(beta, abs=0.25)


def test_parenchyma_has_the_power_law_of_mammograms():
    """Burgess measured exponents from 1.5 to 3.5 with a mean of 2.8 over normal mammograms."""
    measured = []
    for number in range(6):
        case = breast(number)
        where = tissue.geometry(case, HEIGHT, WIDTH)
        image = tissue.log_exposure(case, where, np.random.default_rng(number), (832, 640), 0.28, 3.0)
        row = round(case.nipple / 0.28)
        measured.append(spectral_exponent(image[row - 75 : row + 75, 36:186], 0.28, 0.1, 1.0))
    assert min(measured) > 1.5
    assert max(measured) < 3.7
    assert 2.3 < np.mean(measured) < 3.3


@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_distance_to_skin_is_that_of_its_own_outline(view):
    step = 0.4
    rows, columns = np.arange(0, HEIGHT, step), np.arange(0, WIDTH, step)
    skin = tissue.distance_to_skin(breast(3, view), rows, columns)
    inside = np.pad(skin > 0, ((200, 200), (300, 0)), mode="edge")  # the chest wall and the ends are no skin
    expected = distance_transform_edt(inside)[200:-200, 300:] * step
    assert np.abs(np.minimum(expected, tissue.MAX_DEPTH) - skin)[skin > 0].max() < 1.6 * step
    assert skin.min() == -skin.max() == -tissue.MAX_DEPTH
    assert 0.1 < (skin > 0).mean() < 0.8


def test_the_nipple_is_where_the_breast_says():
    case = breast(5)
    rows, columns = np.arange(0, HEIGHT, 0.5), np.arange(0, WIDTH, 0.5)
    inside = tissue.distance_to_skin(case, rows, columns) > 0
    furthest = np.flatnonzero(inside.any(axis=0))[-1]
    assert columns[furthest] == pytest.approx(case.depth + 4, abs=2)
    assert rows[inside[:, furthest]].mean() == pytest.approx(case.nipple, abs=2)


def test_only_mlo_shows_the_muscle():
    for view, shown in (("CC", False), ("MLO", True)):
        where = tissue.geometry(breast(1, view), HEIGHT, WIDTH)
        assert (where.muscle > 0).any() == shown
    assert (where.skin[where.muscle > 0] > 0).all(), "the muscle lies inside the breast"


def test_views_of_a_patient_share_size_and_density():
    views = [
        tissue.draw_breast(np.random.default_rng(1), np.random.default_rng([1, k]), "CC", HEIGHT) for k in range(2)
    ]
    assert views[0].thickness == views[1].thickness
    assert views[0].depth == pytest.approx(views[1].depth, rel=0.11)
    assert views[0] != views[1]


def test_air_is_outside_and_only_outside():
    case = breast(2, "MLO")
    where = tissue.geometry(case, HEIGHT, WIDTH)
    image = tissue.log_exposure(case, where, np.random.default_rng(0), (416, 320), 0.56, 3.0)
    skin = tissue.distance_to_skin(case, np.arange(416) * 0.56, np.arange(320) * 0.56)
    assert image.dtype == np.float32
    assert (image[skin < -0.3] == tissue.AIR).all()
    assert (image[skin > 0.3] > -2).all()


def test_bilinear_is_scipys():
    grid = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float32)
    places = np.random.default_rng(1).uniform(-1, 9, (2, 200))
    got = [tissue._bilinear(grid, *place) for place in places.T]
    np.testing.assert_allclose(got, map_coordinates(grid, places, order=1, mode="nearest"), atol=0.01)


def test_compose_matches_a_whole_array_reference():
    rng = np.random.default_rng(4)
    lobes, strands, texture = rng.normal(size=(3, 60, 50)).astype(np.float32)
    skin, envelope, muscle = rng.normal(size=(3, 20, 20)).astype(np.float32)
    skin, envelope, muscle = 4 * skin, np.abs(envelope), 3 * muscle
    step, nipple, depth, gland = 0.28, 8.0, 10.0, 2.0
    got = tissue._compose(lobes, strands, texture, skin, envelope, muscle, step, nipple, depth, gland)
    y, x = np.mgrid[:60, :50] * step

    def read(grid, row, column):
        return map_coordinates(grid, [row, column], order=1, mode="nearest")

    at = y / tissue.COARSE_STEP, x / tissue.COARSE_STEP
    wall = read(envelope, *at)
    lobe = 1 / (1 + np.exp(-1.8 * (lobes + 2.8 * wall - 1.2)))
    across = ((np.arctan2(y - nipple, depth + 15 - x) + 1.6) * 90 / step + 0.5 * texture) % 58
    along = (0.4 * np.hypot(y - nipple, x - depth - 15) / step) % 48
    strand = np.exp(-12 * np.abs(read(strands, across, along))) * np.clip(0.6 + 0.5 * lobes, 0, 1.5)
    value = lobe * wall * gland * (1 + 0.25 * texture) + 0.04 * texture + strand * (0.06 + 0.1 * wall)
    bright = 1 / (1 + np.exp(-1.2 * read(muscle, *at)))
    value = value * (1 - 0.75 * bright) + bright * (0.62 + 0.03 * texture)
    np.testing.assert_allclose(got, np.where(read(skin, *at) < -2, 0, value), atol=2e-3)


def test_spread_matches_a_whole_array_reference():
    rng = np.random.default_rng(5)
    fine, skin = rng.normal(size=(40, 30)).astype(np.float32), 5 * rng.normal(size=(12, 10)).astype(np.float32)
    got = tissue._interpolate(fine, skin, 70, 50, 0.14, 0.28, tissue.AIR)
    y, x = np.mgrid[:70, :50] * 0.14
    distance = map_coordinates(skin, [y / tissue.COARSE_STEP, x / tissue.COARSE_STEP], order=1, mode="nearest")
    rim = -0.55 * np.exp(-distance / 3.5) + 0.1 * np.exp(-(((distance - 0.9) / 0.8) ** 2))
    value = rim + map_coordinates(fine, [y / 0.28, x / 0.28], order=1, mode="nearest")
    np.testing.assert_allclose(got, np.where(distance <= 0, tissue.AIR, value), atol=1e-3)
