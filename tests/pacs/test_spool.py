import csv

import pytest
from pacs_servers import mammogram
from pydicom import dcmread
from pynetdicom import AE, evt

from mammo_jax.compression import batch
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.limited_processes import Limits
from mammo_jax.pacs.destination import ApplicationEntity, parse_destination
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.spool import Spool
from mammo_jax.pacs.tls import TlsFiles

RATIO = 9.0
TARGET = int(40 * 48 * 2 / RATIO)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(batch, "results_within_limits", lambda function, items, *_: map(function, items))


@pytest.fixture
def waiting(tmp_path):
    """A spool with two images that wait."""
    spool = Spool(tmp_path / "received")
    spool.incoming.mkdir(parents=True)
    for number in (1, 2):
        mammogram(number).save_as(spool.incoming / f"{number}.dcm", enforce_file_format=True)
    return spool


def work_off(spool, destination=None):
    plan = CompressionPlan(spool.compressed, (RATIO,), key=b"k" * 32)
    return spool.work_off(plan, 1, Limits(), destination)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("keep", [False, True])
def test_a_copy_of_each(waiting, keep):
    spool = Spool(waiting.folder, keep_originals=keep)
    assert work_off(spool) == (2, [])
    assert names(spool.incoming) == []
    assert names(spool.folder / "originals") == (["1.dcm", "2.dcm"] if keep else [])
    with (spool.compressed / "sizes.csv").open() as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    assert {name: row["codestream_bytes"] for name, row in rows.items()} == dict.fromkeys(
        ["1.dcm", "2.dcm"], str(TARGET)
    )
    assert rows["1.dcm"]["sop_instance_uid"] == mammogram(1).SOPInstanceUID
    assert dcmread(spool.compressed / "1.dcm").SOPInstanceUID == rows["1.dcm"]["new_sop_instance_uid"]
    assert work_off(spool) == (0, [])


def test_what_cannot_be_compressed_is_kept_with_its_reason(waiting):
    mammogram(3, SamplesPerPixel=3).save_as(waiting.incoming / "3.dcm", enforce_file_format=True)
    finished, (problem,) = work_off(waiting)
    assert finished == 2
    assert problem.startswith("3.dcm: SamplesPerPixel is 3")
    assert names(waiting.folder / "left_out") == ["3.dcm"]
    mammogram(4, BitsStored=17).save_as(waiting.incoming / "4.dcm", enforce_file_format=True)
    work_off(waiting)
    with (waiting.compressed / "left_out.csv").open() as stream:
        assert [row["path"] for row in csv.DictReader(stream)] == ["3.dcm", "4.dcm"]


def test_an_original_stays_until_its_copy_is_sent(waiting):
    stored, statuses = [], [0xA700, 0x0000, 0xB000]

    def handle(event):
        stored.append(event.dataset.SOPInstanceUID)
        return statuses.pop(0)

    entity = AE("PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.1.2.4.91")
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    destination = ApplicationEntity("PACS", "127.0.0.1", server.socket.getsockname()[1])
    try:
        finished, (problem,) = work_off(waiting, destination)
        assert finished == 1
        assert problem == f"1.dcm: not sent: {destination} answered with status 0xA700"
        assert names(waiting.incoming) == ["1.dcm"]
        written = (waiting.compressed / "1.dcm").stat().st_mtime_ns
        assert work_off(waiting, destination) == (1, [])
        assert (waiting.compressed / "1.dcm").stat().st_mtime_ns == written, "compressed once"
    finally:
        server.shutdown()
    assert names(waiting.incoming) == []
    assert [stored[0], stored[1]] == [dcmread(waiting.compressed / f"{n}.dcm").SOPInstanceUID for n in (1, 2)]
    assert stored[2] == stored[0]


def test_a_destination_that_is_down_loses_nothing(waiting):
    finished, (problem,) = work_off(waiting, ApplicationEntity("PACS", "127.0.0.1", 9))
    assert (finished, names(waiting.incoming)) == (0, ["1.dcm", "2.dcm"])
    assert problem == "not sent: PACS@127.0.0.1:9: no association; is it running?"


def test_addresses():
    entity = parse_destination("PACS@pacs.example:104", "US", TlsFiles())
    assert entity == ApplicationEntity("PACS", "pacs.example", 104, "US", None)
    assert parse_destination("tls://PACS@pacs.example:2762", "US", TlsFiles()).tls == TlsFiles()
    for wrong in ("pacs.example:104", "PACS@pacs.example", "PACS@a/b:1", "A" * 17 + "@a:1"):
        with pytest.raises(PacsError, match="write TITLE@HOST:PORT"):
            parse_destination(wrong, "US", TlsFiles())
