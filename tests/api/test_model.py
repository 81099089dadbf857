"""A trained network in Python: what it takes, and that scores and maps are those of a study."""

import jax
import numpy as np
import pytest

import mammo_jax as mj
from mammo_jax.api import model as model_module
from mammo_jax.api.model import ImageError
from mammo_jax.dataset.units import UnitConfig, lay_out, tissue_mask
from mammo_jax.files import write_json
from mammo_jax.models import build_model, init_model
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.methods import compute_maps
from mammo_jax.sources import Lesion, Mammogram
from mammo_jax.training.trained_model import TrainedModel, predict
from mammo_jax.training_config import TrainingConfig

CONFIG = TrainingConfig(filters=(2, 2, 4), batch_size=4)
SIZE = 24


@pytest.fixture(scope="module")
def trained():
    variables = init_model(CONFIG, jax.random.key(0), np.zeros((1, SIZE, SIZE, 1), np.float32))
    return TrainedModel(CONFIG, jax.tree.map(np.asarray, variables), {})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 65536, (3, SIZE, SIZE), np.uint16)


def network(trained, **units):
    settings = {"unit": "patch", "target": "malignant", "input_rows": SIZE, "input_columns": SIZE, **units}
    return mj.Model(RunFolder("run"), trained, 1, UnitConfig(**settings))


def test_scores_and_maps_are_those_of_a_study(trained, images):
    model, record = network(trained), images[..., None]
    np.testing.assert_array_equal(model.predict(images), predict(trained, record))
    np.testing.assert_array_equal(model.predict(record), predict(trained, record))
    maps = model.saliency(images, "grad_cam")
    again = compute_maps("grad_cam", build_model(CONFIG), trained.variables, record, np.zeros((SIZE, SIZE, 1)))
    np.testing.assert_array_equal(maps.maps, again.maps)
    assert repr(model) == "Model(cnn, 24 × 24 pixels, fold 1 of run)"


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, SIZE, SIZE)), np.zeros((2, SIZE, 20), np.uint16), np.zeros((SIZE, SIZE), np.uint16)]
)
def test_other_images_are_refused_with_what_is_taken(trained, wrong):
    with pytest.raises(ImageError, match=r"but the network takes uint16 \[n, 24, 24\]"):
        network(trained).predict(wrong)


def test_an_unknown_method_is_refused(trained, images):
    with pytest.raises(ImageError, match="'deconvolution' is none of ig_black"):
        network(trained).saliency(images, "deconvolution")


def mammogram(*lesions):
    pixels = np.zeros((80, 60), np.uint16)
    pixels[10:70, :40] = np.random.default_rng(0).integers(1000, 4000, (60, 40))
    return Mammogram(
        pixels=pixels, bits_stored=12, image_id="a", patient_id="p", label="malignant", pixel_pitch=1.0, lesions=lesions
    )


def test_a_mammogram_is_cut_as_the_study_cuts_it(trained):
    image = mammogram(Lesion(40, 20, 5, "malignant"))
    model = network(trained, patch_mm=20.0)
    (unit,) = lay_out(image, tissue_mask(image.pixels, model.units), model.units)
    cut = model.cut_out(image)
    np.testing.assert_array_equal(cut[0, ..., 0], unit.record_image(image.pixels, 12))
    assert model.predict(cut).shape == (1,)
    assert network(trained, unit="whole").cut_out(mammogram()).shape == (1, SIZE, SIZE, 1)
    with pytest.raises(ImageError, match="a: the network looks at patches, and no site is marked"):
        model.cut_out(mammogram())


def test_the_network_is_found_by_fold_ratio_and_seed(tmp_path, trained, monkeypatch):
    write_json(
        tmp_path / "config.json", {"config": {"seeds": [3, 4], "units": {"unit": "whole", "target": "abnormal"}}}
    )
    read = []
    monkeypatch.setattr(model_module, "read_model", lambda path: read.append(path) or trained)
    assert mj.load_model(tmp_path, 2).units.unit == "whole"
    mj.load_model(mj.Run(tmp_path), 0, ratio="mixed", seed=4)
    run = RunFolder(tmp_path)
    assert read == [run.model(3, 1.0, 2).path, run.model(4, "mixed", 0).path]
