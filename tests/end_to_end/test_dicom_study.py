"""A study on DICOM files of more than 20 patients, two of them tomosynthesis objects, from their folder's CSV."""

import csv

import numpy as np
import pandas as pd
import pytest
from dicom_files import dataset, write
from pydicom.uid import generate_uid

from mammo_jax.files import read_json
from mammo_jax.jobs import study

PATIENTS = 24
SHAPE = (64, 48)
FLAGS = [
    *("--source", "folder", "--unit", "whole", "--plain-ids", "--ratios", "8", "--folds", "3", "--epochs", "1"),
    *("--filters", "4", "4", "8", "--validation-parts", "3", "--train-ratios", "1", "--input-rows", "32"),
    *("--input-columns", "32", "--resamples", "100", "--workers", "1", "--target", "malignant", "--frames", "mip"),
]

pytestmark = pytest.mark.usefixtures("without_processes")


def breast(number, malignant):
    """A half disc with noise, and a bright mass in it or none."""
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    noise = np.random.default_rng(number).normal(0, 60, SHAPE)
    pixels = np.where((row - 32) ** 2 + column**2 < 28**2, 1500 + noise, 0)
    if malignant:
        pixels += 1500 * ((row - 25 - number % 12) ** 2 + (column - 12) ** 2 < 25)
    return pixels.clip(0, 4095).astype(np.uint16)


def write_archive(folder):
    rows = [["path", "patient_id", "label"]]
    for number in range(PATIENTS):
        malignant = number % 2 == 1
        frames = [breast(number, malignant)]
        elements = {"PixelPaddingValue": 0}
        if number >= PATIENTS - 2:
            frames = [breast(100 + number, False), *frames, breast(200 + number, False)]
            elements |= {"NumberOfFrames": 3, "PixelData": np.stack(frames).tobytes()}
        instance = dataset(frames[0], PatientID=f"P{number}", PresentationIntentType="FOR PRESENTATION", **elements)
        instance.SOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        write(folder / f"{number}.dcm", instance)
        rows.append([f"{number}.dcm", f"P{number}", "malignant" if malignant else "normal"])
    with (folder / "images.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder / "images.csv"


@pytest.mark.slow
def test_from_dicom_files_to_the_report(tmp_path):
    out = tmp_path / "run"
    study.main(["--source-dir", str(write_archive(tmp_path)), "--out", str(out), *FLAGS])
    audit = pd.read_csv(out / "audit.csv")
    assert len(audit) == PATIENTS
    assert (audit["codestream_bytes"] == SHAPE[0] * SHAPE[1] * 2 // 8).all()
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert predictions.groupby("test_ratio")["patient_id"].nunique().to_dict() == {1.0: PATIENTS, 8.0: PATIENTS}
    assert read_json(out / "metrics.json")
    assert "Audit of 24 images" in (out / "report.html").read_text()
