"""Compressing many files: what is written, what is left out, what is done again."""

import imagecodecs
import numpy as np
import pandas as pd
import pytest
from dicom_files import SECRETS, dataset, write
from PIL import Image
from pydicom import dcmread

import codec
from mammo_jax.compression import batch as compression_batch
from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import list_files
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.files import sha256_file
from mammo_jax.limited_processes import Limits
from mammo_jax.sources import SourceError

KEY = b"k" * 32
y, x = np.mgrid[:60, :80]
PIXELS = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Work is done here: a process takes two seconds to import what it needs. `monkeypatch.undo` brings it back."""
    monkeypatch.setattr(compression_batch, "results_within_limits", lambda function, items, *_: map(function, items))


@pytest.fixture
def archive(tmp_path):
    """A folder with a DICOM file, a PNG, a PGM, a text file, a damaged DICOM file and a hidden file."""
    folder = tmp_path / "archive"
    (folder / "Gerda").mkdir(parents=True)
    write(folder / "Gerda" / "1", dataset(PIXELS))
    Image.fromarray((PIXELS >> 4).astype(np.uint8)).save(folder / "Gerda" / "a.png")
    (folder / "b.pgm").write_bytes(b"P5 80 60 4095\n" + PIXELS.astype(">u2").tobytes())
    (folder / "note.txt").write_text("no image")
    (folder / "broken.dcm").write_bytes((folder / "Gerda" / "1").read_bytes()[:2000])
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def run(archive, workers=1, **settings):
    plan = CompressionPlan(**{"out": archive.parent / "out", "ratios": (10.0, 40.0), "key": KEY, **settings})
    listing = list_files([archive], plan)
    return plan.out, listing.files, compress_files(plan, listing, workers, Limits())


def test_every_file_at_every_ratio(archive):
    out, _, _ = run(archive)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "left_out.csv", "ratio_10/Gerda/1", "ratio_10/Gerda/a.j2k", "ratio_10/b.j2k", "ratio_40/Gerda/1",
        "ratio_40/Gerda/a.j2k", "ratio_40/b.j2k", "settings.json", "sizes.csv",
    ]  # fmt: skip
    table = pd.read_csv(out / "sizes.csv")
    assert len(table) == 6
    sizes = table["rows"] * table["columns"] * table["bits_allocated"] / 8 // table["ratio"]
    assert (table["codestream_bytes"] == sizes).all()
    for ratio, size, bits in ((10, 2, 12), (40, 2, 12), (10, 1, 8)):
        name = "Gerda/a.j2k" if size == 1 else "b.j2k"
        contents = (out / f"ratio_{ratio}" / name).read_bytes()
        assert len(contents) == PIXELS.size * size // ratio
        decoded = imagecodecs.jpeg2k_decode(contents)
        truth = PIXELS >> (12 - bits)
        error = np.mean((decoded.astype(float) - truth) ** 2)
        (row,) = table[(table["ratio"] == ratio) & (table["file_bytes"] == len(contents))].itertuples()
        assert row.psnr == pytest.approx(10 * np.log10((2**bits - 1) ** 2 / error), abs=0.1)
    dicom = dcmread(out / "ratio_40" / "Gerda" / "1")
    assert dicom.PatientID == SECRETS["PatientID"]
    assert dicom.LossyImageCompressionRatio == pytest.approx(40)


def test_what_cannot_be_compressed_is_listed(archive):
    out, files, left_out = run(archive, ratios=(10.0, 100.0))
    reasons = {file.name.split("/")[-1]: file.reason for file in left_out}
    assert set(reasons) == {"note.txt", "broken.dcm", "a.png"}
    assert "neither PNG" in reasons["note.txt"]
    assert "damaged" in reasons["broken.dcm"]
    assert "largest ratio" in reasons["a.png"]
    listed = pd.read_csv(out / "left_out.csv")
    assert set(listed["reason"]) == set(reasons.values())
    assert set(listed["image_id"]) == {file.image_id for file in files if file.path.name in reasons}


def test_tables_can_be_joined_with_the_files(archive):
    out, _, _ = run(archive)
    table = pd.read_csv(out / "sizes.csv", dtype=str)
    assert set(table["path"]) == {"Gerda/1", "Gerda/a.png", "b.pgm"}
    assert set(pd.read_csv(out / "left_out.csv")["path"]) == {"broken.dcm", "note.txt"}
    (row,) = table[(table["path"] == "Gerda/1") & (table["ratio"] == "10.0")].itertuples()
    assert row.sop_instance_uid == dcmread(archive / "Gerda" / "1").SOPInstanceUID
    assert row.new_sop_instance_uid == dcmread(out / "ratio_10" / "Gerda" / "1").SOPInstanceUID
    assert row.file_sha256 == sha256_file(out / "ratio_10" / "Gerda" / "1")
    assert not (set(SECRETS.values()) & set((out / "sizes.csv").read_text().replace("\n", ",").split(",")))


def test_tables_with_hashed_names_name_nobody(archive):
    out, _, left_out = run(archive, hashed_names=True)
    assert not any("Gerda" in file.name + file.reason or "broken" in file.name for file in left_out)
    uids = [dcmread(path / "Gerda" / "1").SOPInstanceUID for path in (archive, out / "ratio_10", out / "ratio_40")]
    assert not any(uid in (out / "sizes.csv").read_text() for uid in uids)
    assert pd.read_csv(out / "sizes.csv")["new_sop_instance_uid"].nunique() == 2
    for name in ("sizes.csv", "left_out.csv", "settings.json"):
        text = (out / name).read_text()
        assert not any(secret in text for secret in [*SECRETS.values(), "Gerda", "broken", str(archive)])
    table = pd.read_csv(out / "sizes.csv", dtype=str)
    assert table["image_id"].str.fullmatch("[0-9a-f]{16}").all()
    assert table["patient_id"].dropna().nunique() == 1


def test_plain_ids(archive):
    out, _, _ = run(archive, key=None, jp2=True)
    table = pd.read_csv(out / "sizes.csv", dtype=str)
    assert set(table["image_id"]) == {"Gerda/1", "Gerda/a.png", "b.pgm"}
    assert SECRETS["PatientID"] in set(table["patient_id"])
    assert codec.unwrap_jp2((out / "ratio_10" / "b.jp2").read_bytes())[:2] == b"\xff\x4f"


def test_goes_on_where_it_was(archive, monkeypatch):
    calls = []

    def compress(plan, file):
        calls.append(file.path.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(plan, file)

    original = compression_batch.compress_file
    monkeypatch.setattr(compression_batch, "compress_file", compress)
    with pytest.raises(KeyboardInterrupt):
        run(archive)
    out, _, _ = run(archive)
    assert calls[:2] == ["b.pgm", "broken.dcm"]
    assert "b.pgm" not in calls[2:]
    interrupted = (out / "sizes.csv").read_text()
    run(archive)
    assert (out / "sizes.csv").read_text() == interrupted
    whole, _, _ = run(archive, out=archive.parent / "other")
    assert (whole / "sizes.csv").read_text() == interrupted


def test_other_settings_need_another_folder(archive):
    run(archive)
    with pytest.raises(CompressionError, match="another ratios; choose another --out"):
        run(archive, ratios=(10.0, 50.0))


def test_another_key_needs_another_folder(archive):
    out, _, _ = run(archive)
    assert KEY.hex() not in (out / "settings.json").read_text()
    for key in (b"l" * 32, None):
        with pytest.raises(CompressionError, match="another id_key; choose another --out"):
            run(archive, key=key)
    assert len(pd.read_csv(out / "sizes.csv")) == 6


def test_results_that_are_missing_are_made_again(archive):
    out, _, _ = run(archive)
    before = sorted((out / "sizes.csv").read_text().splitlines())
    lost = out / "ratio_40" / "Gerda" / "1"
    contents = lost.read_bytes()
    lost.unlink()
    run(archive)
    assert lost.read_bytes() == contents
    assert sorted((out / "sizes.csv").read_text().splitlines()) == before


def test_files_that_changed_are_compressed_again(archive):
    out, _, _ = run(archive)
    before = pd.read_csv(out / "sizes.csv").set_index(["image_id", "ratio"])
    (archive / "b.pgm").write_bytes(b"P5 80 60 4095\n" + PIXELS[::-1].astype(">u2").tobytes())
    run(archive)
    decoded = codec.decode((out / "ratio_10" / "b.j2k").read_bytes())
    assert np.abs(decoded.astype(int) - PIXELS[::-1]).max() < 200
    after = pd.read_csv(out / "sizes.csv").set_index(["image_id", "ratio"])
    assert sorted(after.index) == sorted(before.index)
    assert (after["psnr"] != before["psnr"].loc[after.index]).sum() == 2


def test_processes_give_the_same(archive, monkeypatch):
    out, _, left_out = run(archive)
    monkeypatch.undo()
    other, _, again = run(archive, workers=2, out=archive.parent / "other")
    assert left_out == again
    files = {path.relative_to(folder) for folder in (out, other) for path in folder.rglob("*") if path.is_file()}
    assert len(files) == 9
    for path in files:
        assert (out / path).read_bytes() == (other / path).read_bytes()


def test_results_are_no_inputs(archive):
    _, files, _ = run(archive, out=archive / "out")
    _, again, _ = run(archive, out=archive / "out")
    assert files == again


def test_nothing_is_overwritten(archive, tmp_path):
    with pytest.raises(SourceError, match=r"archive.*: would be overwritten by a result; choose another --out"):
        run(archive, out=archive, ratios=(10.0,))
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no file there"):
        list_files([empty], CompressionPlan(out=tmp_path, ratios=(10.0,)))


def test_layers(archive):
    out, _, _ = run(archive, ratios=(20.0, 40.0), layers=True, syntax="j2k-lossless")
    table = pd.read_csv(out / "sizes.csv")
    assert table["layer"].tolist() == [1, 2, 3] * 3
    assert table["ratio"].tolist()[:2] == [40, 20]
    assert np.isinf(table["psnr"][table["ratio"].isna()]).all()
    contents = (out / "b.j2k").read_bytes()
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(contents), PIXELS)
    dicom = dcmread(out / "Gerda" / "1")
    assert dicom.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    np.testing.assert_array_equal(dicom.pixel_array, PIXELS)
    run(archive, ratios=(20.0, 40.0), layers=True, syntax="j2k-lossless")
    assert (out / "sizes.csv").read_text().count("\n") == 10


def test_the_last_layer_may_hold_all_and_be_filled(archive):
    out, _, left_out = run(archive, ratios=(0.5, 20.0), layers=True)
    assert [file.name for file in left_out] == ["broken.dcm", "note.txt"]
    table = pd.read_csv(out / "sizes.csv")
    assert (table["padding_bytes"][table["ratio"] == 20] == 0).all()
    assert (table["padding_bytes"][table["ratio"] == 0.5] > 1000).all()
    assert len((out / "b.j2k").read_bytes()) == 2 * PIXELS.nbytes


def test_lossless_alone(archive):
    out, _, _ = run(archive, ratios=(), syntax="j2k-lossless")
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode((out / "b.j2k").read_bytes()), PIXELS)
    assert pd.read_csv(out / "sizes.csv")["psnr"].tolist() == [np.inf] * 3


@pytest.mark.parametrize(
    "settings",
    [
        {"ratios": ()},
        {"ratios": (10.0, 10.0)},
        {"ratios": (0.0,)},
        {"ratios": (float("nan"),)},
        {"ratios": (), "layers": True, "syntax": "j2k-lossless"},
        {"ratios": (10.0,), "syntax": "j2k-lossless"},
        {"ratios": (10.0,), "bits_stored": 0},
        {"ratios": (10.0,), "bits_stored": 99},
        {"ratios": (10.0,), "hashed_names": True, "key": None},
    ],
)
def test_what_cannot_be_meant(tmp_path, settings):
    with pytest.raises((CompressionError, codec.InvalidRatioError)):
        CompressionPlan(out=tmp_path, **settings)
