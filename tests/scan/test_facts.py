"""One file as one row: the facts of its header, and the reason for which it would be left out."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import frames_in_memory
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from scan_archive import KEY, mammogram, pixels, row_of, save, scanned

import codec
from mammo_jax.compression.dicom import compressed_instance
from mammo_jax.scan.facts import COLUMNS, describe
from mammo_jax.scan.terms import uid_name
from mammo_jax.sources.dicom import is_dicom, read_dicom, read_instance
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.image_files import read_image
from mammo_jax.sources.mammogram import SourceError

PYDICOM_FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
PYDICOM_FILES = sorted(path for path in PYDICOM_FOLDER.rglob("*") if path.is_file())
CASES = {
    "overlay": {"OverlayBitPosition": 13, "syntax": uid.RLELossless},
    "colours": {"PhotometricInterpretation": "RGB"},
    "signed": {"PixelRepresentation": 1},
    "frames": {"NumberOfFrames": 20_000},
    "no bits": {"BitsStored": None},
    "too many bits": {"BitsStored": 17},
    "no rows": {"Rows": None},
    "unknown syntax": {"syntax": "1.2.3.4.5"},
}


def test_the_facts_of_a_header(tmp_path):
    instance = mammogram(
        1,
        Manufacturer="HOLOGIC, Inc.",
        PresentationIntentType="FOR PROCESSING",
        LossyImageCompression="01",
        LossyImageCompressionRatio=["10", "4.5"],
        LossyImageCompressionMethod="ISO_15444_1",
    )
    row = row_of(save(tmp_path / "a.dcm", instance))
    assert tuple(row) == COLUMNS
    expected = {
        "kind": "DICOM", "sop_class": uid.UID(instance.SOPClassUID).name, "modality": "MG", "vendor": "Hologic",
        "intent": "FOR PROCESSING", "laterality": "L", "view": "CC", "rows": 24, "columns": 32, "frames": 1,
        "photometric": "MONOCHROME2", "bits_allocated": 16, "bits_stored": 12, "already_lossy": "yes",
        "lossy_ratios": "10 4.5", "lossy_methods": "ISO_15444_1", "transfer_syntax": "Explicit VR Little Endian",
        "patient_id": keyed_hash("P1", KEY, "patient"), "left_out": "", "left_out_of": "", "missing_bytes": "",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_texts_outside_the_fixed_lists_are_not_shown(tmp_path):
    instance = mammogram(
        1, Manufacturer="Gerda Geheim", Modality="GEHEIM", PresentationIntentType="GERDA",
        LossyImageCompressionMethod="GEHEIM_1", PhotometricInterpretation="GERDA", SOPClassUID="1.2.3.19610203",
    )  # fmt: skip
    row = row_of(save(tmp_path / "a.dcm", instance))
    shown = [row[name] for name in ("vendor", "modality", "intent", "lossy_methods", "photometric", "sop_class")]
    assert shown == ["another"] * 6
    assert "GERDA" not in row["left_out"]


@pytest.mark.parametrize("case", CASES)
def test_the_reason_is_that_of_compress(case, tmp_path):
    elements = dict(CASES[case])
    syntax = elements.pop("syntax", None)
    overlay = elements.pop("OverlayBitPosition", None)
    instance = mammogram(1, **elements)
    if overlay:
        instance.add_new((0x6000, 0x0102), "US", overlay)
    if syntax:
        instance.file_meta.TransferSyntaxUID = uid.UID(syntax)
        instance.PixelData = encapsulate([b"\0\0"])
    path = tmp_path / "a.dcm"
    instance.save_as(path, little_endian=True, implicit_vr=False, enforce_file_format=True)
    with pytest.raises(SourceError) as refused:
        compressed_instance(read_instance(path)[0], frames_in_memory([b""]), syntax="j2k-lossless", ratio=1.0)
    row = row_of(path)
    assert row["left_out"] == str(refused.value).removeprefix(f"{path}: ")
    assert row["left_out_of"] == ("compress" if case == "overlay" else "compress, study")


def test_newer_syntaxes_have_their_names():
    assert [uid_name(f"1.2.840.10008.1.2.4.11{last}") for last in range(4)] == [
        "JPEG XL Lossless", "JPEG XL JPEG Recompression", "JPEG XL", "another",
    ]  # fmt: skip


def refusal(path: Path) -> str | None:
    """Why study does not read a file."""
    try:
        read_dicom(path) if is_dicom(path) else read_image(path)
    except (SourceError, codec.CodecError) as error:
        return str(error).removeprefix(f"{path}: ")
    return None


@pytest.mark.parametrize("path", PYDICOM_FILES[::7], ids=lambda path: path.name)
def test_of_other_peoples_files_nothing_is_refused_that_is_read_and_pixels_give_every_reason(path, tmp_path):
    shutil.copyfile(path, tmp_path / "a")
    reason = refusal(tmp_path / "a")
    by_header, by_pixels = row_of(tmp_path / "a"), row_of(tmp_path / "a", "pixels")
    assert (by_pixels["left_out"] if by_pixels["left_out_of"] != "compress" else "") == (reason or "")
    if by_header["left_out"] and by_header["left_out_of"] != "compress":
        assert by_header["left_out"] == reason


def test_other_formats_and_what_is_none(tmp_path):
    Image.fromarray(pixels(1)).save(tmp_path / "a.png")
    Image.fromarray(pixels(1) >> 4).save(tmp_path / "a.tif")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 3 4095\n" + pixels(1, (3, 4)).astype(">u2").tobytes())
    (tmp_path / "a.txt").write_text("a note")
    (tmp_path / "empty").touch()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "colour.png")
    rows = {path.name: row_of(path) for path in tmp_path.iterdir()}
    assert [rows[f"a.{name}"]["kind"] for name in ("png", "tif", "pgm", "txt")] == ["PNG", "TIFF", "PGM", "other"]
    assert (rows["a.png"]["rows"], rows["a.png"]["columns"], rows["a.png"]["bits_allocated"]) == (24, 32, 16)
    assert (rows["a.pgm"]["rows"], rows["a.pgm"]["bits_stored"]) == (3, 12)
    for name, row in rows.items():
        assert row["left_out"] == (refusal(tmp_path / name) or ""), name
    assert "is neither PNG" in rows["empty"]["left_out"]


def test_a_file_that_ends_early_is_seen_in_the_header_and_refused_by_its_pixels(tmp_path):
    path = save(tmp_path / "a.dcm", mammogram(1))
    path.write_bytes(path.read_bytes()[:-100])
    assert row_of(path)["missing_bytes"] == 100
    assert row_of(path)["left_out"] == ""
    assert "damaged" in row_of(path, "pixels")["left_out"]


def test_every_garbage_is_a_row(tmp_path):
    """Cut, overwritten and swapped bytes; whatever comes, it is one row of texts and numbers."""
    whole = save(tmp_path / "a.dcm", mammogram(1)).read_bytes()
    generator = np.random.default_rng(5)
    refused = 0
    for number in range(150):
        data = bytearray(whole)
        for position in generator.integers(132, len(data) - 1600, 1 + number % 12):
            data[position] = generator.integers(256)
        path = tmp_path / "mutant"
        path.write_bytes(data[: len(data) - (number % 3) * 700])
        row = describe(scanned(path), KEY, "headers")
        assert tuple(row) == COLUMNS
        assert all(isinstance(value, str | int) for value in row.values())
        assert "Geheim" not in " ".join(map(str, row.values()))
        refused += bool(row["left_out"])
    assert 20 < refused < 150


def test_a_fault_of_a_reader_is_a_row_without_its_message(tmp_path, monkeypatch):
    def fail(*_):
        raise RecursionError("Gerda Geheim")

    monkeypatch.setattr("mammo_jax.scan.facts.is_dicom", fail)
    (tmp_path / "a").touch()
    assert row_of(tmp_path / "a")["left_out"] == "cannot be read (RecursionError); export it again"
