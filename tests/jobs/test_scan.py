"""The job: what it prints and writes, and that none of it names a patient."""

import csv
import re

import numpy as np
import pytest
from dicom_files import SECRETS, dataset, write
from html_page import Page
from pydicom.config import disable_value_validation

from mammo_jax.jobs import scan
from mammo_jax.scan import duplicates, inventory

PIXELS = np.add.outer(np.arange(64) * 9, np.arange(80) * 7).astype(np.uint16)
CANARY = "Geheim Gerda 19610203"
TEXT_ELEMENTS = (
    "ImageType", "InstitutionName", "Manufacturer", "ManufacturerModelName", "Modality", "OperatorsName",
    "PatientComments", "PatientName", "PresentationIntentType", "ProtocolName", "SeriesDescription", "StationName",
    "StudyDescription", "ViewPosition", "Laterality", "LossyImageCompressionMethod", "LossyImageCompression",
    "DerivationDescription", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
)  # fmt: skip


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for module in (inventory, duplicates):
        monkeypatch.setattr(module, "results_within_limits", lambda function, items, *_: map(function, items))


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "Geheim Gerda"
    folder.mkdir()
    write(folder / "Geheim_1.dcm", dataset(PIXELS))
    write(folder / "Geheim_2.dcm", dataset(PIXELS))
    with disable_value_validation():
        instance = dataset(PIXELS, **dict.fromkeys(TEXT_ELEMENTS, CANARY))
        write(folder / "Geheim_3.dcm", instance)
        instance.PhotometricInterpretation = CANARY
        write(folder / "Geheim_4.dcm", instance)
    (folder / "Geheim.png").write_bytes(b"\x89PNG\r\n\x1a\n" + CANARY.encode())
    (folder / "Geheim.tif").write_bytes(b"II*\0" + CANARY.encode())
    (folder / "Geheim.txt").write_text(CANARY)
    return folder


def names_a_patient(text: str) -> bool:
    return re.search("geheim|gerda|19610203|987654|ACC123456|Secret", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("check", ["headers", "pixels"])
@pytest.mark.parametrize("hashed", [True, False])
def test_no_output_names_a_patient_but_file_names_in_two_tables(archive, tmp_path, capfd, caplog, hashed, check):
    assert all(names_a_patient(text) for text in (CANARY, SECRETS["PatientName"], SECRETS["PatientID"]))
    (tmp_path / "key").write_bytes(b"k" * 32)
    out = tmp_path / "out"
    flags = ["--out", str(out), "--id-key", str(tmp_path / "key"), "--check", check, "--workers", "1"]
    scan.main([str(archive), *flags, *(["--hashed-names"] if hashed else [])])
    said = capfd.readouterr()
    assert not names_a_patient(said.out + said.err + caplog.text)
    files = {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}
    assert set(files) == {"scan.csv", "duplicates.csv", "digests.csv", "studies.csv", "settings.json", "scan.html"}
    for name, text in files.items():
        assert names_a_patient(text) == (not hashed and name in ("scan.csv", "duplicates.csv")), name
    rows = list(csv.DictReader(files["scan.csv"].splitlines()))
    assert len(rows) == 7
    assert not any(names_a_patient(value) for row in rows for name, value in row.items() if name != "path")
    assert ("Geheim_1.dcm" in files["duplicates.csv"]) is not hashed


def test_what_it_prints_and_the_page(archive, tmp_path, capsys):
    (tmp_path / "key").write_bytes(b"k" * 32)
    out = tmp_path / "out"
    scan.main([str(archive), "--out", str(out), "--id-key", str(tmp_path / "key"), "--workers", "1"])
    said = capsys.readouterr().out
    sentence = "3 of 4 images can be compressed and studied."
    assert sentence in said
    assert f"{out / 'scan.csv'}, {out / 'scan.html'}" in said
    page = Page((out / "scan.html").read_text(encoding="utf-8"))
    assert sentence in page.text
    assert "Only headers were read" in page.text
    assert "Digital Mammography X-Ray Image Storage - For Presentation" in page.text
    assert not re.search(r"(src|href)=|@import|url\(", (out / "scan.html").read_text(encoding="utf-8"))


def test_an_interruption_is_one_line_and_the_next_run_goes_on(archive, tmp_path, monkeypatch, capsys):
    (tmp_path / "key").write_bytes(b"k" * 32)
    flags = [str(archive), "--out", str(tmp_path / "out"), "--id-key", str(tmp_path / "key"), "--workers", "1"]

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(scan, "find_duplicates", interrupt)
        with pytest.raises(SystemExit, match="interrupted; the same command goes on where it was"):
            scan.main(flags)
    scan.main(flags)
    assert "3 of 4 images" in capsys.readouterr().out


def test_errors_are_one_line(tmp_path):
    (tmp_path / "key").write_bytes(b"k" * 32)
    with pytest.raises(SystemExit, match=r"error: .*nowhere: is no folder"):
        scan.main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"), "--id-key", str(tmp_path / "key")])
