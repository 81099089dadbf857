from pathlib import Path

import pytest

from mammo_jax.errors import UserError
from mammo_jax.files import read_json, write_json
from mammo_jax.jobs.config import StudyConfig, load_preset, parse
from mammo_jax.jobs.study_run import as_json, run_started, start_run
from mammo_jax.ratios import LADDER, ratio_text, split_name
from mammo_jax.sources.datasets import DATASETS
from mammo_jax.statistics.analysis_levels import AnalysisLevels


def test_source_and_unit_choose_the_preset_and_flags_go_on_top():
    config = parse(["--source", "mias", "--source-dir", "somewhere", "--unit", "patch", "--epochs", "3"])
    assert config.source_dir == Path("somewhere")
    assert config.units == load_preset("mias", "patch").units
    assert config.training.epochs == 3
    assert parse(["--source=mias", "--unit=whole"]).units.unit == "whole"
    assert parse([]) == load_preset("phantom", "patch")


@pytest.mark.parametrize("unit", ["patch", "whole"])
@pytest.mark.parametrize("source", ["phantom", "mias", "folder", "hybrid"])
def test_every_source_and_unit_has_a_preset(source, unit):
    config = parse(["--source", source, "--unit", unit])
    assert (config.source, config.units.unit) == (source, unit)
    assert config == load_preset(source, unit)


@pytest.mark.parametrize("source", DATASETS)
def test_a_published_data_set_has_the_presets_of_mias_and_whole_images_where_no_lesion_is_marked(source):
    for unit in ("patch", "whole"):
        config = parse(["--source", source, "--unit", unit])
        assert (config.source, config.units) == (source, load_preset("mias", unit).units)
        assert config.out == Path(f"runs/{source}-{unit}")
    assert parse(["--source", source]).units.unit == ("whole" if source in ("cmmd", "rsna-2023") else "patch")
    assert parse(["--source", source, "--split", "test"]).published.split == "test"
    chosen = parse(["--source", source, "--birads-malignant", "5", "6"]).published
    assert (chosen.label("5"), chosen.label("4a")) == ("malignant", None)


def test_images_that_are_patches_have_one_preset_for_everybody():
    config = parse(["--source", "cbis_roi"])
    assert (config.source, config.units.unit, config.units.target) == ("cbis_roi", "frame", "malignant")
    own = parse(["--source", "folder", "--unit", "frame"])
    assert (own.source, own.out) == ("folder", Path("runs/folder-frame"))
    assert (own.units, own.ratios, own.training) == (config.units, config.ratios, config.training)
    assert own.levels == AnalysisLevels("image", "max", "patch")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ratios", "15", "10"], "rising order"),
        (["--ratios", "0.5"], "above 1"),
        (["--ratios", "nan"], "above 1"),
        (["--ratios", "15", "--train-ratios", "16"], "train_ratios"),
        (["--unit", "whole", "--target", "lesion"], "for unit 'patch'"),
        (["--margin", "5"], "not between 0 and 0.5"),
        (["--resamples", "50"], "too few for a 95 % interval"),
        (["--seeds", "1", "1"], "none twice"),
        (["--seeds", "-1"], "from 0 to 4294967294"),
        (["--seeds", "4294967295"], "from 0 to 4294967294"),
        (["--folds", "1"], "folds: 1 is too few"),
    ],
)
def test_meaningless_settings_are_refused(arguments, said, capsys):
    with pytest.raises(SystemExit):
        parse(arguments)
    shown = capsys.readouterr().err.replace("│", "").split()
    assert said in " ".join(shown)


@pytest.mark.parametrize("source", ["phantom", "mias", "folder", "hybrid"])
def test_whole_images_are_judged_by_the_woman_and_patches_by_the_patch(source):
    assert parse(["--source", source, "--unit", "whole"]).levels == AnalysisLevels("woman", "max", "image")
    assert parse(["--source", source, "--unit", "patch"]).levels == AnalysisLevels("image", "max", "patch")
    flags = ["--source", source, "--unit", "patch", "--analysis-level", "breast", "--level-score", "mean"]
    assert parse(flags).levels == AnalysisLevels("breast", "mean", "patch")


def test_trained_ratios_begin_with_1():
    assert StudyConfig().trained_ratios == (1.0, *LADDER)
    assert StudyConfig(train_ratios=(1.0, 100.0)).trained_ratios == (1.0, 100.0)


def test_a_run_folder_belongs_to_one_config(tmp_path):
    config = StudyConfig(out=tmp_path / "run")
    start_run(config, "study", ["--out", "run"])
    first = (tmp_path / "run" / "config.json").read_bytes()
    start_run(StudyConfig(out=tmp_path / "run", workers=1), "study", [])
    assert (tmp_path / "run" / "config.json").read_bytes() == first
    assert read_json(tmp_path / "run" / "config.json")["config"] == as_json(config)
    with pytest.raises(UserError, match="another margin"):
        start_run(StudyConfig(out=tmp_path / "run", margin=0.1), "study", [])


def test_a_job_that_is_refused_before_it_writes_leaves_the_folder_free(tmp_path):
    config = StudyConfig(out=tmp_path / "run")
    with pytest.raises(UserError, match="few"), run_started(config, "study", []):
        write_json(config.run.source, {})
        raise UserError("too few patients")
    assert [path.name for path in config.out.iterdir() if not path.name.startswith(".")] == ["log.jsonl"]
    with pytest.raises(UserError, match="later"), run_started(config, "study", []):
        config.run.dataset.mkdir()
        raise UserError("later")
    assert config.run.config.exists()
    with pytest.raises(UserError, match="another margin"), run_started(StudyConfig(out=config.out, margin=0.1), "", []):
        pass


def test_the_command_of_a_run_is_that_of_the_whole_study(tmp_path):
    start_run(StudyConfig(out=tmp_path), "train", ["--out", "a run", "--distributed"])
    assert read_json(tmp_path / "config.json")["command"] == "mammo-jax study --out 'a run'"


def test_ratios_are_written_without_needless_digits():
    assert [ratio_text(ratio) for ratio in (1.0, 15.0, 11000.0, 26.67)] == ["1", "15", "11000", "26.67"]
    assert split_name(26.67) == "ratio_26p67"
