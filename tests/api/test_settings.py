"""Settings in Python mean what the flags of the command line mean."""

import inspect
from pathlib import Path

import pytest

from mammo_jax.api.settings import SettingError, flags_of, parsed, signature_of
from mammo_jax.jobs.compress import CompressConfig
from mammo_jax.jobs.compress import parse as parse_compress
from mammo_jax.jobs.config import StudyConfig, load_preset
from mammo_jax.jobs.config import parse as parse_study


def study(**settings):
    return parsed(parse_study, flags_of(StudyConfig, settings))


def test_without_settings_it_is_the_preset():
    assert study() == load_preset("phantom", "patch")
    assert study(source="mias", source_dir="x", unit="whole").training == load_preset("mias", "whole").training


def test_settings_of_every_kind_reach_their_fields():
    config = study(
        out=Path("a b/c"), ratios=(15, 400.5), images=8, learning_rate=1e-3, filters=[4, 8, 8], pixel_pitch=None,
        saliency=True, transfer_matrix=False, codec="openjpeg", train_ratios=None,
    )  # fmt: skip
    assert (config.out, config.ratios, config.phantom.images) == (Path("a b/c"), (15.0, 400.5), 8)
    assert (config.training.learning_rate, config.training.filters) == (1e-3, (4, 8, 8))
    assert (config.units.pixel_pitch, config.train_ratios) == (None, None)
    assert (config.saliency, config.transfer_matrix, config.codec) == (True, False, "openjpeg")
    assert study(saliency=False).saliency is False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "there is no setting 'epoch'; did you mean 'epochs'?"),
        ({"folds": 1}, "folds: 1 is too few; models of the others score a fold, so take 2"),
        ({"source": "phantm"}, "invalid choice 'phantm' for argument 'source'"),
        ({"ratios": "many"}, "ratios"),
        ({"saliency": "yes"}, "saliency: 'yes' is not True or False"),
        ({"unit": "whole", "target": "lesion"}, "target 'lesion' is for unit 'patch': use 'abnormal' or 'malignant'"),
    ],
)
def test_what_the_command_line_refuses_is_one_error(settings, message, capsys):
    with pytest.raises(SettingError) as refused:
        study(**settings)
    assert message in str(refused.value)
    assert "--" not in str(refused.value)
    assert capsys.readouterr() == ("", "")


def test_other_names_of_a_flag_are_names_of_the_setting():
    flags = flags_of(CompressConfig, {"ratio": 100, "out": "x", "layers": False})
    assert parsed(parse_compress, ["a.png", *flags]).ratios == (100.0,)
    with pytest.raises(SettingError, match="there is no setting 'inputs'"):
        flags_of(CompressConfig, {"inputs": "a.png"})


def test_the_signature_has_every_setting_with_its_default():
    first = inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = signature_of(StudyConfig, first).parameters
    assert next(iter(parameters)) == "out"
    assert {"source", "patch_mm", "phantom_seed", "plain_ids", "birads_normal", "learning_rate"} <= set(parameters)
    assert parameters["folds"].default == StudyConfig.folds
    flags_of(StudyConfig, dict.fromkeys(parameters.keys() - {"units"}, True))  # each is a setting
