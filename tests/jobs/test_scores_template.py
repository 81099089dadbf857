"""A finished model: compress, lay out the table, score, evaluate."""

import csv
import functools
import json

import imagecodecs
import numpy as np
import pandas as pd
import pytest
from dicom_files import dataset, write

from mammo_jax.compression import batch
from mammo_jax.compression.score_template import COLUMNS
from mammo_jax.jobs import compress, evaluate, scores_template

PIXELS = np.random.default_rng(0).integers(0, 4096, (64, 80)).astype(np.uint16)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Return a function that compresses an archive with some flags, in this process, once for each choice of flags."""

    @functools.cache
    def made(*flags):
        archive = write_archive(tmp_path_factory.mktemp("archive") / "archive")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batch, "results_within_limits", lambda function, files, *_: map(function, files))
            key = ["--id-key", str(archive.parent / "key")]
            compress.main([str(archive), "--ratios", "8", "20", "--out", str(archive.parent / "out"), *key, *flags])
        return archive.parent / "out"

    return made


def write_archive(folder):
    """Write two DICOM files of two women, and a PNG file of a third."""
    (folder / "sub").mkdir(parents=True)
    (folder.parent / "key").write_bytes(b"k" * 32)
    for number, name in enumerate(("a.dcm", "sub/b.dcm")):
        instance = dataset(PIXELS ^ number, PatientID=f"woman {number}")
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        write(folder / name, instance)
    (folder / "c.png").write_bytes(imagecodecs.png_encode(PIXELS ^ 2))
    return folder


def template(out, *flags):
    path = out.parent / "scores.csv"
    key = out.parent / "key"
    path.unlink(missing_ok=True)
    scores_template.main(["--from", str(out), "--out", str(path), "--id-key", str(key), *flags])
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def labels_file(out, rows):
    path = out.parent / "labels.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return ["--labels", str(path)]


LABELS = [
    ("path", "label", "patient_id", "laterality"),
    ("a.dcm", "MALIGNANT", "", "LEFT"),
    ("sub/b.dcm", "benign", "", "R"),
    ("c.png", "normal", "woman 2", ""),
    ("elsewhere.dcm", "normal", "", ""),
]


def test_the_whole_way_of_a_finished_model(archives, capsys):
    out = archives()
    table = template(out, *labels_file(out, LABELS))
    said = capsys.readouterr().out
    assert "3 images at 3 ratios, 1 included" in said
    assert "1 rows of" in said
    assert "fill it in" not in said
    assert list(table.columns) == list(COLUMNS)
    sizes = pd.read_csv(out / "sizes.csv", dtype=str, keep_default_na=False)
    assert set(table["image_id"]) == set(sizes["image_id"])
    by_image = table.groupby("image_id")
    assert by_image["ratio"].agg(list).tolist() == [["1", "8", "20"]] * 3
    assert (by_image[["patient_id", "label", "breast"]].nunique() == 1).all(axis=None)
    of_file = table[table["ratio"] == "1"].set_index("file")
    assert of_file["label"].to_dict() == {"a.dcm": "1", "sub/b.dcm": "0", "c.png": "0"}
    assert of_file["breast"].to_dict() == {"a.dcm": "L", "sub/b.dcm": "R", "c.png": ""}
    assert of_file["sop_instance_uid"].to_dict() == {"a.dcm": "1.2.3.0", "sub/b.dcm": "1.2.3.1", "c.png": ""}
    assert table["patient_id"].nunique() == 3
    assert not table["patient_id"].str.contains("woman").any()
    others = table[table["ratio"] != "1"]
    assert set(others["file"]) == {f"ratio_{r}/{n}" for r in (8, 20) for n in ("a.dcm", "sub/b.dcm", "c.j2k")}
    assert all((out / name).is_file() for name in others["file"])

    path = out.parent / "scores.csv"
    with pytest.raises(SystemExit, match="column 'score', row 2: '' is not a finite number"):
        evaluate.main(["--predictions", str(path), "--frozen", "--out", str(out.parent / "run")])
    table.assign(score=table["label"].astype(float) + np.arange(len(table)) / 100).to_csv(path, index=False)
    evaluate.main(["--predictions", str(path), "--frozen", "--out", str(out.parent / "run"), "--resamples", "200"])
    assert "Cannot tell" in capsys.readouterr().out
    metrics = json.loads((out.parent / "run" / "metrics.json").read_text())
    assert metrics["primary_model"] == "frozen model"


def test_without_labels_the_cells_stay_empty(archives, capsys):
    table = template(archives())
    assert (table["label"] == "").all()
    said = capsys.readouterr().out
    assert "label: empty for 3 images; fill it in, or give it with --labels" in said
    assert "patient_id: empty for 1 images" in said


@pytest.mark.parametrize("flags", [(), ("--plain-ids",), ("--hashed-names",)])
@pytest.mark.parametrize("column", ["image_id", "path", "sop_instance_uid"])
def test_labels_are_joined_by_any_id_however_the_tables_hide_it(archives, flags, column):
    out = archives(*flags)
    sizes = pd.read_csv(out / "sizes.csv", dtype=str, keep_default_na=False)
    names = {"path": ["a.dcm", "sub/b.dcm"], "sop_instance_uid": ["1.2.3.0", "1.2.3.1"]}
    first_two = sizes[(sizes["new_sop_instance_uid"] != "") & (sizes["ratio"].astype(float) == 20)]
    values = names.get(column) or first_two["image_id"].tolist()
    table = template(out, *labels_file(out, [(column, "label"), *((value, "1") for value in values)]))
    labelled = table[table["label"] == "1"]
    assert sorted(labelled["image_id"].unique()) == sorted(first_two["image_id"])
    if "--hashed-names" in flags:
        assert (table.loc[table["ratio"] != "1", "file"] == "").all()
        assert not table.astype(str).apply(lambda cells: cells.str.contains(r"a\.dcm|1\.2\.3")).any(axis=None)


def test_layers_are_rows_of_one_file_and_a_lossless_one_is_none(archives):
    table = template(archives("--layers", "--syntax", "j2k-lossless"))
    assert table.groupby("image_id")["ratio"].agg(list).tolist() == [["1", "8", "20"]] * 3
    layers = table[table["ratio"] != "1"]
    assert set(zip(layers["ratio"], layers["layer"])) == {("20", "1"), ("8", "2")}
    assert set(layers["file"]) == {"a.dcm", "sub/b.dcm", "c.j2k"}


def test_files_have_the_extension_of_their_syntax(archives):
    out = archives("--syntax", "htj2k")
    files = template(out).query("ratio != '1'")["file"]
    assert set(files[~files.str.endswith(".dcm")]) == {"ratio_8/c.jhc", "ratio_20/c.jhc"}
    assert all((out / file).is_file() for file in files)


def test_what_cannot_be_used_is_refused_in_a_line(archives):
    out = archives()
    common = ["--from", str(out), "--out", str(out.parent / "new.csv")]
    key = ["--id-key", str(out.parent / "key")]
    for rows, said in (
        ([("name", "label"), ("a", "1")], "lacks a column to join by; give it one of image_id, path, sop_instance_uid"),
        ([("path", "label"), ("a.dcm", "cancer")], "line 2, field 'label': 'cancer' is not one of 0, 1, benign"),
        ([("path", "label"), ("a.dcm", "")], "line 2, field 'label': is empty"),
        ([("path", "label"), ("a.dcm", "1"), ("a.dcm", "0")], "line 3, field 'path': has another label"),
    ):
        with pytest.raises(SystemExit, match=said):
            scores_template.main([*common, *key, *labels_file(out, rows)])
    (out.parent / "other").write_bytes(b"o" * 32)
    with pytest.raises(SystemExit, match="hashed with another key"):
        scores_template.main([*common, "--id-key", str(out.parent / "other")])
    with pytest.raises(SystemExit, match=r"sizes\.csv: is missing"):
        scores_template.main(["--from", str(out.parent / "archive"), "--out", str(out.parent / "new.csv")])
    assert not (out.parent / "new.csv").exists()
    template(out)
    with pytest.raises(SystemExit, match=r"scores\.csv: is there already"):
        scores_template.main(["--from", str(out), "--out", str(out.parent / "scores.csv"), *key])


def test_target_abnormal_makes_benign_positive(archives):
    out = archives()
    table = template(out, *labels_file(out, LABELS), "--target", "abnormal")
    firsts = table[table["ratio"] == "1"].set_index("file")["label"]
    assert firsts.to_dict() == {"a.dcm": "1", "sub/b.dcm": "1", "c.png": "0"}


def test_five_columns_are_enough_for_a_frozen_model(tmp_path, capsys):
    random = np.random.default_rng(0)
    rows = [
        (f"P{patient}", f"i{patient}", ratio, patient % 2, patient % 2 + random.normal(0, 0.5))
        for patient in range(20)
        for ratio in (1, 15)
    ]
    table = pd.DataFrame(rows, columns=["patient_id", "image_id", "ratio", "label", "score"])
    table["comment"] = "any"
    path = tmp_path / "mine.csv"
    flags = ["--predictions", str(path), "--out", str(tmp_path / "run"), "--resamples", "200"]
    table.to_csv(path, index=False)
    evaluate.main([*flags, "--frozen"])
    assert "Cannot tell" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="column 'model' is missing"):
        evaluate.main(flags)
    table.assign(test_ratio=1).to_csv(path, index=False)
    with pytest.raises(SystemExit, match="has both ratio and test_ratio"):
        evaluate.main([*flags, "--frozen"])
    table.assign(label=1).to_csv(path, index=False)
    with pytest.raises(SystemExit, match="all 20 images are positive, so there is no AUROC; score images of both"):
        evaluate.main([*flags, "--frozen"])
