"""Published data sets, each from a miniature of its published layout."""

import dataclasses
import itertools
import json
import logging
import pickle

import numpy as np
import pytest
from published_trees import SHAPE, TREES, cbis_ddsm, inbreast, opened, rectangle, summary, table, vindr_mammo
from pydicom import dcmread

from mammo_jax.sources import SourceError
from mammo_jax.sources.datasets import DATASETS, PublishedConfig, PublishedSource
from mammo_jax.sources.dicom import is_dicom
from mammo_jax.sources.folder import Folder


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_a_source(name, tmp_path):
    source = opened(name, tmp_path)
    rows = source.table()
    json.dumps(rows)
    assert len(source) == len(rows) > 0
    assert len({row["image_id"] for row in rows}) == len(rows)
    assert source.patients() == [row["patient_id"] for row in rows]
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    for row, mammogram, again in zip(rows, source, copy):
        assert (mammogram.image_id, mammogram.patient_id) == (row["image_id"], row["patient_id"])
        assert (mammogram.label, mammogram.pixels.shape) == (row["label"], SHAPE)
        assert len(mammogram.lesions) == len(row["lesions"])
        np.testing.assert_array_equal(mammogram.pixels, again.pixels)
    with pytest.raises(IndexError):
        source[len(source)]


@pytest.mark.parametrize("name", ["vindr-mammo", "cmmd"])
def test_presentation_and_processing_are_not_mixed(name, tmp_path):
    directory = TREES[name](tmp_path)
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() and is_dicom(path)]
    for path, intent in zip(files, itertools.cycle(("PRESENTATION", "PROCESSING"))):
        instance = dcmread(path)
        instance.PresentationIntentType = f"FOR {intent}"
        instance.save_as(path)
    with pytest.raises(SourceError, match=r"is FOR PR.*, and .* is FOR PR.*; keep the files of one kind"):
        PublishedSource(DATASETS[name], directory)


def test_inbreast_takes_patients_from_file_names_and_labels_from_birads(tmp_path, caplog):
    source = opened("inbreast", tmp_path)
    assert summary(source) == {
        "20586908": ("6c613a14b80a8591", "normal", "R", "CC"),
        "20586934": ("6c613a14b80a8591", "malignant", "L", "MLO"),
        "20587054": ("b6a4f750c6df4f90", "malignant", "R", "CC"),
        "20587080": ("b6a4f750c6df4f90", "benign", "R", "MLO"),
    }
    assert "1 images are left out: the rule for BI-RADS has no label" in caplog.text
    normal, mass, group, few = source
    assert (normal.lesions, few.lesions, few.density, group.density) == ((), (), "3", None)
    (lesion,) = mass.lesions  # the calcification inside is part of it
    assert (lesion.label, lesion.kind) == ("malignant", "mass")
    np.testing.assert_array_equal(lesion.mask, rectangle(slice(10, 21), slice(5, 16)))
    (lesion,) = group.lesions
    assert (lesion.kind, int(lesion.mask.sum()), lesion.row, lesion.column) == ("calcifications", 5, 22, 22)


def test_the_rule_for_birads_can_be_changed(tmp_path):
    config = {"birads_benign": ("2", "3", "4A"), "birads_malignant": ("4", "5", "6"), "birads_normal": ("0", "1")}
    labels = {row["image_id"]: row["label"] for row in opened("inbreast", tmp_path, **config).table()}
    assert (labels["20587054"], labels["20587148"]) == ("benign", "normal")
    rule = PublishedConfig()
    assert [rule.label(text) for text in ("BI-RADS 4", "4c", " 6", "3", "1", "0", "")] == [
        "malignant", "malignant", "malignant", "benign", "normal", None, None,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="category 4A is named twice"):
        PublishedConfig(birads_benign=("2", "4a"), birads_malignant=("4A", "5"))


def test_inbreast_with_a_damaged_property_list(tmp_path):
    inbreast(tmp_path)
    marks = tmp_path / "INbreast Release 1.0" / "AllXML" / "20586934.xml"
    for damaged in (b"<plist>", b"", b'<?xml version="1.0"?><plist version="1.0"><dict></dict></plist>'):
        marks.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"20586934\.xml: is not a property list of regions"):
            PublishedSource(DATASETS["inbreast"], tmp_path)


def test_vindr_mammo_has_boxes_parts_and_a_category_for_each_finding(tmp_path):
    source = opened("vindr-mammo", tmp_path)
    assert summary(source) == {
        "i1": ("s1", "malignant", "L", "CC"),
        "i2": ("s1", "malignant", "L", "MLO"),
        "i3": ("s1", "normal", "R", "CC"),
        "i4": ("s2", "benign", "R", "MLO"),
    }
    mass, calcifications = source[0].lesions
    assert (mass.label, mass.kind) == ("malignant", "mass")
    assert (calcifications.label, calcifications.kind) == ("benign", "calcifications")
    assert (calcifications.row, calcifications.column) == (27.5, 22)
    np.testing.assert_array_equal(calcifications.mask, rectangle(slice(25, 31), slice(20, 25)))
    assert [lesion.label for lesion in source[1].lesions] == ["malignant"]  # without a category of its own
    assert source[0].density == "DENSITY C"
    root = tmp_path / "vindr-mammo"
    assert PublishedSource(DATASETS["vindr-mammo"], root, PublishedConfig(split="test")).patients() == ["s2"]
    assert len(PublishedSource(DATASETS["vindr-mammo"], root, PublishedConfig(split="train"))) == 3


def test_a_finding_worse_than_its_breast_makes_the_image_worse(tmp_path):
    path = vindr_mammo(tmp_path) / "breast-level_annotations.csv"
    path.write_text(path.read_text().replace("BI-RADS 4", "BI-RADS 2"))
    assert [row["label"] for row in PublishedSource(DATASETS["vindr-mammo"], tmp_path).table()][:2] == [
        "malignant",
        "benign",
    ]


def test_cmmd_labels_the_breasts_of_its_table(tmp_path, caplog):
    source = opened("cmmd", tmp_path)
    assert summary(source) == {
        "D1-0001_R_CC_1-3": ("D1-0001", "benign", "R", "CC"),
        "D1-0001_R_MLO_1-4": ("D1-0001", "benign", "R", "MLO"),
        "D2-0002_L_CC_1-1": ("D2-0002", "malignant", "L", "CC"),
        "D2-0002_L_MLO_1-2": ("D2-0002", "malignant", "L", "MLO"),
        "D2-0002_R_CC_1-3": ("D2-0002", "benign", "R", "CC"),
        "D2-0002_R_MLO_1-4": ("D2-0002", "benign", "R", "MLO"),
    }
    assert "2 images are left out: their breast is not in" in caplog.text
    assert source[0].bits_stored == 8


def test_rsna_2023_is_labelled_by_cancer_and_biopsy(tmp_path):
    source = opened("rsna-2023", tmp_path)
    assert summary(source) == {
        "462822612": ("10006", "normal", "L", "CC"),
        "1459541791": ("10006", "malignant", "R", "MLO"),
        "220375232": ("10011", "benign", "L", "CC"),
    }
    assert [mammogram.density for mammogram in source] == [None, "C", "B"]
    with pytest.raises(SourceError, match="--split test: this data set has no published parts; leave it out"):
        PublishedSource(DATASETS["rsna-2023"], tmp_path / "rsna-2023", PublishedConfig(split="test"))


def test_cdd_cesm_reads_low_energy_images_and_shapes(tmp_path):
    source = opened("cdd-cesm", tmp_path)
    assert summary(source) == {
        "P1_L_DM_MLO": ("P1", "malignant", "L", "MLO"),
        "P1_R_DM_CC": ("P1", "normal", "R", "CC"),
        "P2_R_DM_CC": ("P2", "benign", "R", "CC"),
    }
    polygon, circle = source[0].lesions
    np.testing.assert_array_equal(polygon.mask, rectangle(slice(10, 21), slice(5, 16)))
    assert (circle.row, circle.column) == pytest.approx((25, 12), abs=0.2)
    (ellipse_,) = source[2].lesions
    rows, columns = np.nonzero(ellipse_.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((14, 26, 9, 15), abs=1)
    assert all(mammogram.already_lossy and mammogram.bits_stored == 8 for mammogram in source)


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("cbis-ddsm", "manifest-1542731172463", "CBIS-DDSM is missing"),
        ("inbreast", "INbreast Release 1.0/INbreast.csv", "INbreast.csv is missing"),
        ("vindr-mammo", "finding_annotations.csv", "finding_annotations.csv is missing"),
        ("cmmd", "CMMD_clinicaldata_revision.xlsx", "CMMD_clinicaldata_revision.xlsx is missing"),
        ("rsna-2023", "train_images", "none of the images that its tables list is there; the first would be"),
        ("cdd-cesm", "Radiology-manual-annotations.xlsx", "Radiology-manual-annotations.xlsx is missing"),
    ],
)
def test_what_is_missing_is_named(name, file, said, tmp_path):
    root = TREES[name](tmp_path / "data")
    (root / file).rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=said):
        PublishedSource(DATASETS[name], root)
    with pytest.raises(SourceError, match="is no folder"):
        PublishedSource(DATASETS[name], tmp_path / "nowhere")


def test_a_table_cannot_lead_out_of_the_folder(tmp_path):
    root = cbis_ddsm(tmp_path)
    path = root / "mass_case_description_test_set.csv"
    path.write_text(path.read_text().replace("Mass-Test_P_00004_LEFT_CC/", "../../../secret/", 1))
    with pytest.raises(SourceError, match="line 3, field 'image file path': is not CASE/STUDY/SERIES/FILE"):
        PublishedSource(DATASETS["cbis-ddsm"], root)
    path = vindr_mammo(tmp_path / "vindr") / "breast-level_annotations.csv"
    for outside in ("../../secret", "/secret"):
        path.write_text(path.read_text().replace("s2,", f"{outside},", 1))
        with pytest.raises(SourceError, match=r"breast-level_annotations\.csv: names a file outside"):
            PublishedSource(DATASETS["vindr-mammo"], tmp_path / "vindr")
        path.write_text(path.read_text().replace(f"{outside},", "s2,", 1))


def test_the_table_changes_with_every_mark(tmp_path):
    first = opened("vindr-mammo", tmp_path).table()
    path = tmp_path / "vindr-mammo" / "finding_annotations.csv"
    path.write_text(path.read_text().replace("20.5", "21.5"))
    assert PublishedSource(DATASETS["vindr-mammo"], tmp_path / "vindr-mammo").table() != first


def test_a_csv_table_may_have_left_and_right_and_upper_case(tmp_path, caplog):
    cells = [("path", "patient_id", "label", "laterality"), ("a.png", "P1", "MALIGNANT", "LEFT")]
    path = table(tmp_path / "images.csv", [*cells, ("b.png", "P2", "Benign", "Right"), ("c.png", "P3", "normal", "L")])
    with caplog.at_level(logging.WARNING):
        source = Folder(path, plain_ids=True, bits_stored=8)
    assert source.labels() == ["malignant", "benign", "normal"]
    assert [row["laterality"] for row in source.table()] == ["L", "R", "L"]
    assert "labels in upper case are taken as normal, benign, malignant" in caplog.text
    path.write_text(path.read_text().replace("MALIGNANT", "CANCER"))
    with pytest.raises(SourceError, match="'CANCER' is not one of normal, benign, malignant"):
        Folder(path, plain_ids=True, bits_stored=8)


def test_the_config_is_frozen_and_shown():
    assert dataclasses.asdict(PublishedConfig())["birads_malignant"] == ("4", "5", "6")
