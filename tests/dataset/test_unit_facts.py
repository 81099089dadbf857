import numpy as np
import pytest

from mammo_jax.dataset.unit_facts import unit_facts
from mammo_jax.dataset.units import UnitConfig, lay_out
from mammo_jax.preprocess import breast_mask
from mammo_jax.sources import Lesion, Mammogram
from mammo_jax.sources.lesions import draw_lesion, plant

PIXELS = np.zeros((160, 128), np.uint16)
PIXELS[10:150, :80] = 2000
LESIONS = (
    Lesion(50.0, 30.0, 8.0, "malignant", kind="mass"),
    Lesion(100.0, 40.0, 9.0, "benign", kind="calcifications"),
)
IMAGE = Mammogram(PIXELS, 12, "a", "p", "malignant", 0.5, "L", "CC", LESIONS, ((70.0, 40.0),), density="dense")


def facts_of(**settings) -> list[dict]:
    config = UnitConfig(input_rows=32, input_columns=32, **settings)
    return [unit_facts(IMAGE, unit, config) for unit in lay_out(IMAGE, breast_mask(PIXELS), config)]


def test_a_patch_has_the_facts_of_its_own_lesion():
    mass, calcifications, normal = facts_of(patch_mm=32.0)
    assert mass == {
        "image_id": "a.lesion0",
        "laterality": "L",
        "view": "CC",
        "density": "dense",
        "lesion_kind": "mass",
        "lesion_size_mm": 8.0,
        "model_pixel_mm": 1.0,
    }
    assert (calcifications["lesion_kind"], calcifications["lesion_size_mm"]) == ("calcifications", 9.0)
    assert (normal["lesion_kind"], normal["lesion_size_mm"], normal["density"]) == (None, None, "dense")


@pytest.mark.parametrize(
    ("target", "kind", "size"), [("malignant", "mass", 8.0), ("abnormal", "calcifications and mass", 9.0)]
)
def test_a_whole_view_has_those_of_the_lesions_it_is_positive_for(target, kind, size):
    (whole,) = facts_of(unit="whole", target=target)
    assert (whole["lesion_kind"], whole["lesion_size_mm"]) == (kind, size)
    assert whole["model_pixel_mm"] == pytest.approx(0.5 * 140 / 32, abs=1e-4)


def test_one_scale_for_all_whole_views_is_the_models_pixel():
    (coarse,), (fitting,) = (facts_of(unit="whole", target="abnormal", input_pitch=pitch) for pitch in (4.0, 0.1))
    assert coarse["model_pixel_mm"] == 4.0
    assert fitting["model_pixel_mm"] == pytest.approx(0.5 * 140 / 32, abs=1e-4), "never more than the box"


def test_simulated_lesions_know_their_kind():
    def kind(share: float) -> str:
        streams = np.random.default_rng(0), np.random.default_rng(1)
        stamp = draw_lesion(*streams, "benign", 1.0, 1.0, share)
        return plant(np.zeros((80, 80), np.float32), stamp, 40, 40).kind

    assert (kind(0.0), kind(1.0)) == ("mass", "calcifications")
