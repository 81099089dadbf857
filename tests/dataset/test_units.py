import numpy as np
import pytest

from mammo_jax.dataset.units import UnitConfig, lay_out, tissue_mask
from mammo_jax.preprocess import to_record
from mammo_jax.sources import Lesion, Mammogram, SourceError


def mammogram(**changes):
    pixels = np.zeros((400, 300), np.uint16)
    pixels[50:350, :200] = 1000
    lesion = Lesion(row=200.0, column=100.0, radius=10.0, label="malignant")
    defaults = {
        "pixels": pixels,
        "bits_stored": 12,
        "image_id": "a",
        "patient_id": "p",
        "label": "malignant",
        "pixel_pitch": 0.2,
        "lesions": (lesion,),
    }
    return Mammogram(**{**defaults, **changes})


def units_of(image, config, **sites):
    return lay_out(image, tissue_mask(image.pixels, config), config, **sites)


def test_patches_have_their_size_in_mm_and_their_lesion_in_the_middle():
    config = UnitConfig(unit="patch", target="malignant", patch_mm=20, input_rows=50, input_columns=50)
    (unit,) = units_of(mammogram(), config)
    assert (unit.unit_id, unit.label, unit.target) == ("a.lesion0", "malignant", 1)
    mask = unit.record_mask(mammogram().lesions[0].filled((400, 300)))
    rows, columns = np.nonzero(mask)
    assert mask.shape == (50, 50)
    assert rows.mean() == pytest.approx(24.5, abs=0.6)
    assert columns.mean() == pytest.approx(24.5, abs=0.6)
    assert np.sqrt(rows.size / np.pi) == pytest.approx(5, abs=0.3), "100 pixels of 0.2 mm became 50"


def test_null_sites_and_matched_sites_are_normal_patches():
    image = mammogram(label="normal", lesions=(), null_sites=((100.0, 100.0),))
    units = units_of(image, UnitConfig(patch_mm=20), normal_sites=[(200.0, 60.0)])
    assert [(unit.unit_id, unit.label, unit.target) for unit in units] == [
        ("a.normal0", "normal", 0),
        ("a.normal1", "normal", 0),
    ]


@pytest.mark.parametrize(
    ("label", "target", "positive"),
    [
        ("benign", "malignant", 0),
        ("malignant", "malignant", 1),
        ("benign", "abnormal", 1),
        ("normal", "abnormal", 0),
    ],
)
def test_targets_of_whole_images(label, target, positive):
    config = UnitConfig(unit="whole", target=target, input_rows=40, input_columns=32)
    (unit,) = units_of(mammogram(label=label, lesions=()), config)
    assert unit.target == positive
    assert unit.record_image(mammogram().pixels, 12).shape == (40, 32)


def test_whole_views_have_one_scale_if_the_pitch_is_given():
    config = UnitConfig(unit="whole", target="abnormal", input_rows=200, input_columns=160, input_pitch=0.4)
    (unit,) = units_of(mammogram(), config)
    assert np.flatnonzero(unit.view(mammogram().pixels).any(1)).size == pytest.approx(150, abs=3)


FRAME = UnitConfig(unit="frame", target="malignant", input_rows=64, input_columns=64)


def a_patch(rows=64, columns=64, label="malignant"):
    """A bright triangle at the lower right: as a whole view it would be cut at its box, and mirrored."""
    pixels = np.random.default_rng(0).integers(0, 20, (rows, columns)).astype(np.uint8)
    down, right = np.ogrid[:rows, :columns]
    pixels[down / rows + right / columns > 1.2] += 200
    return Mammogram(pixels, 8, "a", "p", label, laterality="R")


def test_a_frame_is_the_image_itself():
    image = a_patch()
    (unit,) = units_of(image, FRAME)
    assert (unit.unit_id, unit.label, unit.target) == ("a", "malignant", 1)
    np.testing.assert_array_equal(unit.record_image(image.pixels, 8), to_record(image.pixels, 8))
    assert unit.record_mask(tissue_mask(image.pixels, FRAME)).all()
    (whole,) = units_of(image, UnitConfig(unit="whole", target="malignant", input_rows=64, input_columns=64))
    assert whole.framing.mirrored
    assert whole.framing.right - whole.framing.left < 60


def test_a_frame_of_another_size_is_resized_as_it_is():
    (unit,) = units_of(a_patch(128, 96), FRAME)
    view = unit.view(a_patch(128, 96).pixels)
    assert view.shape == (64, 64)
    assert view[:12].max() < 20
    assert view[60, 40:48].min() > 190
    assert not view[:, 48:].any(), "96 columns became 48"
    assert not unit.record_mask(tissue_mask(a_patch(128, 96).pixels, FRAME))[:, 48:].any()


def test_frames_have_no_lesion_of_their_own_to_be_the_target():
    (unit,) = units_of(a_patch(label="benign"), FRAME)
    assert unit.target == 0
    with pytest.raises(ValueError, match="'abnormal' or 'malignant'"):
        UnitConfig(unit="frame", target="lesion")


def test_unknown_pitch_and_too_large_patches_are_refused():
    with pytest.raises(SourceError, match="--pixel-pitch"):
        units_of(mammogram(pixel_pitch=None), UnitConfig())
    assert units_of(mammogram(pixel_pitch=None), UnitConfig(pixel_pitch=0.2, patch_mm=20))
    with pytest.raises(SourceError, match="--patch-mm"):
        units_of(mammogram(), UnitConfig(patch_mm=100))


def test_meaningless_configs_are_refused():
    with pytest.raises(ValueError, match="for unit 'patch'"):
        UnitConfig(unit="whole", target="lesion")
    with pytest.raises(ValueError, match="square"):
        UnitConfig(unit="patch", input_rows=32)


def test_marks_outside_the_breast_give_no_patch():
    outside = Lesion(row=20.0, column=290.0, radius=10.0, label="benign")
    beyond = Lesion(row=900.0, column=100.0, radius=10.0, label="benign")
    image = mammogram(lesions=(*mammogram().lesions, outside, beyond))
    assert [unit.unit_id for unit in units_of(image, UnitConfig(patch_mm=20))] == ["a.lesion0"]
