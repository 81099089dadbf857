"""The saliency stage on a small grid of trained models: its files, its results, and resuming."""

import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_examples import blobs

from mammo_jax.files import sha256_file
from mammo_jax.ratios import ratio_text
from mammo_jax.run_folder import RunFolder, SaliencyFolder
from mammo_jax.saliency.maps import load_maps
from mammo_jax.saliency.methods import CONTROL, METHODS
from mammo_jax.saliency.panels import choose_images, write_panels
from mammo_jax.saliency.randomisation import memorisation_config
from mammo_jax.saliency.stage import (
    CASCADE,
    OTHER_SEED,
    RANDOM_LABELS,
    TRAINED,
    SaliencyError,
    SaliencyPlan,
    measure_saliency,
)
from mammo_jax.saliency.summary import summarise
from mammo_jax.training.grid import run_grid
from mammo_jax.training_config import TrainingConfig

CONFIG = TrainingConfig(filters=(4, 8, 8), epochs=16, batch_size=16, validation_parts=4, learning_rate=2e-2)
FADED = 400.0


def read(ratio, permuted=False):
    examples = blobs(64, size=(24, 24), ratio=ratio_text(ratio), folds=2, contrast=8 / (1 + ratio / 100))
    examples.masks[::2] = 0  # of each patient's two views one has a mark, and is measured
    if permuted:
        examples.targets[:] = np.random.default_rng(0).permutation(examples.targets)
    return examples


def train(folder, seed, permuted=False):
    config, run = memorisation_config(CONFIG) if permuted else CONFIG, RunFolder(folder)
    run_grid(partial(read, permuted=permuted), [0, 1], [1.0], [1.0], [seed], config, run, workers=1)
    return run.models(seed, 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        TRAINED: train(folder / "study", 0),
        OTHER_SEED: train(folder / "other", 1),
        RANDOM_LABELS: train(folder / "labels", 2, permuted=True),
    }


def make_plan(directory, models, reader=read):
    return SaliencyPlan(SaliencyFolder(directory), reader, (1.0, FADED), 2, "ig_mean", models)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, models):
    directory = tmp_path_factory.mktemp("saliency")
    return directory, measure_saliency(make_plan(directory, models))


@pytest.fixture(scope="module")
def summary(measured):
    directory, images = measured
    faithfulness = pd.read_parquet(directory / "faithfulness.parquet")
    return summarise(images, faithfulness, primary="ig_mean", resamples=300, label_aurocs=[1.0, 0.98])


def rows(table, **wanted):
    return [row for row in table if all(row[key] == value for key, value in wanted.items())]


def test_every_held_out_marked_image_has_a_row_for_each_model_and_method(measured):
    examples = read(1)
    marked = set(examples.image_ids[examples.masks.any((1, 2, 3))])
    assert marked < set(examples.image_ids[examples.targets == 1])
    table = measured[1]
    assert set(table["image_id"]) == marked
    cells = table.groupby(["model", "ratio", "layer", "method"])["image_id"].nunique()
    assert (cells == len(marked)).all()
    trained = cells[TRAINED]
    assert set(trained[1.0].index.get_level_values("method")) == {*METHODS, CONTROL}
    assert set(trained[FADED].index.get_level_values("method")) == {"ig_mean", "grad_cam", CONTROL}
    assert len(cells[CASCADE]) == 6 * len(METHODS)
    folds = pd.Series(examples.folds, index=examples.image_ids)
    np.testing.assert_array_equal(table["fold"], folds[table["image_id"]])


def test_maps_at_cr_1_equal_the_stored_half_precision_maps(measured):
    directory, table = measured
    own = table[(table["model"] == TRAINED) & (table["ratio"] == 1)]
    assert (own["spearman"] > 0.999).all()
    assert (own["ssim"] > 0.999).all()
    stored = load_maps(SaliencyFolder(directory).maps(1.0, 0))
    row = own[(own["image_id"] == stored.image_ids[0]) & (own["method"] == "ig_mean")].iloc[0]
    assert row["complete"]
    examples = read(1)
    index = int(np.flatnonzero(examples.image_ids == stored.image_ids[0])[0])
    np.testing.assert_array_equal(stored.images[0], examples.images[index, ..., 0])
    np.testing.assert_array_equal(stored.lesions[0], examples.masks[index, ..., 0] > 0)


def test_the_trained_models_maps_localise_the_blob(summary):
    for against in ("chance", "random_weights", "random_labels"):
        (row,) = rows(summary["comparisons"], method="ig_mean", against=against, measure="energy")
        assert row["better"], against
    (own,) = rows(
        summary["localization"], model=TRAINED, ratio=1.0, method="ig_mean", group="all", measure="pointing_game"
    )
    assert own["value"]["mean"] > 0.8 > 0.3 > own["chance"]["mean"]


def test_maps_drift_as_the_blob_fades(summary):
    correlations = {
        row["ratio"]: row["mean"] for row in rows(summary["drift"], model=TRAINED, method="ig_mean", measure="spearman")
    }
    assert correlations[1.0] == pytest.approx(1, abs=1e-3)
    assert correlations[FADED] < 0.95
    assert [row["method"] for row in summary["sanity"]] == list(METHODS)
    assert rows(summary["sanity"], method="ig_mean")[0]["passed"] is not None


def test_groups_add_up(summary, measured):
    table = measured[1]
    for ratio in (1.0, FADED):
        counts = {
            group: rows(
                summary["localization"], model=TRAINED, ratio=ratio, method="ig_mean", group=group, measure="energy"
            )
            for group in ("all", "correct", "wrong")
        }
        images = {group: cells[0]["images"] if cells else 0 for group, cells in counts.items()}
        assert images["all"] == images["correct"] + images["wrong"] == summary["counts"]["images"]
        own = table[(table["model"] == TRAINED) & (table["ratio"] == ratio) & (table["method"] == "ig_mean")]
        assert images["correct"] == (own["score"] > 0).sum()


def test_means_and_intervals_are_those_of_the_table(summary, measured):
    table = measured[1]
    own = table[(table["model"] == TRAINED) & (table["ratio"] == 1) & (table["method"] == "ig_mean")]
    (row,) = rows(summary["comparisons"], method="ig_mean", against="chance", measure="energy")
    difference = own["energy"] - own["energy_chance"]
    assert row["mean"] == pytest.approx(difference.mean())
    by_patient = difference.groupby([own["fold"], own["patient_id"]]).mean()
    of_fold = by_patient.groupby("fold").agg(["var", "count"])
    error = np.sqrt((of_fold["var"] * of_fold["count"]).sum()) / of_fold["count"].sum()
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * error, rel=0.3)


def test_insertion_and_deletion_curves_have_the_same_end_points(measured):
    table = pd.read_parquet(measured[0] / "faithfulness.parquet")
    wide = table.pivot_table(index=["image_id", "method"], columns=["curve", "fraction"], values="probability")
    np.testing.assert_allclose(wide["insertion"][1.0], wide["deletion"][0.0], atol=1e-6)
    np.testing.assert_allclose(wide["insertion"][0.0], wide["deletion"][1.0], atol=1e-6)


def test_an_interrupted_stage_resumes_with_the_same_bytes(measured, models, tmp_path):
    directory = measured[0]
    shutil.copytree(directory, tmp_path / "resumed")
    resumed = tmp_path / "resumed"
    folder = SaliencyFolder(resumed)
    removed = [folder.images, folder.cell("other_seed", 1.0, 1), folder.cell("trained", FADED, 0)]
    removed.append(folder.maps(FADED, 0))
    finished = resumed / "cells" / "fold_0" / "trained-ratio_1.parquet"
    written = finished.stat().st_mtime_ns
    for path in removed:
        path.unlink()
    measure_saliency(make_plan(resumed, models))
    for path in removed:
        assert sha256_file(path) == sha256_file(directory / path.relative_to(resumed)), path.name
    assert finished.stat().st_mtime_ns == written


def test_a_finished_stage_reads_nothing(measured, models):
    def read_nothing(ratio):
        raise AssertionError("nothing is missing")

    table = measure_saliency(make_plan(measured[0], models, read_nothing))
    pd.testing.assert_frame_equal(table, measured[1])


def test_images_without_a_lesion_mark_stop_the_stage(models, tmp_path):
    def unmarked(ratio):
        examples = read(ratio)
        examples.masks[:] = 0
        return examples

    with pytest.raises(SaliencyError, match=r"no held-out positive image has a lesion mark.*leave --saliency out"):
        measure_saliency(make_plan(tmp_path, models, unmarked))


def test_panels_show_true_positives_first_sorted_by_id(measured, tmp_path):
    directory = tmp_path / "panels"
    shutil.copytree(measured[0] / "maps", directory / "maps")
    write_panels(SaliencyFolder(directory), measured[1], "ig_mean")
    names = sorted(path.name for path in (directory / "panels").glob("*.png"))
    assert len(names) == 2 * 3
    assert all(name.endswith((f"_{FADED:g}.png", "_1.png")) for name in names)
    with Image.open(directory / "panels" / names[0]) as panel:
        pixels = np.asarray(panel)
    assert pixels.shape[1] == 240
    assert pixels.shape[0] == 2 * 240 + 4
    turquoise = (pixels == (64, 224, 208)).all(-1)
    assert turquoise[:240].sum() == turquoise[244:].sum() > 50
    assert (np.ptp(pixels[244:].astype(int), axis=-1) > 60).sum() > (
        np.ptp(pixels[:240].astype(int), axis=-1) > 60
    ).sum()
    table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("ppqr"), "score": [-1.0, 2.0, 3.0, -2.0]})
    assert choose_images(table) == ["b", "c", "d"]
