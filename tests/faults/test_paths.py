"""Names in tables and UIDs in answers cannot lead out of a folder: 0 writes outside, 0 reads outside of a data set."""

import shutil

import pytest
from published_trees import TREES

from mammo_jax.pacs.dicomweb import DicomwebServer
from mammo_jax.pacs.errors import PacsError
from mammo_jax.sources import SourceError
from mammo_jax.sources.datasets import DATASETS, PublishedSource
from mammo_jax.sources.datasets import cmmd as cmmd_reader
from mammo_jax.sources.tables import Row


@pytest.mark.parametrize(("study", "instance"), [("..", "1.2.3"), ("1.2.3", "../1.2.3"), (".", "1.2"), ("1.2", "..")])
def test_uids_of_a_server(study, instance, tmp_path, monkeypatch):
    class Client:
        def search_for_studies(self, **_):
            return [{"0020000D": {"Value": [study]}}]

        def search_for_instances(self, **_):
            return [{"0020000E": {"Value": ["1.2"]}, "00080018": {"Value": [instance]}}]

        def retrieve_instance(self, *_, **__):
            pytest.fail("it would be written")

    monkeypatch.setattr(DicomwebServer, "_client", lambda self: Client())
    server = DicomwebServer("https://evil.example")
    with pytest.raises(PacsError, match="answered without a valid UID"):
        for found in server.studies({}):
            list(server.fetch(found, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["vindr-mammo", "rsna-2023"])
def test_an_image_id_that_is_a_path_would_name_pictures_elsewhere(name, tmp_path):
    """The image itself is inside of the folder, and is there."""
    root = TREES[name](tmp_path / "data")
    image = sorted(root.rglob("*.dicom") if name == "vindr-mammo" else root.rglob("*.dcm"))[0]
    shutil.copy(image, image.parent.parent.with_name(f"evil{image.suffix}"))
    for table in root.rglob("*.csv"):
        table.write_text(table.read_text().replace(image.stem, "../../evil"))
    with pytest.raises(SourceError, match=r"'\.\./\.\./evil' is no name of an image; download the table again"):
        PublishedSource(DATASETS[name], root)


def test_masks_by_an_absolute_path(tmp_path):
    root = TREES["cbis-ddsm"](tmp_path / "data")
    for table in root.glob("*.csv"):
        table.write_text(table.read_text().replace("Mass-Test_P_00004_LEFT_CC_1/", "/secret/a/b/c/", 1))
    with pytest.raises(SourceError, match=r"is not CASE/STUDY/SERIES/FILE"):
        PublishedSource(DATASETS["cbis-ddsm"], root)


def test_marks_by_a_path(tmp_path):
    root = TREES["inbreast"](tmp_path / "data")
    (table,) = root.rglob("INbreast.csv")
    table.write_text(table.read_text().replace("20586934", "../../20586934"))
    with pytest.raises(SourceError, match=r"line 3, field 'File Name': '../../20586934' is no name of a file"):
        PublishedSource(DATASETS["inbreast"], root)


@pytest.mark.parametrize("patient", ["../else", "/else", ".."])
def test_patients_whose_folder_is_elsewhere(patient, tmp_path, monkeypatch):
    root = TREES["cmmd"](tmp_path / "data")
    row = Row(tmp_path / "table", 2, {"ID1": patient, "LeftRight": "L", "classification": "Benign"})
    monkeypatch.setattr(cmmd_reader, "read_sheet", lambda *_: [row])
    monkeypatch.setattr(cmmd_reader, "read_side", lambda path: pytest.fail(f"{path} is read"))
    with pytest.raises(SourceError, match=r"field 'ID1': .* is no name of a file"):
        PublishedSource(DATASETS["cmmd"], root)
