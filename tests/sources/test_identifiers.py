import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from mammo_jax.sources.identifiers import default_key_path, keyed_hash, load_key
from mammo_jax.sources.mammogram import SourceError

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "mammo_jax" / "id.key"


def test_the_hash_is_hmac_sha256():
    whole = hmac.new(KEY, b"patient\0PID-7", hashlib.sha256).hexdigest()
    assert keyed_hash("PID-7", KEY, "patient") == whole[:16]
    assert keyed_hash(" PID-7 ", KEY, "patient") == whole[:16]


def test_key_kind_and_id_all_matter():
    hashes = {
        keyed_hash(identifier, key, kind)
        for identifier in ("1", "2")
        for key in (KEY, KEY[::-1])
        for kind in ("patient", "image")
    }
    assert len(hashes) == 8


def test_the_default_key_is_made_once_and_is_private(own_config):
    key = load_key()
    assert default_key_path() == own_config
    assert len(key) == 32
    assert stat.S_IMODE(own_config.stat().st_mode) == 0o600
    assert load_key() == key
    assert [path.name for path in own_config.parent.iterdir()] == ["id.key"]


def test_two_machines_have_two_keys(tmp_path, monkeypatch):
    first = load_key()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    assert load_key() != first


def test_racing_first_uses_agree():
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_key(), range(64)))
    assert len(keys) == 1


def test_without_xdg_the_key_is_under_dot_config(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_key_path() == tmp_path / ".config" / "mammo_jax" / "id.key"


def test_a_key_file_of_ones_own(tmp_path, own_config):
    (tmp_path / "key").write_bytes(KEY)
    assert load_key(tmp_path / "key") == KEY
    assert not own_config.exists()


@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), (b"short", "5 bytes")])
def test_unusable_key_files_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(SourceError, match=f"{tmp_path / 'key'}.*{message}"):
        load_key(tmp_path / "key")


def test_a_config_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(SourceError, match=r"file/mammo_jax/id\.key"):
        load_key()
