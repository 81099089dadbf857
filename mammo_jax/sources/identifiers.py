"""Pseudonyms: keyed hashes of patient and image ids.

A plain hash of a short patient number can be reversed by trying all numbers; HMAC-SHA256 (RFC 2104) with a secret key
cannot. The key stays on the machine, so that the same patient gets the same pseudonym in every run there.
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
MIN_KEY_BYTES = 16
HASH_DIGITS = 16  # 64 bits: two of a million ids collide with probability 3e-8


def default_key_path() -> Path:
    """Return the path of the user's key: ``$XDG_CONFIG_HOME/mammo_jax/id.key``, by default under ``~/.config``."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "mammo_jax" / "id.key"


def load_key(path: Path | str | None = None) -> bytes:
    """Read the key for the pseudonyms; the default key is created at its first use.

    Parameters
    ----------
    path : path of a file of at least 16 bytes, or None for the user's default key

    Returns
    -------
    bytes
        The file's whole content.

    Raises
    ------
    SourceError
        The file cannot be read or created, or is too short for a secret key.
    """
    key_path = default_key_path() if path is None else Path(path)
    try:
        if path is None and not key_path.exists():
            _create_key(key_path)
        key = key_path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"{key_path}: the key for the identifiers cannot be read or created ({error.strerror}); "
            "give another file, for instance 32 bytes of /dev/urandom"
        ) from error
    if len(key) < MIN_KEY_BYTES:
        raise SourceError(f"{key_path}: has {len(key)} bytes; a key for identifiers needs at least {MIN_KEY_BYTES}")
    return key


def keyed_hash(identifier: str, key: bytes, kind: str) -> str:
    """Return the pseudonym of an identifier: the first 16 hexadecimal digits of HMAC-SHA256.

    Parameters
    ----------
    identifier : the original id of the patient or image; leading and trailing blanks are ignored (DICOM padding)
    key : secret bytes from `load_key`
    kind : ``"patient"`` or ``"image"``, so that equal ids of two kinds get different pseudonyms
    """
    message = f"{kind}\0{identifier.strip()}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:HASH_DIGITS]


def _create_key(path: Path) -> None:
    """Write a new key that only its owner can read; if two processes race, the first one's key is used."""
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
