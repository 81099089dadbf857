"""`mammo-jax plan`: what it says and refuses before anything is made, and that a study begins with it."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from mammo_jax.errors import UserError
from mammo_jax.files import write_json
from mammo_jax.jobs import plan, study
from mammo_jax.jobs.config import StudyConfig, parse
from mammo_jax.planning.errors import PlanError
from mammo_jax.planning.features import check_features
from mammo_jax.run_folder import RunFolder
from mammo_jax.training_config import TrainingConfig

TINY = [
    "--images",
    "96",
    "--rows",
    "416",
    "--columns",
    "320",
    "--phantom-pitch",
    "0.56",
    "--ratios",
    "8",
    "60",
    "--workers",
    "1",
]


def table_of(folder, labels, header="path,patient_id,label", cells=""):
    image = np.zeros((60, 40), np.uint8)
    image[5:55, :30] = 100 + np.arange(30)
    for number in range(len(labels)):
        Image.fromarray(image + np.uint8(number)).save(folder / f"{number}.png")
    rows = [f"{number}.png,P{number},{label}{cells}" for number, label in enumerate(labels)]
    (folder / "images.csv").write_text("\n".join([header, *rows]))
    flags = ["--source", "folder", "--table", str(folder / "images.csv"), "--plain-ids", "--ratios", "8"]
    return [*flags, "--workers", "1", "--out", str(folder / "run")]


def test_a_plan_counts_what_will_be_done_and_writes_nothing(tmp_path, capsys):
    plan.main([*TINY, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().out
    assert "96 of 24 patients, 416 × 320 pixels; headers checked" in said
    assert "to 2 ratios (8, 60) with mammo_jax" in said
    assert "15 networks (cnn, 64 × 64 pixels), at most 32 epochs each, and 45 tests" in said
    assert "warning: " in said
    assert "so it will most likely be 'cannot tell'" in said
    assert not (tmp_path / "run").exists()


def test_tests_are_counted_as_they_are_made():
    config = StudyConfig(ratios=(15.0, 50.0), seeds=(0, 1), mixed=True)
    counts = {
        matrix: plan._work(dataclasses.replace(config, transfer_matrix=matrix), [], 1).tests for matrix in (True, False)
    }
    assert counts == {True: 2 * 5 * 4 * 3, False: 2 * 5 * (3 + 1 + 1 + 3)}


def test_a_study_begins_with_its_plan_which_stands_in_the_log(tmp_path, monkeypatch, capsys):
    config = parse([*TINY, "--out", str(tmp_path / "run")])
    monkeypatch.setattr(study, "prepare", lambda config: (_ for _ in ()).throw(UserError("stopped here")))
    with pytest.raises(UserError, match="stopped here"):
        study.study(config)
    assert capsys.readouterr().err.startswith(f"plan for {tmp_path / 'run'}\n  images    96 of 24 patients")
    (line,) = [json.loads(line) for line in config.run.log.read_text().splitlines()]
    assert line["event"] == "plan"
    assert line["trainings"] == 15
    assert sum(fold["positive"] for fold in line["folds"]) > 5
    assert line["memory_bytes"] > 10**8
    assert line["devices"].endswith("cpu")


def test_images_that_cannot_be_used_are_counted_by_reason(tmp_path, capsys):
    flags = table_of(tmp_path, ["malignant", "normal"] * 8)
    (tmp_path / "3.png").write_bytes(b"no image")
    plan.main([*flags, "--unit", "whole"])
    said = capsys.readouterr().out
    assert "15 of 15 patients, 60 × 40 pixels" in said
    assert "warning: 1 of 16 images cannot be used: 1 × is neither PNG, TIFF" in said
    for number in range(16):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(SystemExit, match=r"^error: no image can be used: 16 × is neither"):
        plan.main([*flags, "--unit", "whole"])


def test_images_that_are_too_small_for_a_ratio_are_said(tmp_path):
    flags = table_of(tmp_path, ["malignant", "normal"] * 8)
    with pytest.raises(SystemExit, match="16 × too small for a compression ratio of 1000"):
        plan.main([*flags, "--unit", "whole", "--ratios", "8", "1000"])


def test_patches_need_marked_lesions(tmp_path, capsys):
    flags = [*table_of(tmp_path, ["malignant", "normal"] * 8), "--unit", "patch", "--pixel-pitch", "1.4"]
    with pytest.raises(SystemExit, match=r"no lesion is marked; add lesion_row.*--unit whole"):
        plan.main(flags)
    table = (tmp_path / "images.csv").read_text().replace("label", "label,lesion_row,lesion_column,lesion_radius")
    marked = table.replace("malignant", "malignant,20,15,4").replace("normal", "normal,,,")
    (tmp_path / "images.csv").write_text(marked.replace("P0,malignant,20,15,4", "P0,malignant,,,"))
    plan.main(flags)
    said = capsys.readouterr().out
    assert "warning: 1 positive images have no marked lesion" in said
    assert "each with 1 to 2 positive and 3 to 4 negative patients" in said


def test_a_network_that_cannot_be_had_is_refused_before_an_image_is_read(tmp_path):
    for flags, words in {
        ("--model", "no.such:Net"): "importable from the current folder",
        ("--model", "resnet18", "--pretrained", str(tmp_path / "none.pth")): "is not a file",
        ("--window", "32"): "--features-from",
        ("--features-from", str(tmp_path)): "has no finished network",
    }.items():
        with pytest.raises(SystemExit, match=words):
            plan.main([*TINY, "--out", str(tmp_path / "run"), *flags])


def test_networks_to_start_from_fit_and_know_none_of_the_tested_patients(tmp_path):
    features, config = RunFolder(tmp_path), TrainingConfig()
    record = {
        "config": {"model": "cnn", "filters": [8, 16, 32], "first_kernel": "sum"},
        "training_patients": ["a", "b"],
    }

    def check(held_out=("c",), **changes):
        write_json(features.model(0, 1.0, 0).checkpoint / "metadata" / "metadata", record)
        check_features(features, [0], [1.0], [frozenset(held_out)], dataclasses.replace(config, **changes))

    check()
    with pytest.raises(PlanError, match=r"was trained on 1 patients of fold 0"):
        check(held_out=("b", "c"))
    with pytest.raises(PlanError, match=r"has filters \[8, 16, 32\], this study \(4, 8, 16\)"):
        check(filters=(4, 8, 16))
    with pytest.raises(PlanError, match=r"fold_1 has no finished network"):
        check_features(features, [0], [1.0], [frozenset(), frozenset()], config)


def test_a_plan_of_one_of_several_machines_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="plan the study without it"):
        plan.main([*TINY, "--out", str(tmp_path / "run"), "--distributed"])
