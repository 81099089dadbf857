"""One patient under two ids among 1000 images is found by equal pixels, before anything is compressed."""

import csv

import imagecodecs
import numpy as np
import pytest
from dicom_files import dataset, write
from scan_archive import KEY, mammogram, save

from mammo_jax.dataset import preparation
from mammo_jax.dataset.equal_images import check_patients_are_apart
from mammo_jax.dataset.folds import FoldError
from mammo_jax.jobs import prepare
from mammo_jax.run_folder import RunFolder
from mammo_jax.scan import inventory
from mammo_jax.scan.duplicates import ANOTHER_PATIENT, find_duplicates
from mammo_jax.scan.inventory import ScanPlan, scan_files
from mammo_jax.sources import Mammogram, SourceError
from mammo_jax.sources.identifiers import keyed_hash

IMAGES = 1000
TWICE = (123, 876)


@pytest.fixture
def flags(tmp_path, without_processes):
    """A table of 1000 images, of which one is there again as DICOM, white and black changed."""
    lines = ["path,patient_id,label"]
    for number in range(IMAGES):
        image = np.random.default_rng(TWICE[0] if number in TWICE else number).integers(0, 256, (12, 10), np.uint8)
        if number == TWICE[1]:
            inverted = dataset(255 - image, bits_stored=8, PhotometricInterpretation="MONOCHROME1")
            name = write(tmp_path / f"Gerda {number}.dcm", inverted).name
        else:
            name = f"Gerda {number}.png"
            (tmp_path / name).write_bytes(imagecodecs.png_encode(image))
        lines.append(f"{name},Geheim{number},{'malignant' if number % 2 else 'normal'}")
    (tmp_path / "images.csv").write_text("\n".join(lines))
    (tmp_path / "key").write_bytes(KEY)
    flags = ["--source", "folder", "--source-dir", str(tmp_path / "images.csv"), "--id-key", str(tmp_path / "key")]
    return [*flags, "--unit", "whole", "--ratios", "8", "--workers", "1", "--out", str(tmp_path / "run")]


def test_a_study_names_both_before_it_compresses(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "write_dataset", lambda *_: pytest.fail("it compresses"))
    with pytest.raises(SystemExit, match=r"^error: 1 images have the same pixels under different patients") as caught:
        prepare.main(flags)
    message = str(caught.value)
    assert all(keyed_hash(f"Geheim{number}", KEY, "patient") in message for number in TWICE)
    assert "Gerda" not in message
    with (tmp_path / "run" / "duplicates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = ("Gerda 123.png", "Gerda 876.dcm")
    assert sorted(row["file"] for row in rows) == [str(tmp_path / name) for name in names]
    assert {row["image_id"] for row in rows} == {keyed_hash(name, KEY, "image") for name in names}
    lines = (tmp_path / "images.csv").read_text().replace("Geheim876", "Geheim123").splitlines()
    (tmp_path / "images.csv").write_text("\n".join([*lines[:10], lines[1 + TWICE[0]], lines[1 + TWICE[1]]]))
    monkeypatch.setattr(preparation, "write_dataset", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # it may compress now
        prepare.main(flags)
    assert not (tmp_path / "run" / "duplicates.csv").exists()


class Images(list):
    """A source of images of one pixel value each; None cannot be read."""

    def table(self):
        return [{"image_id": f"i{n}", "patient_id": f"p{n}", "files": [f"{n}.png"]} for n in range(len(self))]

    def __getitem__(self, index):
        value = super().__getitem__(index)
        if value is None:
            raise SourceError(f"i{index}: cannot be read")
        return Mammogram(np.full((4, 4), value, np.uint8), 8, f"i{index}", f"p{index}", "normal")


def test_files_that_were_put_right_are_read_again(tmp_path, without_processes):
    run = RunFolder(tmp_path)
    with pytest.raises(FoldError):
        check_patients_are_apart(run, Images([1, 1]), 1)
    check_patients_are_apart(run, Images([1, 2]), 1)


def test_an_image_that_could_not_be_read_is_compared_when_it_can(tmp_path, without_processes):
    run = RunFolder(tmp_path)
    check_patients_are_apart(run, Images([1, None]), 1)
    with pytest.raises(FoldError):
        check_patients_are_apart(run, Images([1, 1]), 1)


@pytest.mark.slow
def test_a_scan_names_both(tmp_path, monkeypatch):
    monkeypatch.setattr(inventory, "results_within_limits", lambda function, items, *_: map(function, items))
    for number in range(IMAGES):
        save(
            tmp_path / "in" / f"{number}.dcm",
            mammogram(min(number, TWICE[0]) if number in TWICE else number, patient=f"P{number}"),
        )
    plan = ScanPlan(tmp_path / "in", tmp_path / "out", KEY)
    (group,) = find_duplicates(plan, scan_files(plan, 1), 1)
    assert [row["path"] for row in group] == ["123.dcm", "876.dcm"]
    assert {row["patient_id"] for row in group} == {keyed_hash(f"P{number}", KEY, "patient") for number in TWICE}
    assert {row["relation"] for row in group} == {ANOTHER_PATIENT}
