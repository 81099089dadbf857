"""The whole study on a tiny phantom set, as a user runs it; and killed half-way, then run again."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from mammo_jax.dataset.input_pipeline import read_examples
from mammo_jax.files import read_json, sha256_file

RATIOS = (15.0, 400.0)
IMAGES = 36  # in two parts, so that a study can be killed between them
FLAGS = [
    *("--images", str(IMAGES), "--rows", "416", "--columns", "320", "--phantom-pitch", "0.56"),
    *("--ratios", "15", "400", "--folds", "2", "--epochs", "2", "--filters", "4", "4", "8"),
    *("--target", "lesion", "--validation-parts", "3"),
    *("--input-rows", "32", "--input-columns", "32", "--resamples", "200"),
]


def start(out, *more, workers=2):
    command = [sys.executable, "-m", "experiments.study", "--out", str(out), *FLAGS, "--workers", str(workers), *more]
    # Programs that are not optimised, as in other tests, leave small products to a library, which adds up differently
    # on one core and on two. A user's give the same bytes on any number.
    flags = os.environ.get("XLA_FLAGS", "").replace("optimization_level=0", "optimization_level=1")
    pipe, environment = subprocess.PIPE, {**os.environ, "XLA_FLAGS": flags}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=environment)


def finish(process):
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-4000:]
    return output


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "run"
    output = finish(start(out))
    return out, output


def test_the_verdict_and_the_report_are_there(run):
    out, output = run
    metrics = read_json(out / "metrics.json")
    assert metrics["sentence"] in output
    assert [row["not_available"] for row in metrics["models"][0]["levels"]] == [None] * 5, "it knows the breasts"
    assert str(out / "report.html") in output
    assert "Demonstration" in output, "one seed"
    assert metrics["models"][0]["operating_point"]["threshold_from"] == "validation patients"
    page = (out / "report.html").read_text()
    assert metrics["sentence"] in page
    assert len(list((out / "examples").glob("*.png"))) == 3 * (1 + len(RATIOS))


def test_every_codestream_has_its_exact_length(run):
    audit = pd.read_csv(run[0] / "audit.csv")
    assert len(audit) == IMAGES * len(RATIOS)
    assert (audit["codestream_bytes"] == np.floor(416 * 320 * 2 / audit["ratio"])).all()
    assert (audit["psnr"][audit["ratio"] == 15].to_numpy() > audit["psnr"][audit["ratio"] == 400].to_numpy()).all()


def test_ratios_share_images_folds_and_masks(run):
    dataset = sorted((run[0] / "dataset").glob("part-*"))
    uncompressed, *compressed = (read_examples(dataset, ratio, masks=True) for ratio in (1.0, *RATIOS))
    assert len(uncompressed) == IMAGES
    for examples in compressed:
        np.testing.assert_array_equal(examples.image_ids, uncompressed.image_ids)
        np.testing.assert_array_equal(examples.folds, uncompressed.folds)
        np.testing.assert_array_equal(examples.masks, uncompressed.masks)
        difference = np.abs(examples.images.astype(int) - uncompressed.images.astype(int))
        assert 0 < difference.mean() < 65535 / 50
    has_lesion = uncompressed.masks.reshape(IMAGES, -1).any(1)
    np.testing.assert_array_equal(has_lesion, uncompressed.targets == 1)


def test_no_patient_is_in_two_folds_and_each_model_is_scored_on_its_own(run):
    predictions = pd.read_parquet(run[0] / "predictions.parquet")
    assert (predictions.groupby("patient_id")["fold"].nunique() == 1).all()
    cells = predictions.groupby(["train_ratio", "test_ratio"]).size()
    tested = [(trained, ratio) for trained in ("1", "15", "400") for ratio in (1.0, 15.0, 400.0)]
    assert dict(cells) == dict.fromkeys(tested, IMAGES)  # every model on every ratio


def test_a_second_run_does_nothing_again(run):
    out, output = run
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != "log.jsonl"}
    assert finish(start(out)) == output
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != "log.jsonl"}
    assert after == before


def kill_as_soon_as_there_is(out, pattern):
    process = start(out)
    deadline = time.monotonic() + 300
    while not any(out.glob(pattern)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_run_killed_in_two_stages_goes_on_to_the_same_predictions(run, tmp_path):
    out = tmp_path / "killed"
    kill_as_soon_as_there_is(out, "dataset/part-*")
    assert not (out / "checkpoints").exists(), "killed too late to show anything"
    kill_as_soon_as_there_is(out, "checkpoints/*/*/*/predictions.parquet")
    assert not (out / "predictions.parquet").exists(), "killed too late to show anything"
    finish(start(out, workers=1))
    tables = [folder / "predictions.parquet" for folder in (out, run[0])]
    pd.testing.assert_frame_equal(*map(pd.read_parquet, tables), rtol=0, atol=0)
    assert sha256_file(tables[0]) == sha256_file(tables[1]), "of one process and of two"
    assert pd.read_csv(out / "audit.csv").equals(pd.read_csv(run[0] / "audit.csv"))
    shutil.rmtree(out)


def test_saliency_can_be_asked_for_later(run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run[0], out)
    output = finish(start(out, "--saliency", workers=1))
    assert output.replace(str(out), str(run[0])) == run[1]
    page = (out / "report.html").read_text()
    assert "Where the model looks" in page
    assert "Masking resembles compression" in page
    assert len(list((out / "saliency" / "panels").glob("*.png"))) == 3 * (1 + len(RATIOS))
    summary = read_json(out / "saliency" / "summary.json")
    examples = read_examples(sorted((out / "dataset").glob("part-*")), 1.0, masks=True)
    assert summary["counts"]["images"] == (examples.targets == 1).sum()
    written = (out / "report.html").stat().st_mtime_ns
    assert finish(start(out, "--saliency", workers=1)) == output
    assert (out / "report.html").stat().st_mtime_ns == written
