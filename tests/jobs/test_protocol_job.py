"""A protocol from the job that writes it, or from a study, to what the evaluation and the report say of it."""

import dataclasses
import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.files import read_json, write_json
from mammo_jax.jobs import evaluate, protocol, report, study
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.protocol import fix_protocol
from mammo_jax.jobs.study_run import as_json
from mammo_jax.provenance import log_event
from mammo_jax.report.protocol import protocol_status, protocol_text
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import write_predictions
from mammo_jax.statistics.protocol import ProtocolError

LOSSES = transfer_losses({1.0: 0.0, 15.0: 0.1})
FLAGS = ("--ratios", "15", "--target", "malignant", "--primary-model", "cnn", "--frozen", "--resamples", "100")


@pytest.fixture
def scored(tmp_path) -> Path:
    """A test set and its scores, in a folder."""
    table = predictions_table(LOSSES, folds=1)
    table.to_csv(tmp_path / "scores.csv", index=False)
    table[["patient_id", "image_id", "label"]].drop_duplicates().to_csv(tmp_path / "test_set.csv", index=False)
    return tmp_path


def shown(report: Path) -> str:
    """Text of a report, without its tags."""
    text = re.sub("</?strong>", "", report.read_text())
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", text)).split())


def fixed(folder: Path, *flags: str) -> Path:
    out = folder / "protocol.json"
    protocol.main(["--images", str(folder / "test_set.csv"), "--out", str(out), *FLAGS, *flags])
    return out


def evaluated(folder: Path, *flags: str) -> None:
    given = ["--predictions", str(folder / "scores.csv"), "--out", str(folder / "out"), "--frozen"]
    evaluate.main([*given, "--resamples", "100", *flags])


def said_of(run: RunFolder, metrics: dict) -> str:
    return protocol_text(protocol_status(run, metrics))


def test_scores_with_a_protocol_are_declared(scored, capsys):
    path = fixed(scored)
    sha256 = read_json(path)["sha256"]
    assert f"SHA-256:  {sha256}" in capsys.readouterr().out
    evaluated(scored, "--protocol", str(path))
    said = capsys.readouterr().out
    assert "Declared: a protocol came with the scores; when it was written cannot be proven" in said
    assert f"(SHA-256 {sha256}); the evaluation keeps to it." in said
    page = shown(scored / "out" / "report.html")
    assert "Declared: the protocol of this verdict" in page
    assert f"SHA-256 {sha256}" in page
    assert "smallest number of positive patients 60" in page
    assert "Not what was fixed beforehand." not in page
    document = read_json(path)
    document["protocol"]["margin"] = 0.1
    metrics = read_json(scored / "out" / "metrics.json")
    write_json(scored / "out" / "metrics.json", metrics | {"protocol": metrics["protocol"] | {"document": document}})
    with pytest.raises(SystemExit, match=r"metrics\.json: protocol: its content does not fit its SHA-256"):
        report.main(["--run", str(scored / "out")])
    write_json(path, document)
    with pytest.raises(SystemExit, match="changed after it was written"):
        evaluated(scored, "--protocol", str(path))


def test_what_the_evaluation_does_not_keep_to_is_named_field_by_field(scored, capsys):
    table = pd.read_csv(scored / "scores.csv")
    table[table["image_id"] != table["image_id"].iloc[0]].to_csv(scored / "scores.csv", index=False)
    path = fixed(scored, "--ratios", "15", "20")
    evaluated(scored, "--protocol", str(path), "--margin", "0.1", "--target", "recalled")
    said = capsys.readouterr().out
    assert "the evaluation differs: margin 0.05, and here 0.1; compression ratios 15, 20, and here 15;" in said
    assert "target malignant, and here recalled; SHA-256 of the images " in said
    page = shown(scored / "out" / "report.html")
    assert "Not what was fixed beforehand. Declared:" in page
    assert "margin 0.05, and here 0.1" in page


def test_without_a_protocol_it_is_exploratory(scored):
    config = evaluate.EvaluateConfig(scored / "scores.csv", scored / "out", resamples=100, frozen=True)
    metrics = evaluate.evaluate_predictions(config, "test")
    assert said_of(RunFolder(config.out), metrics).startswith(
        "Exploratory: there is no protocol from before the scores"
    )


def test_a_protocol_is_written_once_and_before_the_scores(scored):
    fixed(scored)
    with pytest.raises(SystemExit, match="is there already, and a protocol is not written twice"):
        fixed(scored)
    given = ["--out", str(scored / "other.json"), *FLAGS]
    with pytest.raises(SystemExit, match="column 'score': there are scores already"):
        protocol.main(["--images", str(scored / "scores.csv"), *given])
    table = pd.read_csv(scored / "test_set.csv", dtype=str)
    for wrong, said in (
        (table.drop(columns="label"), "column 'label' is missing"),
        (table.assign(label="2"), "row 2: every row needs"),
        (table.iloc[:0], "no rows: every row needs"),
        (pd.concat([table, table.assign(patient_id="x")]), "an image has two patients or labels"),
    ):
        wrong.to_csv(scored / "wrong.csv", index=False)
        with pytest.raises(SystemExit, match=said):
            protocol.main(["--images", str(scored / "wrong.csv"), *given])
    with pytest.raises(SystemExit, match=r"ratios: .*each above 1 and none twice"):
        protocol.main(["--images", str(scored / "test_set.csv"), *given, "--ratios", "15", "15"])
    assert not (scored / "other.json").exists()


@pytest.fixture
def config(tmp_path) -> StudyConfig:
    """A study whose images are compressed, with nothing trained."""
    config = StudyConfig(out=tmp_path / "run", ratios=(15.0,), resamples=100)
    write_json(config.run.dataset_complete, {"images": 720, "data_sha256": "0" * 64})
    write_json(config.run.config, {"config": as_json(config), "sha256": "", "command": "mammo-jax study"})
    return config


def trained(config: StudyConfig) -> None:
    """Leave what training leaves: models, their lines in the log, the scores."""
    config.run.model(0, 1.0, 0).path.mkdir(parents=True)
    log_event(config.run, "model", model="cnn")
    table = predictions_table(LOSSES)
    write_predictions(config.run.predictions, table)
    others = table[table["test_ratio"] == 1].replace({"patient_id": r"^", "image_id": r"^"}, "other ", regex=True)
    write_predictions(config.run.validation, others, validation=True)


def test_a_study_fixes_its_protocol_before_it_trains(config, capsys):
    fix_protocol(config)
    sha256 = read_json(config.run.protocol)["sha256"]
    trained(config)
    study.study(config)
    said = capsys.readouterr().out
    assert (
        f"Fixed beforehand: this run wrote its protocol before it trained, and keeps to it (SHA-256 {sha256})" in said
    )
    page = shown(config.run.report)
    assert "Fixed beforehand: the protocol of this verdict" in page
    assert "unit scored patch" in page


def test_a_study_evaluated_with_another_margin_is_exploratory(config):
    fix_protocol(config)
    trained(config)
    again = evaluate.EvaluateConfig(config.run.predictions, config.out, resamples=100, analysis_level="image")
    said = said_of(config.run, evaluate.evaluate_predictions(again, "test"))
    assert said.startswith("Fixed beforehand: ")
    other = dataclasses.replace(again, margin=0.1)
    said = said_of(config.run, evaluate.evaluate_predictions(other, "test"))
    assert said.startswith("Exploratory: this is not what the run fixed beforehand")
    assert said.endswith(": margin 0.05, and here 0.1.")
    other = dataclasses.replace(again, bootstrap_seed=1)
    said = said_of(config.run, evaluate.evaluate_predictions(other, "test"))
    assert said.startswith("Exploratory: ")
    assert said.endswith(": seed of the bootstrap 0, and here 1.")
    with pytest.raises(StatisticsError, match="is a study, which has its own or none; leave --protocol out"):
        evaluate.evaluate_predictions(dataclasses.replace(again, protocol=config.run.protocol), "test")


def test_the_protocol_of_a_study_is_none_for_scores_elsewhere(config, tmp_path):
    fix_protocol(config)
    trained(config)
    elsewhere = evaluate.EvaluateConfig(config.run.predictions, tmp_path / "out", protocol=config.run.protocol)
    with pytest.raises(ProtocolError, match=r"protocol\.json: a study's own protocol, .* write a protocol for these"):
        evaluate.evaluate_predictions(elsewhere, "test")


def test_a_study_without_validation_patients_finds_its_threshold_from_the_test_scores(config):
    alone = dataclasses.replace(config, training=dataclasses.replace(config.training, validation_parts=1))
    fix_protocol(alone)
    trained(alone)
    alone.run.validation.unlink()
    assert said_of(alone.run, study.evaluate_run(alone)).startswith("Fixed beforehand: ")


def test_a_threshold_is_given_only_for_a_frozen_model(scored):
    path = fixed(scored, "--threshold", "0.5", "--bootstrap-seed", "3")
    content = read_json(path)["protocol"]
    assert (content["threshold_from"], content["bootstrap_seed"], content["frozen"]) == ("given", 3, True)
    path.unlink()
    assert read_json(fixed(scored, "--validation"))["protocol"]["threshold_from"] == "validation patients"
    path.unlink()
    with pytest.raises(SystemExit, match="threshold: only a frozen model is given one"):
        fixed(scored, "--threshold", "0.5", "--validation")
    with pytest.raises(SystemExit, match="resamples: 10 are too few"):
        fixed(scored, "--resamples", "10")
    assert not path.exists()


def test_a_study_with_other_settings_does_not_go_on(config):
    fix_protocol(config)
    fix_protocol(config)  # the same settings do
    changed = dataclasses.replace(config, margin=0.1, analysis_level="woman")
    with pytest.raises(ProtocolError, match=r"margin 0\.05, and here 0\.1; analysis level image, and here woman"):
        fix_protocol(changed)
    trained(config)
    with pytest.raises(ProtocolError, match="its settings are others now"):
        study.study(changed)
    write_json(config.run.dataset_complete, {"images": 720, "data_sha256": "1" * 64})
    with pytest.raises(ProtocolError, match="SHA-256 of the images"):
        fix_protocol(config)


def test_after_training_no_protocol_is_written(config):
    trained(config)
    fix_protocol(config)
    assert not config.run.protocol.exists()
    assert said_of(config.run, study.evaluate_run(config)).startswith("Exploratory: there is no protocol")


def test_a_protocol_that_the_log_has_after_a_model_proves_nothing(config):
    fix_protocol(config)
    trained(config)
    metrics = study.evaluate_run(config)
    assert said_of(config.run, metrics).startswith("Fixed beforehand: ")
    first, second = config.run.log.read_text().splitlines()
    for lines in (["half a li", second, first], [second], [json.dumps({"event": "protocol", "sha256": "0"}), second]):
        config.run.log.write_text("\n".join(lines) + "\n")
        assert said_of(config.run, metrics).endswith("its log does not have the protocol before the first model.")
    config.run.log.write_text(f"half a li\n{first}\n{second}\n")
    assert said_of(config.run, metrics).startswith("Fixed beforehand: ")
    config.run.protocol.unlink()
    assert said_of(config.run, metrics).startswith("Exploratory: ")
