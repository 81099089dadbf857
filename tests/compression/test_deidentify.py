"""Nothing that identifies a patient is left in what `compress --deidentify` writes."""

import csv

import numpy as np
import pytest
from canaries import ELEMENTS, FILES, PIXELS, canaries, canary, hits
from dicom_files import dataset, write
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import UID

import codec
from mammo_jax.compression import batch
from mammo_jax.compression.deidentify import deidentify, hashed_uid
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.jobs import compress
from mammo_jax.sources import SourceError
from mammo_jax.sources.identifiers import keyed_hash

KEY = b"k" * 32


def test_canaries_are_in_the_originals():
    assert len(ELEMENTS) > 1500
    assert len({tag for number in range(FILES) for tag, _ in ELEMENTS[number::FILES]}) == len(ELEMENTS)
    assert len(hits(canary(7).to_json().encode())) >= 4


@pytest.mark.parametrize("hashed", [False, True])
def test_fifty_canaries(hashed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(batch, "results_within_limits", lambda function, items, *_: map(function, items))
    canaries(tmp_path / "archive")
    (tmp_path / "key").write_bytes(KEY)
    out = tmp_path / "out"
    flags = ["--ratio", "9", "--out", str(out), "--id-key", str(tmp_path / "key"), "--deidentify"]
    compress.main([str(tmp_path / "archive"), *flags, *["--hashed-names"] * hashed])
    said = capsys.readouterr().out
    assert "This is no certificate" in said
    assert f"{FILES} files do not say that no text is burned into their pixels" in said
    files = [path for path in out.rglob("*") if path.is_file()]
    images = [path for path in files if path.suffix == ".dcm"]
    assert len(images) == FILES
    tables = {path.name: path.read_bytes() for path in files if path not in images}
    assert set(tables) >= {"sizes.csv", "left_out.csv", "settings.json"}
    for path in images:
        assert hits(path.read_bytes()) == [], path
    if hashed:
        written = b"".join([*tables.values(), *(str(path.relative_to(out)).encode() for path in out.rglob("*"))])
        assert hits(written + said.encode()) == []
    with (out / "sizes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    ids = " ".join(row["image_id"] + row["patient_id"] + row["new_sop_instance_uid"] for row in rows)
    assert hits(ids.encode()) == []
    assert len({row["patient_id"] for row in rows}) == FILES


def test_what_is_written():
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.1.2"), UID("1.2.3")
    item.OperatorsName = "Emil^Emsig"
    instance = dataset(
        PIXELS, SourceImageSequence=[item], PatientSex="F", Manufacturer="Gerda Geheim AG", KVP="28", StationName="S"
    )
    before = instance.SOPInstanceUID
    deidentify(instance, KEY)
    assert instance.PatientID == instance.PatientName == keyed_hash("PID-987654", KEY, "patient")
    assert instance.SOPInstanceUID == hashed_uid(before, KEY)
    assert instance.SourceImageSequence[0].ReferencedSOPInstanceUID == hashed_uid("1.2.3", KEY)
    assert instance.SourceImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
    assert instance.SourceImageSequence[0].OperatorsName == "ANONYMIZED"
    assert [str(instance[k].value or "") for k in ("StudyDate", "PatientSex", "Manufacturer")] == [""] * 3
    assert instance.KVP == 28
    assert instance.StationName == "ANONYMIZED"
    assert instance.ViewCodeSequence[0].CodeMeaning == "medio-lateral oblique"
    assert instance.PatientIdentityRemoved == "YES"
    assert instance.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert len(instance.DeidentificationMethod) <= 64
    assert instance.Modality == "MG"
    assert instance.PixelData == PIXELS.tobytes()


def test_a_hashed_uid_is_valid_and_depends_on_the_key():
    assert hashed_uid("1.2.3", KEY).is_valid
    assert hashed_uid("1.2.3", KEY) == hashed_uid("1.2.3", KEY)
    assert len({hashed_uid("1.2.3", KEY), hashed_uid("1.2.4", KEY), hashed_uid("1.2.3", b"l" * 32)}) == 3


def test_short_names_are_words_of_their_own():
    instance = dataset(PIXELS, PatientName="Le^MG", Manufacturer="Le", ImageComments="", FilterType="Left")
    instance.GridID = "of Mrs Le."
    deidentify(instance, KEY)
    assert (instance.Manufacturer, instance.FilterType, instance.Modality) == (None, "Left", "MG")


@pytest.mark.parametrize("keyword", ["BurnedInAnnotation", "RecognizableVisualFeatures"])
def test_text_in_the_pixels_is_refused(keyword):
    with pytest.raises(SourceError, match=f"^{keyword} is YES"):
        deidentify(dataset(PIXELS, **{keyword: "YES"}), KEY)


def test_a_file_with_text_in_its_pixels_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "results_within_limits", lambda function, items, *_: map(function, items))
    (tmp_path / "key").write_bytes(KEY)
    write(tmp_path / "yes.dcm", dataset(PIXELS, BurnedInAnnotation="YES"))
    write(tmp_path / "no.dcm", dataset(PIXELS, BurnedInAnnotation="NO"))
    flags = ["--deidentify", "--id-key", str(tmp_path / "key"), "--ratio", "9", "--out", str(tmp_path / "out")]
    compress.main([str(tmp_path / "yes.dcm"), str(tmp_path / "no.dcm"), *flags])
    assert 'yes.dcm,"BurnedInAnnotation is YES' in (tmp_path / "out" / "left_out.csv").read_text()
    assert not (tmp_path / "out" / "yes.dcm").exists()
    result = dcmread(tmp_path / "out" / "no.dcm")
    same = codec.encode(PIXELS, 9, bits_stored=12)
    assert np.array_equal(pixel_array(result), codec.decode(same.codestream)), "the pixels are those of the original"


def test_hashes_need_a_key(tmp_path):
    with pytest.raises(Exception, match="deidentify: ids are hashed with the key"):
        CompressionPlan(tmp_path, (9.0,), deidentified=True)
