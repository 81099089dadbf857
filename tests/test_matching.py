import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammo_jax.matching import match_normals, survey_image
from mammo_jax.sources import Lesion, Mammogram, SourceError
from mammo_jax.units import UnitConfig

CONFIG = UnitConfig(patch_mm=10, target="lesion")


def images(count=24, seed=0):
    """Breasts that get brighter downwards; lesions lie low, so that unmatched patches would give them away."""
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
    picked, everything = [], np.concatenate([survey.candidates for survey in surveys])
    for survey in surveys:
        for site in chosen.get(survey.image_id, []):
            picked.append(survey.candidates[np.flatnonzero((survey.centres == site).all(1))[0]])
    assert len(picked) == 2 * len(lesions)
    for column in (0, 2):  # along the chest wall, and mean grey level
        assert separation(lesions, everything, column) > 0.2
        assert separation(lesions, np.array(picked), column) < 0.1


def separation(lesions, normals, column):
    truth = np.r_[np.ones(len(lesions)), np.zeros(len(normals))]
    return abs(roc_auc_score(truth, np.r_[lesions[:, column], normals[:, column]]) - 0.5)


def test_sites_keep_clear_of_lesions_and_of_each_other():
    for image in images():
        survey = survey_image(image, CONFIG, seed=3)
        for lesion in image.lesions:
            distance = np.hypot(*(survey.centres - (lesion.row, lesion.column)).T)
            assert (distance > lesion.radius + 50 / np.sqrt(2)).all()
        gaps = np.hypot(*(survey.centres[:, None] - survey.centres[None]).transpose(2, 0, 1))
        assert (gaps[~np.eye(len(gaps), dtype=bool)] >= 25).all()


def test_survey_depends_on_seed_and_image_alone():
    first, second = (list(images())[1] for _ in range(2))
    np.testing.assert_array_equal(survey_image(first, CONFIG, 0).centres, survey_image(second, CONFIG, 0).centres)
    assert not np.array_equal(survey_image(first, CONFIG, 0).centres[:3], survey_image(first, CONFIG, 1).centres[:3])


def test_abnormal_images_give_normal_patches_only_for_the_lesion_target():
    abnormal = next(iter(images()))
    assert len(survey_image(abnormal, CONFIG, 0).centres)
    assert len(survey_image(abnormal, UnitConfig(patch_mm=10, target="abnormal"), 0).centres) == 0


def test_nothing_to_match_is_said():
    surveys = [survey_image(image, CONFIG, 0) for image in images() if not image.lesions]
    with pytest.raises(SourceError, match="no image has a lesion"):
        match_normals(surveys, 1)
