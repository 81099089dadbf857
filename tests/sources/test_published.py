"""Published data sets, each from a miniature of its published layout."""

import dataclasses
import json
import logging
import pickle

import numpy as np
import pytest
from published_trees import CBIS_MASSES, SHAPE, TREES, cbis_ddsm, cbis_mask, inbreast, table, vindr_mammo, workbook
from pydicom import dcmread

from mammo_jax.dataset.folds import make_folds
from mammo_jax.sources import SourceError
from mammo_jax.sources.datasets import DATASETS, PublishedConfig, PublishedSource
from mammo_jax.sources.folder import Folder
from mammo_jax.sources.regions import Region, ellipse, filled
from mammo_jax.sources.spreadsheets import read_sheet


def opened(name, tmp_path, **config):
    return PublishedSource(DATASETS[name], TREES[name](tmp_path / name), PublishedConfig(**config))


def summary(source):
    return {
        row["image_id"]: (row["patient_id"], row["label"], row["laterality"], row["view"]) for row in source.table()
    }


def rectangle(rows, columns):
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


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


@pytest.mark.parametrize("classic", [False, True])
def test_cbis_ddsm_knows_the_woman_and_merges_what_any_table_says_of_a_view(tmp_path, classic):
    source = PublishedSource(DATASETS["cbis-ddsm"], cbis_ddsm(tmp_path, classic=classic))
    assert summary(source) == {
        "P_00001_LEFT_CC": ("P_00001", "benign", "L", "CC"),
        "P_00001_LEFT_MLO": ("P_00001", "malignant", "L", "MLO"),
        "P_00002_RIGHT_CC": ("P_00002", "malignant", "R", "CC"),
        "P_00003_LEFT_CC": ("P_00003", "benign", "L", "CC"),
        "P_00004_LEFT_CC": ("P_00004", "malignant", "L", "CC"),
        "P_00005_LEFT_CC": ("P_00005", "benign", "L", "CC"),
    }
    lesions = {mammogram.image_id: mammogram.lesions for mammogram in source}
    both = lesions["P_00001_LEFT_MLO"]
    assert [(lesion.label, lesion.kind) for lesion in both] == [("benign", "mass"), ("malignant", "mass")]
    for number, lesion in enumerate(both, 1):
        np.testing.assert_array_equal(lesion.mask, cbis_mask(number) > 0)
    assert [lesion.kind for lesion in lesions["P_00002_RIGHT_CC"]] == ["mass", "calcifications"]


def test_no_woman_of_cbis_ddsm_is_in_two_folds_or_in_both_parts(tmp_path, caplog):
    source = opened("cbis-ddsm", tmp_path)
    folds = make_folds(source.patients(), [label == "malignant" for label in source.labels()], n_folds=2, seed=0)
    fold_of_woman = set(zip((image_id[:7] for image_id in summary(source)), folds.tolist()))
    assert len(fold_of_woman) == 5
    assert {fold for _, fold in fold_of_woman} == {0, 1}
    root = tmp_path / "cbis-ddsm"
    parts = {s: PublishedSource(DATASETS["cbis-ddsm"], root, PublishedConfig(split=s)) for s in ("train", "test")}
    assert set(parts["train"].patients()) == {"P_00001", "P_00002", "P_00005"}
    assert set(parts["test"].patients()) == {"P_00003", "P_00004"}
    assert not caplog.records


def test_a_test_patient_of_the_training_part_is_left_out(tmp_path, caplog):
    root = cbis_ddsm(tmp_path)
    path = root / "calc_case_description_test_set.csv"
    path.write_text(path.read_text().replace("P_00003,3", "P_00001,3", 1))  # another view of a training patient
    test = PublishedSource(DATASETS["cbis-ddsm"], root, PublishedConfig(split="test"))
    assert test.patients() == ["P_00004"]
    path.write_text(path.read_text().replace("LEFT,CC", "RIGHT,MLO", 1))
    caplog.clear()
    assert PublishedSource(DATASETS["cbis-ddsm"], root, PublishedConfig(split="test")).patients() == ["P_00004"]
    assert "1 test images are left out" in caplog.text


def test_cbis_ddsm_without_masks_or_of_masses_alone(tmp_path, caplog):
    root = cbis_ddsm(tmp_path)
    for path in root.glob("manifest*/CBIS-DDSM/*_[12]/*/*/*.dcm"):
        path.unlink()
    for path in root.glob("calc*.csv"):
        path.unlink()
    source = PublishedSource(DATASETS["cbis-ddsm"], root)
    assert source.patients() == ["P_00001", "P_00001", "P_00002", "P_00004"]
    assert all(mammogram.lesions == () for mammogram in source)
    next(root.glob("manifest*/CBIS-DDSM/Mass-Test_P_00004_LEFT_CC/*/*/1-1.dcm")).unlink()
    assert PublishedSource(DATASETS["cbis-ddsm"], root).patients() == ["P_00001", "P_00001", "P_00002"]
    assert "1 of 4 images are not there" in caplog.text


def test_a_mask_of_another_size_is_an_error_of_its_image(tmp_path):
    root = cbis_ddsm(tmp_path)
    folder = next(root.glob("manifest*/CBIS-DDSM/Mass-Test_P_00004_LEFT_CC_1/*/*"))
    (folder / "1-1.dcm").unlink()
    kept = folder / "1-2.dcm"
    crop = next(root.glob("manifest*/CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_1/*/*/1-2.dcm"))
    kept.write_bytes(crop.read_bytes())
    source = PublishedSource(DATASETS["cbis-ddsm"], root)
    with pytest.raises(SourceError, match="the mask must have the image's size 40×30, and is of 10×10"):
        source[source.patients().index("P_00004")]


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


def test_outlines_that_leave_the_image_are_clipped():
    mask = filled((((-5, -5), (-5, 3), (3, 3), (3, -5)),), (10, 10))
    np.testing.assert_array_equal(np.argwhere(mask), np.argwhere(np.pad(np.ones((4, 4)), ((0, 6), (0, 6)))))
    assert not filled(((), ((50.0, 50.0),)), (10, 10)).any()
    assert filled((ellipse(20, 20, 8, 15),), (41, 41)).sum() == pytest.approx(np.pi * 8 * 15, rel=0.05)
    assert filled((((2.2, 2.2), (2.4, 2.2), (2.4, 2.4)),), (5, 5)).sum() == 1
    with pytest.raises(SourceError, match="has no pixel inside the image"):
        Region("benign", None, (((50.0, 50.0),),)).lesion((10, 10), max_pixels=100)


def test_a_workbook_is_read_as_text(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx", {"first": [("name", "n", ""), ("  é & <b>", 3, "x"), ("", "", ""), ("b", 2.5)]}
    )
    rows = read_sheet(path, ("name", "n"))
    assert [(row.line, dict(row.cells)) for row in rows] == [
        (2, {"name": "é & <b>", "n": "3"}),
        (4, {"name": "b", "n": "2.5"}),
    ]
    for sheet, required, said in (("second", ("name",), "has no sheet 'second', only first"), (None, ("age",), "age")):
        with pytest.raises(SourceError, match=said):
            read_sheet(path, required, sheet=sheet)
    for damaged in (b"", b"PK\3\4", path.read_bytes()[:-30], path.read_bytes().replace(b"worksheets", b"worksheetz")):
        (tmp_path / "b.xlsx").write_bytes(damaged)
        with pytest.raises(SourceError, match=r"b\.xlsx: is not a readable \.xlsx workbook"):
            read_sheet(tmp_path / "b.xlsx", ("name",))


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


def test_real_mammograms_of_cbis_ddsm_in_the_layout_of_their_own_uids(tmp_path, shared_data):
    files = sorted((shared_data / "dicom" / "cbis-ddsm").glob("*.dcm"))
    rows = [CBIS_MASSES]
    for path in files:
        header = dcmread(path, specific_tags=["PatientID", "StudyInstanceUID", "SeriesInstanceUID"])
        case, study, series = header.PatientID, header.StudyInstanceUID, header.SeriesInstanceUID
        folder = tmp_path / "CBIS-DDSM" / case / f"10-04-2016-DDSM-NA-{study[-5:]}"
        (folder / f"1.000000-full mammogram images-{series[-5:]}").mkdir(parents=True)
        (folder / f"1.000000-full mammogram images-{series[-5:]}" / "1-1.dcm").symlink_to(path)
        patient, side, view = case.split("_", 1)[1].rsplit("_", 2)
        found = (f"{case}/{study}/{series}/000000.dcm", f"{case}_1/1.2/1.3/000000.dcm", f"{case}_1/1.2/1.3/000001.dcm")
        pathology = "BENIGN" if (side, view) == ("RIGHT", "MLO") else "MALIGNANT"
        rows.append((patient, 2, side, view, 1, "mass", "OVAL", "OBSCURED", 4, pathology, 4, *found))
    table(tmp_path / "mass_case_description_test_set.csv", rows)
    source = PublishedSource(DATASETS["cbis-ddsm"], tmp_path)
    assert [row["image_id"] for row in source.table()] == [
        "P_00820_LEFT_CC",
        "P_00820_RIGHT_CC",
        "P_00820_RIGHT_MLO",
    ]
    mammogram = source[0]
    assert (mammogram.pixels.shape, mammogram.bits_stored, mammogram.laterality) == ((4736, 2624), 16, "L")
    assert mammogram.pixel_pitch is None
