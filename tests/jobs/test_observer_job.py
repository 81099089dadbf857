"""The job on a run folder as `prepare` and `study` leave it, without compression and without networks."""

import pandas as pd
import pytest
from prediction_tables import predictions_table
from synthetic_observer_plan import CONTRASTS, SIZE, examples, tables

from mammo_jax.dataset.records import RecordWriter
from mammo_jax.files import read_json, write_json
from mammo_jax.jobs import observer
from mammo_jax.jobs.run_lock import locked
from mammo_jax.observer import stage
from mammo_jax.ratios import split_name
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.predictions import read_predictions, write_predictions

SETTINGS = {
    "ratios": [ratio for ratio in CONTRASTS if ratio > 1],
    "resamples": 100,
    "units": {"unit": "patch", "patch_mm": 16.0, "pixel_pitch": None},
}


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch):
    monkeypatch.setattr(stage, "PERMUTATIONS", 3)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("observer") / "run")
    part = run.dataset_part(0)
    part.path.mkdir(parents=True)
    writer = RecordWriter(part.path, tuple(CONTRASTS), SIZE, SIZE)
    by_ratio = {split_name(ratio): examples(ratio) for ratio in CONTRASTS}
    writer.add({split: [record(table, row) for row in range(len(table))] for split, table in by_ratio.items()})
    writer.close()
    for path, table in zip((run.audit, run.images), tables(examples())):
        table.to_csv(path, index=False)
    write_json(run.config, {"config": SETTINGS})
    write_json(run.dataset_complete, {"images": 160, "data_sha256": "0" * 64})
    return run


def record(table, row):
    return {
        **{"image": table.images[row], "mask": table.masks[row], "breast": table.breasts[row]},
        **{"label": table.labels[row], "target": table.targets[row], "fold": table.folds[row]},
        **{"image_id": table.image_ids[row], "patient_id": table.patient_ids[row], "laterality": ""},
        **{"codestream_bytes": 1, "psnr": 40.0},
    }


def run_job(run):
    observer.main(["--out", str(run.path)])


def test_it_is_done_once_and_only_summarised_again_where_the_network_is_new(prepared, capsys):
    run_job(prepared)
    assert f"observers: {prepared.observer_summary}" in capsys.readouterr().out
    scores = read_predictions(prepared.observer_predictions)
    assert set(scores["model"]) == {"observer", "resized", "blind", "statistics", *stage.SHORTCUTS}
    assert (scores.groupby(["model", "train_ratio", "test_ratio", "seed"]).size() == 320).all()
    first = read_json(prepared.observer_summary)
    assert first["predictions_sha256"] is None
    written = [path.stat().st_mtime_ns for path in (prepared.observer_predictions, prepared.observer_summary)]
    assert observer.observe(prepared) is False
    assert written == [path.stat().st_mtime_ns for path in (prepared.observer_predictions, prepared.observer_summary)]

    write_predictions(prepared.predictions, predictions_table({("1", 1.0): 0.0, ("1", 15.0): 0.1}))
    assert observer.observe(prepared) is True
    assert written[0] == prepared.observer_predictions.stat().st_mtime_ns
    second = read_json(prepared.observer_summary)
    network = [row for row in second["curves"] if row["arm"] == "network"]
    assert [row["ratio"] for row in network] == [1.0, 15.0]
    assert [row for row in second["curves"] if row["arm"] != "network"] == first["curves"]


def test_other_images_are_scored_anew(prepared):
    observer.observe(prepared)
    before = prepared.observer_predictions.stat().st_mtime_ns
    write_json(prepared.dataset_complete, {"images": 160, "data_sha256": "1" * 64})
    assert observer.observe(prepared) is True
    assert prepared.observer_predictions.stat().st_mtime_ns > before


def test_the_side_of_a_patch_comes_from_each_images_pitch(prepared):
    images = pd.read_csv(prepared.images)
    plan = observer._plan(prepared, SETTINGS)
    assert (plan.sides == 64.0).all()  # 16 mm at 0.25 mm a pixel
    assert plan.ratios == (1.0, 15.0, 1000.0)
    assert list(plan.sides.index) == list(images["image_id"])


def test_without_a_prepared_study_it_says_what_to_do(tmp_path):
    with pytest.raises(SystemExit, match=r"^error: .*: no prepared study; run `mammo-jax prepare --out .*` first$"):
        observer.main(["--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("unit", ["whole", "frame"])
def test_other_units_than_patches_are_refused_by_name(tmp_path, unit):
    run = RunFolder(tmp_path / "run")
    write_json(run.config, {"config": SETTINGS | {"units": {"unit": unit}}})
    write_json(run.dataset_complete, {"data_sha256": "0"})
    with pytest.raises(SystemExit, match=rf"it was made with --unit {unit}, .* name a study with --unit patch"):
        run_job(run)


def test_a_run_that_another_process_works_in_is_left_alone(tmp_path):
    run = RunFolder(tmp_path / "run")
    with locked(run.path), pytest.raises(SystemExit, match=r"works here since .* wait for it"):
        run_job(run)
    assert not run.log.exists()
