import errno
import shutil
import subprocess

import pytest
from pacs_servers import associate, mammogram, store
from pydicom import dcmread

from mammo_jax.pacs import receiver as module
from mammo_jax.pacs.destination import ApplicationEntity
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.receiver import Listening, Receiver
from mammo_jax.pacs.tls import TlsFiles


def test_what_is_accepted_lies_on_the_disk(tmp_path):
    instance = mammogram(1)
    with Receiver(tmp_path, Listening(0)) as receiver:
        assert not receiver.arrived.is_set()
        assert store(receiver.port, instance) == [0]
        assert receiver.arrived.is_set()
        (path,) = tmp_path.iterdir()
    assert path.name.startswith(f"{instance.SOPInstanceUID}-")
    written = dcmread(path)
    assert written == instance
    assert written.file_meta.TransferSyntaxUID == instance.file_meta.TransferSyntaxUID


def test_the_same_object_is_one_file_and_another_of_its_uid_a_second(tmp_path):
    with Receiver(tmp_path, Listening(0)) as receiver:
        assert store(receiver.port, mammogram(1), mammogram(1), mammogram(1, ImageComments="another")) == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_no_success(tmp_path, monkeypatch, capsys):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "atomic_path", full)
    with Receiver(tmp_path, Listening(0)) as receiver:
        assert store(receiver.port, mammogram(1)) == [module.OUT_OF_RESOURCES]
    assert not list(tmp_path.iterdir())
    assert "cannot be written to" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_is_no_path(tmp_path):
    instance = mammogram(1)
    instance.SOPInstanceUID = "../../evil"
    with Receiver(tmp_path / "incoming", Listening(0)) as receiver:
        association = associate(receiver.port)
        assert association.send_c_store(instance).get("Status") != 0
        association.abort()
    assert [path.name for path in tmp_path.rglob("*")] == ["incoming"]


def test_only_the_allowed_titles(tmp_path):
    with Receiver(tmp_path, Listening(0, allowed=("ROUTER", "SECOND"))) as receiver:
        assert associate(receiver.port, "TEST").is_rejected
        association = associate(receiver.port, "SECOND")
        assert association.is_established
        association.release()


def test_only_so_many_at_a_time(tmp_path):
    with Receiver(tmp_path, Listening(0, max_associations=1)) as receiver:
        first = associate(receiver.port)
        assert first.is_established
        assert associate(receiver.port).is_rejected
        first.release()


def test_a_port_that_is_taken(tmp_path):
    with (
        Receiver(tmp_path, Listening(0)) as receiver,
        pytest.raises(PacsError, match=r"^port \d+ of 127.0.0.1: cannot be listened on"),
    ):
        Receiver(tmp_path, Listening(receiver.port))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and what it has certified for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    openssl(*new[:-2], "-keyout", "our.key", "-out", "our.csr", "-subj", "/CN=ours")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "our.csr", *signing, "-out", "our.pem")
    return TlsFiles(folder / "our.pem", folder / "our.key", folder / "ca.pem")


def test_tls(certificates, tmp_path):
    path = tmp_path / "a.dcm"
    mammogram(1).save_as(path, enforce_file_format=True)
    with Receiver(tmp_path / "incoming", Listening(0, tls=certificates)) as receiver:
        entity = ApplicationEntity("ANY", "127.0.0.1", receiver.port, tls=certificates)
        assert list(entity.send([path])) == [(path, None)]
        nameless = ApplicationEntity(
            "ANY", "127.0.0.1", receiver.port, tls=TlsFiles(authorities=certificates.authorities)
        )
        with pytest.raises(PacsError, match="no association"):
            list(nameless.send([path]))
        with pytest.raises(PacsError, match="no association"):
            list(ApplicationEntity("ANY", "127.0.0.1", receiver.port).send([path]))
    assert len(list((tmp_path / "incoming").iterdir())) == 1


def test_certificates_that_are_none(tmp_path):
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(PacsError, match=r"no\.pem: no certificate with its key"):
        TlsFiles(tmp_path / "no.pem", tmp_path / "no.pem").for_server()
    with pytest.raises(PacsError, match=r"no\.pem: no certificates in PEM"):
        TlsFiles(authorities=tmp_path / "no.pem").for_client()
    with pytest.raises(PacsError, match=r"a receiver needs --tls\.certificate"):
        TlsFiles(authorities=tmp_path / "no.pem").for_server()
