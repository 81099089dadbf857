"""The grid of models: training and test data of each, and interruptions that do not change the results."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_examples import blobs

from mammo_jax.files import sha256_file
from mammo_jax.processes import WorkerError
from mammo_jax.ratios import ratio_text
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.predictions import read_predictions
from mammo_jax.training import loop
from mammo_jax.training.checkpoints import CheckpointError, ProgressCheckpoints, read_metadata
from mammo_jax.training.grid import run_grid
from mammo_jax.training.loop import TrainingError, train_model
from mammo_jax.training.trained_model import load_model, predict
from mammo_jax.training_config import TrainingConfig

CONFIG = TrainingConfig(filters=(4, 8, 8), epochs=4, batch_size=16, validation_parts=4, learning_rate=5e-3)


def read(ratio):
    """Return the examples of a dataset whose lesions have less contrast at higher ratios."""
    return blobs(96, ratio=ratio_text(ratio), folds=2, contrast=4 / (1 + ratio / 100))


def read_nothing(ratio):
    raise AssertionError("everything is there, nothing has to be read")


def grid(folder, **changes):
    arguments = {"read_examples_by_ratio": read, "config": CONFIG, "workers": 1, **changes}
    return run_grid(
        folds=[0, 1], train_ratios=[1.0, 100.0], test_ratios=[1.0, 100.0], seeds=[0], run=RunFolder(folder), **arguments
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    grid(folder)
    return folder


def test_models_are_tested_on_held_out_images_only_matched_and_transferred(finished):
    table = read_predictions(finished / "predictions.parquet")
    assert set(zip(table["train_ratio"], table["test_ratio"])) == {
        (train, test) for train in ("1", "100") for test in (1.0, 100.0)
    }
    examples = read(1)
    expected = pd.Series(examples.folds, index=examples.image_ids)
    breasts = pd.Series(examples.lateralities, index=examples.image_ids)
    assert (table["breast"] == table["image_id"].map(breasts)).all()
    for _, part in table.groupby(["train_ratio", "test_ratio"]):
        assert sorted(part["image_id"]) == examples.image_ids.tolist()
        np.testing.assert_array_equal(part["fold"], expected[part["image_id"]])
    targets = pd.Series(examples.targets, index=examples.image_ids)
    np.testing.assert_array_equal(table["label"], targets[table["image_id"]])
    transferred = table[(table["train_ratio"] == "1")].pivot(index="image_id", columns="test_ratio", values="score")
    assert (transferred[1.0] != transferred[100.0]).any()


def test_models_trained_at_cr_1_score_their_validation_patients(finished, tmp_path):
    """The patients are those without whom the network was fitted, found by training it once more."""
    table = read_predictions(finished / "validation.parquet", validation=True)
    assert (set(table["train_ratio"]), set(table["test_ratio"])) == ({"1"}, {1.0})
    assert sorted(table["fold"].unique()) == [0, 1]
    examples = read(1)
    fitted = []

    class Recording(loop._Run):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            fitted.append(self.fitting)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_Run", Recording)
        train_model(examples, 0, CONFIG, 0, tmp_path)
    own = table[table["fold"] == 0].set_index("image_id")
    others = set(examples.patient_ids[examples.folds != 0].tolist())
    assert set(own["patient_id"]) == others - set(fitted[0].patient_ids.tolist())
    model = load_model(finished / "checkpoints" / "seed_0" / "ratio_1" / "fold_0")
    images = examples.take(np.flatnonzero(np.isin(examples.image_ids, own.index)))
    np.testing.assert_allclose(own.loc[images.image_ids, "score"], predict(model, images.images), atol=1e-5)
    assert (own.loc[images.image_ids, "label"] == images.targets).all()


def test_validation_scores_of_a_finished_model_are_made_up_for(finished, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(finished, run_dir)
    for part in run_dir.rglob("validation.parquet"):
        part.unlink()
    grid(run_dir)
    assert sha256_file(run_dir / "validation.parquet") == sha256_file(finished / "validation.parquet")


def test_without_validation_patients_there_are_no_validation_scores(tmp_path):
    grid(tmp_path, config=replace(CONFIG, validation_parts=1, epochs=1))
    assert not list(tmp_path.rglob("validation.parquet"))


def test_each_model_has_a_line_in_the_log(finished):
    log = pd.read_json(finished / "log.jsonl", lines=True)
    assert (log["event"] == "model").all()
    assert sorted(zip(log["train_ratio"].astype(str), log["fold"])) == [("1", 0), ("1", 1), ("100", 0), ("100", 1)]
    assert log[["initial_features", "pretrained_sha256"]].isna().all(axis=None)


def test_every_epoch_has_a_line_with_loss_and_validation_scores(finished):
    models = pd.read_json(finished / "log.jsonl", lines=True)
    epochs = pd.read_json(finished / "training.jsonl", lines=True)
    keys = ["train_ratio", "fold", "seed"]
    assert epochs.groupby(keys)["epoch"].apply(list).to_dict() == {
        tuple(model[key] for key in keys): list(range(1, model["epochs"] + 1)) for _, model in models.iterrows()
    }
    best = epochs.merge(models, left_on=[*keys, "epoch"], right_on=[*keys, "best_epoch"])
    assert (best["validation_auroc_x"] - best["validation_auroc_y"]).abs().max() < 1e-12
    assert (epochs[["loss", "validation_loss"]] > 0).all(axis=None)


def test_a_second_run_reads_and_trains_nothing(finished):
    before = sha256_file(finished / "predictions.parquet")
    lines = (finished / "log.jsonl").read_text()
    grid(finished, read_examples_by_ratio=read_nothing)
    assert sha256_file(finished / "predictions.parquet") == before
    assert (finished / "log.jsonl").read_text() == lines


def test_other_settings_in_the_same_folder_are_refused(finished):
    with pytest.raises(CheckpointError, match=r"fold_0: has a model with another config"):
        grid(finished, config=TrainingConfig(epochs=5))


def grid_killed_in_the_second_model(folder):
    save = ProgressCheckpoints.save

    def save_and_die(self, step, *arguments):
        save(self, step, *arguments)
        if "fold_1" in self.directory.parts and step == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    ProgressCheckpoints.save = save_and_die
    grid(folder, checkpoint_seconds=0)


def test_a_killed_grid_resumes_to_the_same_bytes(finished, tmp_path):
    """Kill -9 in the second model, after two of its epochs."""
    code = f"import test_grid as t; t.grid_killed_in_the_second_model(t.Path({str(tmp_path)!r}))"
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    process = subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, stderr=subprocess.PIPE)
    message = process.stderr.decode()
    progress = tmp_path / "checkpoints" / "seed_0" / "ratio_1" / "fold_1" / "progress"
    assert process.returncode == -signal.SIGKILL, message
    assert not (tmp_path / "predictions.parquet").exists()
    first = progress.parent.parent / "fold_0" / "model" / "_CHECKPOINT_METADATA"
    written = first.stat().st_mtime_ns
    grid(tmp_path)
    assert first.stat().st_mtime_ns == written, "a finished model is not trained again"
    tables = [read_predictions(run / "predictions.parquet") for run in (tmp_path, finished)]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=0)
    assert sha256_file(tmp_path / "predictions.parquet") == sha256_file(finished / "predictions.parquet")


def test_without_the_matrix_only_uncompressed_and_mixed_models_are_tested_everywhere(tmp_path):
    run_grid(
        read, [0], [1.0, 100.0, "mixed"], [1.0, 100.0], [0], replace(CONFIG, epochs=1), RunFolder(tmp_path),
        transfer_matrix=False, workers=1,
    )  # fmt: skip
    table = read_predictions(tmp_path / "predictions.parquet")
    everywhere = {(train, test) for train in ("1", "mixed") for test in (1.0, 100.0)}
    assert set(zip(table["train_ratio"], table["test_ratio"])) == everywhere | {("100", 100.0)}
    assert (tmp_path / "checkpoints" / "seed_0" / "ratio_mixed" / "fold_0" / "model").is_dir()


def test_missing_initial_weights_stop_before_anything_is_read(tmp_path):
    with pytest.raises(TrainingError, match=r"window: .*--features-from"):
        grid(tmp_path, config=replace(CONFIG, window=16, window_step=8), read_examples_by_ratio=read_nothing)


def read_and_die(ratio):
    """Act as a worker that the system kills because of a lack of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_stops_the_run_with_a_reason(tmp_path):
    with pytest.raises(WorkerError, match=r"ended from outside.*run again with fewer --workers"):
        grid(tmp_path, read_examples_by_ratio=read_and_die, workers=2)


def read_with_a_patient_in_two_folds(ratio):
    examples = read(ratio)
    if ratio == 100:
        examples.folds[:] = 1 - examples.folds
    return examples


def test_a_patient_in_training_and_test_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="patients of fold 0 at ratio 100 are in another fold at ratio 1"):
        grid(tmp_path, read_examples_by_ratio=read_with_a_patient_in_two_folds)


def test_whole_images_start_from_the_models_of_another_grid(finished, tmp_path):
    whole = partial(blobs, 96, size=(40, 48), folds=2)
    run_grid(
        lambda ratio: whole(ratio=ratio_text(ratio)),
        folds=[0],
        train_ratios=[1.0],
        test_ratios=[1.0],
        seeds=[0],
        config=TrainingConfig(filters=(4, 8, 8), epochs=1, batch_size=16, validation_parts=4),
        run=RunFolder(tmp_path),
        initial_features=RunFolder(finished),
        workers=1,
    )
    assert len(read_predictions(tmp_path / "predictions.parquet")) == 48
    (line,) = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    patches = read_metadata(finished / "checkpoints" / "seed_0" / "ratio_1" / "fold_0" / "model")
    assert line["initial_features"] == patches["sha256"]


def test_models_of_another_seed_can_start_from_the_same_features(finished, tmp_path):
    features = load_model(finished / "checkpoints" / "seed_0" / "ratio_1" / "fold_0")
    run_grid(
        read,
        folds=[0],
        train_ratios=[1.0],
        test_ratios=[1.0],
        seeds=[7],
        config=replace(CONFIG, epochs=1),
        run=RunFolder(tmp_path),
        initial_features=RunFolder(finished),
        features_seed=0,
        workers=1,
    )
    trained = load_model(tmp_path / "checkpoints" / "seed_7" / "ratio_1" / "fold_0")
    assert trained.record["initial_features"] == features.record["sha256"]
