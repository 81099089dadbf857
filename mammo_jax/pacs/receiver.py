"""A storage SCP: every accepted object lies on the disk, whole and flushed, before its status says so.

Contents are not looked at here; `mammo_jax.pacs.spool` does that. An object's file is named by its UID and its hash, so
that the same object sent twice is one file, and two objects with one UID are two.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from mammo_jax.files import atomic_path
from mammo_jax.pacs.destination import SECONDS, TITLE
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.tls import TlsFiles
from mammo_jax.sources.dicom_frames import READ_SYNTAXES
from mammo_jax.sources.dicom_header import is_uid

SUCCESS, OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000  # PS3.4 B.2.3
VERIFICATION = uid.UID("1.2.840.10008.1.1")  # C-ECHO
# The standard has retired big-endian; a sender converts.
SYNTAXES = [syntax for syntax in READ_SYNTAXES if syntax != uid.ExplicitVRBigEndian]


@dataclass(frozen=True)
class Listening:
    """Where a receiver listens, and to whom.

    Attributes
    ----------
    port : int
        0 takes a free one.
    host : str
        Address of ours.
    title : str
        Our AE title.
    allowed : tuple of str
        AE titles of those who may send; empty allows all. A title is a name and no proof.
    max_associations : int
        At a time; more are refused until one ends.
    tls : TlsFiles
    """

    port: int
    host: str = "127.0.0.1"
    title: str = TITLE
    allowed: tuple[str, ...] = ()
    max_associations: int = 10
    tls: TlsFiles = field(default_factory=TlsFiles)


class Receiver:
    """A storage SCP in threads of its own; use it as a context manager.

    Attributes
    ----------
    arrived : threading.Event
        Set after each object.
    port : int
    """

    def __init__(self, incoming: Path, listening: Listening):
        incoming.mkdir(parents=True, exist_ok=True)
        self.arrived = threading.Event()
        self._incoming = incoming
        self._writing = threading.Lock()  # the same object may come in two associations at once
        entity = AE(listening.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
        entity.maximum_associations = listening.max_associations
        entity.require_calling_aet = list(listening.allowed)
        entity.add_supported_context(VERIFICATION)
        for sop_class in (context.abstract_syntax for context in AllStoragePresentationContexts):
            if sop_class is not None and "Image Storage" in sop_class.name:
                entity.add_supported_context(sop_class, SYNTAXES)
        try:
            server = entity.start_server(
                (listening.host, listening.port),
                block=False,
                ssl_context=listening.tls.for_server(),
                evt_handlers=[(evt.EVT_C_STORE, self._store)],
            )
        except OSError as error:
            raise PacsError(
                f"port {listening.port} of {listening.host}: cannot be listened on ({error.strerror}); choose another"
            ) from error
        assert server is not None  # it is None only where the call blocks
        assert server.socket is not None
        self._server = server
        self.port: int = server.socket.getsockname()[1]

    def _store(self, event: evt.Event) -> int:
        """Handle a C-STORE request: returns its status."""
        name = str(getattr(event.request, "AffectedSOPInstanceUID", ""))
        if not is_uid(name):
            return NOT_UNDERSTOOD
        contents = event.encoded_dataset()
        digest = hashlib.sha256(contents).hexdigest()[:16]
        try:
            with self._writing, atomic_path(self._incoming / f"{name}-{digest}.dcm") as temporary:
                temporary.write_bytes(contents)
        except OSError as error:
            print(f"refused an object: it cannot be written to {self._incoming} ({error.strerror})", flush=True)
            return OUT_OF_RESOURCES
        self.arrived.set()
        return SUCCESS

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
