"""Identifiers that name nobody: keyed hashes of patient and image ids.

A plain hash of a short patient number is undone by trying every number; HMAC-SHA256 (RFC 2104) with a secret key is
not. The key stays on the machine, so that the same patient gets the same pseudonym in every run there.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from mammo_jax.sources.mammogram import SourceError

KEY_BYTES = 32
SHORTEST_KEY = 16
HASH_DIGITS = 16  # 64 bits: two of a million ids collide with probability 3e-8


def default_key_path() -> Path:
    """Path of this user's key: ``$XDG_CONFIG_HOME/mammo_jax/id.key``, or the same under ``~/.config``."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "mammo_jax" / "id.key"


def load_key(path: Path | str | None = None) -> bytes:
    """Read the key of the pseudonyms; the default one is made at its first use.

    Parameters
    ----------
    path : path of a file of at least 16 bytes, or None for this user's own key

    Returns
    -------
    bytes
        The file's whole content.

    Raises
    ------
    SourceError
        The file cannot be read or made, or is too short to be a secret.
    """
    chosen = default_key_path() if path is None else Path(path)
    try:
        if path is None and not chosen.exists():
            _make_key(chosen)
        key = chosen.read_bytes()
    except OSError as error:
        raise SourceError(
            f"{chosen}: the key of the identifiers cannot be read or made ({error.strerror}); "
            "give another file, for instance 32 bytes of /dev/urandom"
        ) from error
    if len(key) < SHORTEST_KEY:
        raise SourceError(f"{chosen}: holds {len(key)} bytes; a key of identifiers needs at least {SHORTEST_KEY}")
    return key


def keyed_hash(identifier: str, key: bytes, kind: str) -> str:
    """Pseudonym of an identifier: the first 16 hexadecimal digits of HMAC-SHA256.

    Parameters
    ----------
    identifier : the patient's or the image's own id; blanks around it do not count (DICOM pads with them)
    key : secret bytes of `load_key`
    kind : what the id names (``"patient"``, ``"image"``), so that equal texts of two kinds are not linked
    """
    message = f"{kind}\0{identifier.strip()}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:HASH_DIGITS]


def _make_key(path: Path) -> None:
    """Write a new key, readable by its owner only; where two processes race, the first one's key stands."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, never replaces a key that is in use already
    finally:
        temporary.unlink()
