"""CBIS-DDSM as it is downloaded: whose images they are, and which masks belong to them."""

import numpy as np
import pytest
from published_trees import CBIS_MASSES, cbis_ddsm, cbis_mask, opened, summary, table
from pydicom import dcmread

from mammo_jax.dataset.folds import make_folds
from mammo_jax.sources import SourceError
from mammo_jax.sources.datasets import DATASETS, PublishedConfig, PublishedSource


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
