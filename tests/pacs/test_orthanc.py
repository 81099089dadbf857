"""Against a real archive, Orthanc, and against storescu of dcmtk (apt install orthanc-dicomweb dcmtk)."""

import shutil
import subprocess

import numpy as np
import pytest
from pacs_servers import HAS_ORTHANC, mammogram, orthanc
from pydicom import dcmread

from mammo_jax.compression import batch
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.jobs import fetch, send
from mammo_jax.limited_processes import Limits
from mammo_jax.pacs.destination import parse_destination
from mammo_jax.pacs.receiver import Listening, Receiver
from mammo_jax.pacs.spool import Spool
from mammo_jax.pacs.tls import TlsFiles
from mammo_jax.sources.dicom import read_instance

RATIO = 9.0
needs_orthanc = pytest.mark.skipif(not HAS_ORTHANC, reason="needs Orthanc with its DICOMweb plugin")


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "orthanc").mkdir()
    with orthanc(tmp_path / "orthanc") as server:
        yield server


@pytest.fixture
def images(tmp_path):
    """Three mammograms of one study; no two agree in a pixel."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        mammogram(number).save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


@needs_orthanc
def test_from_orthanc_through_us_to_orthanc(archive, images, tmp_path, monkeypatch):
    """By DICOMweb in and out again, compressed in between: what arrives is what we wrote."""
    monkeypatch.setattr(batch, "results_within_limits", lambda function, items, *_: map(function, items))
    send.main([str(images), "--to", archive.dicomweb])
    assert len(archive.instances()) == 3
    flags = [archive.dicomweb, "--out", str(tmp_path / "fetched")]
    fetch.main(flags)
    fetched = sorted((tmp_path / "fetched").rglob("*.dcm"))
    assert {path.stem for path in fetched} == {mammogram(number).SOPInstanceUID for number in range(3)}
    assert {path.parent.name for path in fetched} == {mammogram(0).StudyInstanceUID}
    for number in range(3):
        (path,) = (path for path in fetched if path.stem == mammogram(number).SOPInstanceUID)
        assert np.array_equal(read_instance(path)[1], read_instance(images / f"{number}.dcm")[1])

    spool = Spool(tmp_path / "received")
    plan = CompressionPlan(spool.compressed, (RATIO,), key=b"k" * 32)
    address = f"ORTHANC@127.0.0.1:{archive.dicom_port}"
    with Receiver(spool.incoming, Listening(0)) as receiver:
        send.main([str(tmp_path / "fetched"), "--to", f"US@127.0.0.1:{receiver.port}"])
    assert spool.work_off(plan, 1, Limits(), parse_destination(address, "US", TlsFiles())) == (3, [])
    stored = {instance["SOPInstanceUID"]: instance for instance in archive.instances()}
    assert len(stored) == 6
    for path in spool.compressed.glob("*.dcm"):
        ours = dcmread(path)
        theirs = stored[ours.SOPInstanceUID]
        assert theirs["LossyImageCompression"] == "01"
        assert float(theirs["LossyImageCompressionRatio"]) == pytest.approx(RATIO, rel=0.01)
    send.main([str(spool.compressed), "--to", archive.dicomweb])
    assert len(archive.instances()) == 6, "the same objects by STOW-RS"

    fetch.main([*flags, "--studies", mammogram(0).StudyInstanceUID])
    everything = {path.stem: path for path in (tmp_path / "fetched").rglob("*.dcm")}
    assert len(everything) == 6
    for path in spool.compressed.glob("*.dcm"):
        ours, theirs = dcmread(path), dcmread(everything[dcmread(path).SOPInstanceUID])
        assert theirs.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.91"
        assert theirs.PixelData == ours.PixelData, "the codestream comes back byte for byte"


@needs_orthanc
def test_errors_are_one_line(archive, images, tmp_path):
    with pytest.raises(SystemExit, match=r"^error: http.*: answered with status 404; check the URL, user and study$"):
        fetch.main([f"{archive.dicomweb}/nowhere", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="no image of these studies there"):
        fetch.main([archive.dicomweb, "--out", str(tmp_path / "out"), "--dates", "19000101"])
    with pytest.raises(SystemExit, match=r"^error: http://127.0.0.1:9/a: cannot be reached \(ConnectionError\)"):
        send.main([str(images), "--to", "http://127.0.0.1:9/a"])


@pytest.mark.skipif(shutil.which("storescu") is None, reason="needs dcmtk")
def test_storescu_sends_to_us(images, tmp_path):
    with Receiver(tmp_path / "incoming", Listening(0, title="US", allowed=("ROUTER",))) as receiver:

        def storescu(title):
            command = [
                "storescu",
                "-aet",
                title,
                "-aec",
                "US",
                "127.0.0.1",
                str(receiver.port),
                *sorted(images.iterdir()),
            ]
            return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

        assert storescu("STRANGER") != 0
        assert storescu("ROUTER") == 0
    received = sorted((tmp_path / "incoming").iterdir())
    assert [dcmread(path).SOPInstanceUID for path in received] == sorted(mammogram(n).SOPInstanceUID for n in range(3))
