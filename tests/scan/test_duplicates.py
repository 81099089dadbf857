"""Equal images: found by their bytes or by their pixels, and never by a part of these."""

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from scan_archive import KEY, mammogram, pixels, save

from mammo_jax.scan import duplicates
from mammo_jax.scan.duplicates import find_duplicates
from mammo_jax.scan.inventory import ScanPlan, read_rows, scan_files

LARGE = (300, 400)  # 240 kB, of which the first hash is of 64 KiB


def groups_of(folder, out, **options) -> dict[str, str]:
    """Relation of each group by the names of its files."""
    plan = ScanPlan(folder, out, KEY, **options)
    groups = find_duplicates(plan, scan_files(plan, 1), 1)
    assert [row["path"] for group in groups for row in group] == [
        row["path"] for row in read_rows(out / "duplicates.csv")
    ]
    assert {row["hash_of"] for group in groups for row in group} <= {"bytes", "pixels"}
    return {" ".join(row["path"] for row in group): group[0]["relation"] for group in groups}


def test_relations(tmp_path):
    save(tmp_path / "in" / "a1", mammogram(1))
    save(tmp_path / "in" / "a2", mammogram(1, study="1.2.9"))
    save(tmp_path / "in" / "b1", mammogram(2))
    save(tmp_path / "in" / "b2", mammogram(2, patient="P2"))
    save(tmp_path / "in" / "c1", mammogram(3))
    save(tmp_path / "in" / "c2", mammogram(3, patient=None))
    save(tmp_path / "in" / "d", mammogram(4))
    assert groups_of(tmp_path / "in", tmp_path / "out") == {
        "a1 a2": "same patient",
        "b1 b2": "another patient",
        "c1 c2": "patient not known",
    }


@pytest.mark.parametrize("place", [0, 60_000, -1])
def test_large_images_are_compared_as_a_whole(tmp_path, place):
    save(tmp_path / "in" / "a", mammogram(1, shape=LARGE))
    save(tmp_path / "in" / "b", mammogram(1, shape=LARGE, study="1.2.9"))
    other = mammogram(1, shape=LARGE)
    changed = np.frombuffer(other.PixelData, "<u2").copy()
    changed[place] ^= 1
    other.PixelData = changed.tobytes()
    save(tmp_path / "in" / "c", other)
    assert groups_of(tmp_path / "in", tmp_path / "out") == {"a b": "same patient"}


def test_wholes_are_hashed_once_and_those_of_changed_files_anew(tmp_path, monkeypatch):
    hashed = []

    def whole_hash(file):
        hashed.append(file.path.name)
        return original(file)

    original = duplicates.whole_hash
    monkeypatch.setattr(duplicates, "whole_hash", whole_hash)
    for name in "abc":
        save(tmp_path / "in" / name, mammogram(1, shape=LARGE))
    save(tmp_path / "in" / "unique", mammogram(2, shape=LARGE))
    assert groups_of(tmp_path / "in", tmp_path / "out") == {"a b c": "same patient"}
    assert groups_of(tmp_path / "in", tmp_path / "out") == {"a b c": "same patient"}
    assert hashed == ["a", "b", "c"]
    save(tmp_path / "in" / "b", mammogram(1, shape=LARGE, StudyDescription="longer than it was"))
    assert groups_of(tmp_path / "in", tmp_path / "out") == {"a b c": "same patient"}
    assert hashed == ["a", "b", "c", "b"]


def test_encodings_and_formats_are_compared_by_pixels_only(tmp_path):
    save(tmp_path / "in" / "explicit", mammogram(1))
    implicit = mammogram(1)
    implicit.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    save(tmp_path / "in" / "implicit", implicit)
    compressed = mammogram(1)
    compressed.compress(uid.RLELossless)
    save(tmp_path / "in" / "rle", compressed)
    inverted = mammogram(1, PhotometricInterpretation="MONOCHROME1")
    inverted.PixelData = (4095 - pixels(1)).tobytes()
    save(tmp_path / "in" / "inverted", inverted)
    Image.fromarray(pixels(1)).save(tmp_path / "in" / "picture.png")
    assert groups_of(tmp_path / "in", tmp_path / "out") == {"explicit implicit": "same patient"}
    assert groups_of(tmp_path / "in", tmp_path / "out", check="pixels") == {
        "explicit implicit inverted picture.png rle": "patient not known"
    }


def test_refused_files_and_other_files_are_compared_by_bytes(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "in" / name, mammogram(1, PixelRepresentation=1))
        Image.fromarray(pixels(1)).save(tmp_path / "in" / f"{name}.png")
        (tmp_path / "in" / f"{name}.txt").write_text("no image")
    expected = {"a b": "same patient", "a.png b.png": "patient not known"}
    assert groups_of(tmp_path / "in", tmp_path / "out") == expected
    assert groups_of(tmp_path / "in", tmp_path / "two", check="pixels") == expected


def test_a_file_that_went_away_meanwhile_is_no_duplicate(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "in" / name, mammogram(1, shape=LARGE))
    plan = ScanPlan(tmp_path / "in", tmp_path / "out", KEY)
    files = scan_files(plan, 1)
    (tmp_path / "in" / "b").unlink()
    assert find_duplicates(plan, files, 1) == []
