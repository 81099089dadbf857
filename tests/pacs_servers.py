"""Archives for the tests: Orthanc where it is installed, and a storage SCP of pynetdicom."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dicom_files import dataset
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
PLUGINS = [*Path("/usr").glob("share/orthanc/plugins/libOrthancDicomWeb.so")]
HAS_ORTHANC = shutil.which("Orthanc") is not None and bool(PLUGINS)


def mammogram(number: int, **elements: object) -> Dataset:
    """A small mammogram that differs from those of other numbers."""
    pixels = (np.add.outer(np.arange(40) * 9, np.arange(48) * 7) + number).astype(np.uint16)
    uids = {
        "SOPInstanceUID": generate_uid(entropy_srcs=[f"instance {number}"]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series"]),
    }
    instance = dataset(pixels, **uids, **elements)
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    return instance


def associate(port: int, title: str = "TEST", **options):
    entity = AE(title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(MAMMOGRAM, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, **options)


def store(port: int, *instances: Dataset, **options) -> list[int | None]:
    """Send objects in one association; the statuses, None where there is no answer."""
    association = associate(port, **options)
    assert association.is_established
    statuses = [association.send_c_store(instance).get("Status") for instance in instances]
    association.release()
    return statuses


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass(frozen=True)
class Orthanc:
    dicom_port: int
    http_port: int

    @property
    def dicomweb(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def ask(self, path: str):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/{path}", timeout=20) as answer:
            return json.load(answer)

    def instances(self) -> list[dict]:
        return [self.ask(f"instances/{name}/simplified-tags") for name in self.ask("instances")]


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """Run Orthanc on loopback."""
    server = Orthanc(free_port(), free_port())
    settings = {
        "Name": "test", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "HttpPort": server.http_port, "DicomPort": server.dicom_port, "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [str(PLUGINS[0])],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            _wait_for(server, process, folder / "orthanc.log")
            yield server
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(server: Orthanc, process: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            server.ask("system")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
