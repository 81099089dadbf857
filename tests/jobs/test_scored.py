"""What was scored, in words: the same in metrics.json, on the terminal and in the report."""

import dataclasses
import json

import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.dataset.units import UnitConfig
from mammo_jax.jobs import evaluate
from mammo_jax.jobs.config import StudyConfig, load_preset
from mammo_jax.jobs.scored import UNKNOWN, scored_text
from mammo_jax.jobs.study_run import as_json
from mammo_jax.statistics.predictions import write_predictions

TABLE = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.05}), folds=1)


def text(config: StudyConfig) -> str:
    return scored_text(as_json(config))


def test_each_preset_says_what_it_scores():
    assert text(load_preset("phantom", "patch")) == (
        "drawn phantoms, 36 mm patches at known places, 64 × 64 pixels, 0.56 mm a pixel"
    )
    assert text(load_preset("phantom", "whole")) == (
        "drawn phantoms, whole views, 416 × 320 pixels, 0.56 mm a pixel, or coarser where a breast would not fit"
    )
    assert text(load_preset("hybrid", "patch")).startswith("lesions drawn into mini-MIAS film scans, 51.2 mm patches")
    assert text(load_preset("mias", "whole")) == (
        "mini-MIAS film scans, whole views, each breast fitted to 256 × 192 pixels"
    )
    assert text(load_preset("folder", "patch")).startswith("image files of the study's own, 51.2 mm patches")


def test_every_source_has_words_and_the_settings_are_followed():
    for source in ("phantom", "mias", "hybrid", "folder"):
        assert not text(StudyConfig(source=source)).startswith(source)
    finer = dataclasses.replace(StudyConfig(), units=UnitConfig(patch_mm=18, input_rows=180, input_columns=180))
    assert text(finer) == "drawn phantoms, 18 mm patches at known places, 180 × 180 pixels, 0.1 mm a pixel"


@pytest.mark.parametrize(
    ("flags", "words"),
    [([], UNKNOWN), (["--scored", "FFDM, 0.1 mm"], "FFDM, 0.1 mm (declared with the scores, not checked)")],
)
def test_scores_from_outside_are_not_guessed(flags, words, tmp_path, capsys):
    TABLE.to_csv(tmp_path / "mine.csv", index=False)
    given = ["--predictions", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "out"), "--resamples", "200"]
    evaluate.main([*given, "--frozen", *flags])
    assert f"Scored: {words}." in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["scored"] == words
    assert f"<strong>Scored:</strong> {words}." in (tmp_path / "out" / "report.html").read_text()


def test_a_study_that_is_evaluated_again_keeps_its_own_words(tmp_path, capsys):
    config = StudyConfig(out=tmp_path)
    write_predictions(tmp_path / "predictions.parquet", TABLE)
    (tmp_path / "config.json").write_text(json.dumps({"config": as_json(config)}))
    given = ["--predictions", str(tmp_path / "predictions.parquet"), "--out", str(tmp_path), "--resamples", "200"]
    evaluate.main([*given, "--scored", "real mammograms"])
    printed = capsys.readouterr().out
    assert f"Scored: {text(config)}." in printed
    assert "real mammograms" not in printed
