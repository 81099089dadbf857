"""Errors of the first stage are one line that says what to do; another codec than ours is asked for by name."""

import imagecodecs
import numpy as np
import pandas as pd
import pytest

from mammo_jax.jobs import prepare
from mammo_jax.report import sections
from mammo_jax.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("without_processes")

TINY = [
    "--images",
    "8",
    "--rows",
    "416",
    "--columns",
    "320",
    "--phantom-pitch",
    "0.56",
    "--folds",
    "2",
    "--workers",
    "1",
]


def test_a_folder_of_damaged_files_is_one_clear_error(tmp_path):
    rows = ["path,patient_id,label"]
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
        rows.append(f"{number}.png,P{number},{'malignant' if number % 2 else 'normal'}")
    (tmp_path / "images.csv").write_text("\n".join(rows))
    flags = ["--source", "folder", "--source-dir", str(tmp_path / "images.csv"), "--plain-ids", "--unit", "whole"]
    with pytest.raises(SystemExit, match=r"no image could be used: 10 × .*; .*left_out\.csv"):
        prepare.main([*flags, "--out", str(tmp_path / "run"), "--workers", "1"])
    left_out = pd.read_csv(tmp_path / "run" / "left_out.csv")
    assert len(left_out) == 10
    assert left_out["reason"].str.contains(r"\.png").all()
    assert not (tmp_path / "run" / "dataset" / "complete.json").exists()


def test_a_ratio_that_a_codec_cannot_have_is_refused_before_anything_is_compressed(tmp_path):
    flags = [*TINY, "--codec", "htj2k", "--ratios", "8", "11000", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match=r"HTJ2K .* can compress phantom\S* \S+ times at most; ask for --ratios up to"):
        prepare.main(flags)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left <= {"log.jsonl", ".lock"}  # so that other ratios may be tried in the same folder


def test_the_audit_of_another_codec_names_it_and_holds_its_sizes(tmp_path):
    flags = [*TINY, "--target", "lesion", "--codec", "htj2k", "--ratios", "8", "60", "--out", str(tmp_path / "run")]
    prepare.main(flags)
    audit = pd.read_csv(tmp_path / "run" / "audit.csv")
    assert len(audit) == 8 * 2
    assert audit["codec"].str.startswith("HTJ2K (openjph").all()
    assert (audit["codestream_bytes"] <= audit["target_bytes"]).all()
    assert (audit["codestream_bytes"] > 0.9 * audit["target_bytes"]).mean() > 0.9
    assert (audit["ratio_allocated"] >= audit["ratio"]).all()
    by_ratio = audit.groupby("ratio")["psnr_breast"].median()
    assert by_ratio[8] > by_ratio[60] > 20


def folder_of_images(folder, rows):
    for number in range(len(rows)):
        image = np.zeros((60, 40), np.uint8)
        image[5:55, :30] = 100 + np.random.default_rng(number).integers(0, 50, (50, 30))
        (folder / f"{number}.png").write_bytes(imagecodecs.png_encode(image))
    text = ["path,patient_id,label", *(f"{number}.png,P{number},{label}" for number, label in enumerate(rows))]
    (folder / "images.csv").write_text("\n".join(text))
    flags = ["--source", "folder", "--source-dir", str(folder / "images.csv"), "--plain-ids", "--unit", "whole"]
    flags += ["--input-rows", "32", "--input-columns", "32", "--ratios", "8", "--folds", "2", "--workers", "1"]
    return [*flags, "--target", "malignant", "--out", str(folder / "run")]


def test_a_run_refuses_a_table_that_was_changed_after_it_began(tmp_path):
    labels = ["malignant", "malignant", "normal", "normal"]
    flags = folder_of_images(tmp_path, labels)
    prepare.main(flags)
    audit = (tmp_path / "run" / "audit.csv").read_bytes()
    table = (tmp_path / "images.csv").read_text()
    for changed in (table.replace("0.png,P0,malignant", "0.png,P0,benign"), table.replace("1.png,P1", "1.png,P0")):
        (tmp_path / "images.csv").write_text(changed)
        with pytest.raises(SystemExit, match=r"images\.csv: .* not those that .*run was begun with .*another --out"):
            prepare.main(flags)
    (tmp_path / "images.csv").write_text(table + "\n")
    prepare.main(flags)
    (tmp_path / "images.csv").unlink()  # the dataset made of it is complete
    prepare.main(flags)
    assert (tmp_path / "run" / "audit.csv").read_bytes() == audit


def test_patches_of_images_of_unknown_size_say_what_is_missing(tmp_path):
    flags = folder_of_images(tmp_path, ["malignant", "malignant", "normal", "normal"])
    flags[flags.index("whole")] = "patch"
    table = (tmp_path / "images.csv").read_text().replace("label", "label,lesion_row,lesion_column,lesion_radius")
    table = table.replace("malignant", "malignant,20,15,4").replace("normal", "normal,,,")
    (tmp_path / "images.csv").write_text(table)
    with pytest.raises(
        SystemExit, match=r"4 of 4 images cannot be used.*: pixel_pitch is unknown.*give it with --pixel-pitch"
    ):
        prepare.main(flags)


def test_ids_that_look_like_nothing_are_ids(tmp_path):
    flags = folder_of_images(tmp_path, ["malignant", "malignant", "normal", "normal"])
    rows = zip((tmp_path / "images.csv").read_text().splitlines(), ["image_id", "NA", "null", "None", "nan"])
    (tmp_path / "images.csv").write_text("\n".join(f"{row},{image_id}" for row, image_id in rows).replace("P0", "NA"))
    prepare.main(flags)
    assert (tmp_path / "run" / "dataset" / "complete.json").exists()
    assert [fold["malignant"] for fold in sections.classes_by_fold(RunFolder(tmp_path / "run"))] == [1, 1]
    assert sections.read_table(tmp_path / "run" / "images.csv", ())["image_id"].tolist() == [
        "NA",
        "null",
        "None",
        "nan",
    ]


def test_a_left_out_image_is_tried_again_once_it_can_be_used_and_its_path_is_kept_apart(tmp_path):
    flags = folder_of_images(tmp_path, ["malignant", "malignant", "normal", "normal", "normal"])
    run, good = tmp_path / "run", (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(b"damaged")
    prepare.main(flags)
    (left_out,) = pd.read_csv(run / "left_out.csv").to_dict("records")
    assert left_out["image_id"] == 4
    assert str(tmp_path / "4.png") in left_out["reason"]
    assert "tmp" not in left_out["problem"]
    assert left_out["problem"] in left_out["reason"]
    (run / "dataset" / "complete.json").unlink()  # as an interruption leaves it
    written = (run / "dataset" / "part-00000" / "tables.json").stat().st_mtime_ns
    prepare.main(flags)
    assert (run / "dataset" / "part-00000" / "tables.json").stat().st_mtime_ns == written, "nothing has changed"
    (run / "dataset" / "complete.json").unlink()
    (tmp_path / "4.png").write_bytes(good)
    prepare.main(flags)
    assert len(pd.read_csv(run / "images.csv")) == 5
    assert not sections.left_out(RunFolder(run))
    assert {path.name for path in (run / "dataset").iterdir()} == {"part-00000", "complete.json"}


def test_one_image_twice_is_reported(tmp_path, caplog):
    flags = folder_of_images(tmp_path, ["malignant", "malignant", "normal", "normal", "normal"])
    (tmp_path / "3.png").write_bytes((tmp_path / "2.png").read_bytes())
    (tmp_path / "images.csv").write_text((tmp_path / "images.csv").read_text().replace("P3", "P2"))
    prepare.main(flags)
    assert "1 images are there more than once, under the same patient, first 2 = 3" in caplog.text
