import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from mammo_jax.dataset import matching
from mammo_jax.dataset.matching import Survey, match_normals, survey_image
from mammo_jax.dataset.units import UnitConfig
from mammo_jax.sources import Lesion, Mammogram, SourceError

CONFIG = UnitConfig(patch_mm=10, target="lesion")


def images(count=24, seed=0):
    """Yield breasts that are brighter at the bottom, where the lesions are: unmatched patches could be recognised."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        level = np.linspace(300, 1500, 400)[:, None] + generator.normal(0, 30, (400, 300))
        pixels = np.zeros((400, 300))
        pixels[20:380, :220] = level[20:380, :220]
        lesions = ()
        if number % 3 == 0:
            row, column = generator.uniform(230, 330), generator.uniform(50, 150)
            lesions = (Lesion(row, column, 12.0, "benign"),)
        yield Mammogram(
            pixels=pixels.clip(0, 4095).astype(np.uint16),
            bits_stored=12,
            image_id=f"i{number}",
            patient_id=f"p{number}",
            label="benign" if lesions else "normal",
            pixel_pitch=0.2,
            lesions=lesions,
        )


def test_matched_normals_share_position_and_brightness_with_the_lesions():
    surveys = [survey_image(image, CONFIG, seed=0) for image in images()]
    chosen = match_normals(surveys, per_lesion=2)
    lesions = np.concatenate([survey.lesions for survey in surveys])
    matched, candidates = [], np.concatenate([survey.candidates for survey in surveys])
    for survey in surveys:
        for site in chosen.get(survey.image_id, []):
            matched.append(survey.candidates[np.flatnonzero((survey.centres == site).all(1))[0]])
    assert len(matched) == 2 * len(lesions)
    for column in (0, 2):  # along the chest wall, and mean grey level
        assert separation(lesions, candidates, column) > 0.2
        assert separation(lesions, np.array(matched), column) < 0.1


def separation(lesions, normals, column):
    truth = np.r_[np.ones(len(lesions)), np.zeros(len(normals))]
    return abs(roc_auc_score(truth, np.r_[lesions[:, column], normals[:, column]]) - 0.5)


def test_sites_keep_their_distance_from_lesions_and_from_each_other():
    for image in images():
        survey = survey_image(image, CONFIG, seed=3)
        for lesion in image.lesions:
            distance = np.hypot(*(survey.centres - (lesion.row, lesion.column)).T)
            assert (distance > lesion.radius + 50 / np.sqrt(2)).all()
        gaps = np.hypot(*(survey.centres[:, None] - survey.centres[None]).transpose(2, 0, 1))
        assert (gaps[~np.eye(len(gaps), dtype=bool)] >= 25).all()


def test_survey_depends_on_seed_and_image_only():
    first, second = (list(images())[1] for _ in range(2))
    np.testing.assert_array_equal(survey_image(first, CONFIG, 0).centres, survey_image(second, CONFIG, 0).centres)
    assert not np.array_equal(survey_image(first, CONFIG, 0).centres[:3], survey_image(first, CONFIG, 1).centres[:3])


def test_abnormal_images_give_normal_patches_only_for_the_lesion_target():
    abnormal = next(iter(images()))
    assert len(survey_image(abnormal, CONFIG, 0).centres)
    assert len(survey_image(abnormal, UnitConfig(patch_mm=10, target="abnormal"), 0).centres) == 0


def random_surveys(images, seed=0):
    """Yield surveys; every third image has a lesion, and candidates have a larger variance than lesions."""
    random = np.random.default_rng(seed)
    for number in range(images):
        lesions = random.normal(0.6, 0.1, (int(number % 3 == 0), 4))
        yield Survey(f"i{number}", lesions, random.normal(0.5, 0.2, (20, 4)), random.uniform(0, 500, (20, 2)))


def summed_distance(surveys, chosen, per_lesion):
    lesions = np.concatenate([survey.lesions for survey in surveys])
    matched = [s.candidates[(s.centres == site).all(1)][0] for s in surveys for site in chosen.get(s.image_id, [])]
    scale = lesions.std(0)
    distance = cdist(np.repeat(lesions / scale, per_lesion, 0), np.array(matched) / scale, "sqeuclidean")
    return distance[linear_sum_assignment(distance)].sum()


def test_large_studies_are_matched_in_groups_nearly_as_well(monkeypatch):
    surveys = list(random_surveys(300))
    exact = match_normals(surveys, 3)
    monkeypatch.setattr(matching, "MAX_PAIRS", 300 * 6000 // 10)  # four groups
    grouped = match_normals(surveys, 3)
    assert grouped == match_normals(surveys, 3)
    assert sum(map(len, grouped.values())) == sum(map(len, exact.values())) == 300
    assert len({site for sites in grouped.values() for site in sites}) == 300
    minimum = summed_distance(surveys, exact, 3)
    unmatched = summed_distance(surveys, {s.image_id: s.centres[:1].tolist() for s in surveys}, 3)
    assert minimum < summed_distance(surveys, grouped, 3) < 0.25 * unmatched
    assert summed_distance(surveys, grouped, 3) < 4 * minimum


def test_groups_have_enough_candidates_if_all_are_needed(monkeypatch):
    surveys = list(random_surveys(30))
    monkeypatch.setattr(matching, "MAX_PAIRS", 1000)
    chosen = match_normals(surveys, 60)
    assert sum(map(len, chosen.values())) == 600


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(SourceError, match=r"larger than the image.*smaller --patch-mm"):
        survey_image(next(iter(images())), UnitConfig(patch_mm=100), 0)


def test_a_source_without_lesions_is_refused():
    surveys = [survey_image(image, CONFIG, 0) for image in images() if not image.lesions]
    with pytest.raises(SourceError, match="no image has a lesion"):
        match_normals(surveys, 1)
