"""The last stages of a study: whose metrics these are, what is said beside the verdict, when saliency is begun."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.files import read_json, sha256_file, write_json
from mammo_jax.jobs import evaluate, saliency, study
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.study_run import as_json
from mammo_jax.saliency.stage import SaliencyError
from mammo_jax.statistics.predictions import write_predictions
from mammo_jax.training_config import TrainingConfig, TrainingError


@pytest.fixture
def config(tmp_path):
    """A run that is trained, with nothing of what comes after."""
    config = StudyConfig(out=tmp_path / "run", resamples=100)
    write_predictions(config.out / "predictions.parquet", predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1})))
    write_json(config.out / "dataset" / "complete.json", {"images": 720, "data_sha256": "0" * 64})
    return config


def test_metrics_of_other_predictions_are_made_anew_and_so_is_the_report(config):
    study.study(config)
    own = read_json(config.out / "metrics.json")
    assert own["predictions_sha256"] == sha256_file(config.out / "predictions.parquet")
    (config.out / "report.html").write_text("a report of others")
    older = {"predictions_sha256": own["predictions_sha256"], "schema": "mammo_jax metrics 2", "models": []}
    for foreign in ({"predictions_sha256": "0" * 64}, {}, older):
        kept = {name: value for name, value in own.items() if name != "predictions_sha256"}
        write_json(config.out / "metrics.json", kept | foreign | {"sentence": "All is well."})
        study.study(config)
        assert read_json(config.out / "metrics.json") == own
        assert own["sentence"] in (config.out / "report.html").read_text()


def test_a_study_prints_its_own_verdict_after_it_was_evaluated_in_another_way(config):
    write_json(config.run.config, {"config": as_json(config), "sha256": "", "command": "mammo-jax study"})
    study.study(config)
    own = read_json(config.run.metrics)
    written = config.run.metrics.stat().st_mtime_ns
    assert study.evaluate_run(config) == own
    assert config.run.metrics.stat().st_mtime_ns == written  # nothing differs, so nothing is made anew
    given = evaluate.EvaluateConfig(config.run.predictions, config.out, resamples=100, analysis_level="image")
    for change in (
        {"margin": 0.1, "min_positive_patients": 30},
        {"analysis_level": "woman"},
        {"resamples": 101},
        {"bootstrap_seed": 1},
        {"sensitivity": 0.8},
    ):
        other = evaluate.evaluate_predictions(dataclasses.replace(given, **change), "test")
        assert other["analysis_levels"]["scored"] == "patch"
        config.run.report.write_text("a report of the other verdict")
        assert study.evaluate_run(config) == own == read_json(config.run.metrics)
        assert not config.run.report.exists()
    for name, value in {"alpha": 0.05, "target": "another", "frozen": True, "protocol": {}}.items():
        write_json(config.run.metrics, own | {name: value})
        assert study.evaluate_run(config) == own


def test_a_study_without_protocol_is_evaluated_with_its_own_unit_and_target(config):
    config = dataclasses.replace(config, units=dataclasses.replace(config.units, target="malignant"))
    write_json(config.run.config, {"config": as_json(config), "sha256": "", "command": "mammo-jax study"})
    given = evaluate.EvaluateConfig(config.run.predictions, config.out, resamples=100, analysis_level="image")
    metrics = evaluate.evaluate_predictions(given, "test")
    assert metrics["target"] == "malignant"
    assert metrics["analysis_levels"]["noun"] == "patch"
    whole = as_json(config) | {"units": as_json(config)["units"] | {"unit": "whole"}}
    write_json(config.run.config, {"config": whole, "sha256": "", "command": "mammo-jax study"})
    assert evaluate.evaluate_predictions(given, "test")["analysis_levels"]["noun"] == "image"


def test_lossy_images_are_told_after_the_verdict(config, capsys):
    images = {"image_id": ["a", "b"], "patient_id": ["p", "q"], "label": "normal", "already_lossy": [True, False]}
    pd.DataFrame(images).to_csv(config.out / "images.csv", index=False)
    study.study(config)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Demonstration (one training seed). Up to a compression ratio of 15")
    assert said[1].startswith("Scored: drawn phantoms, 36 mm patches at known places, 64 × 64 pixels")
    assert [line.split()[:3] for line in said[2:4]] == [["*", "per", "patch"], ["per", "breast", "(maximum)"]]
    assert said[7] == "1 of 2 images had been lossily compressed before; for them CR 1 is not uncompressed."


def test_the_verdict_and_the_report_do_not_wait_for_saliency(config, capsys, monkeypatch):
    def interrupted(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.study(StudyConfig(out=config.out, resamples=100, saliency=True))
    assert "report: " in capsys.readouterr().out
    assert (config.out / "report.html").exists()


def test_a_study_without_marks_is_refused_before_saliency_trains_a_model(config, monkeypatch):
    zeros = np.zeros(4, int)
    targets, masks = np.array([0, 0, 1, 1]), np.zeros((4, 8, 8, 1), np.uint8)
    masks[0] = 255  # a negative's, such as a benign lesion
    names = np.array(list("abcd"))
    examples = Examples("1", masks, targets, zeros, zeros, names, names, masks, masks)
    monkeypatch.setattr(saliency, "read_examples", lambda *_, **__: examples)
    with pytest.raises(SaliencyError, match="no positive image has a lesion mark"):
        saliency.measure(config)
    assert not (config.out / "saliency").exists()


def test_windows_without_features_are_refused_before_anything_is_compressed(tmp_path):
    config = StudyConfig(out=tmp_path / "run", training=TrainingConfig(window=64))
    with pytest.raises(TrainingError, match="--features-from"):
        study.study(config)
    assert not (tmp_path / "run" / "dataset").exists()
