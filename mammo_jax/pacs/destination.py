"""Where files are sent to: an application entity by C-STORE, or a DICOMweb server by STOW-RS."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom import AE
from pynetdicom.association import Association

from mammo_jax.pacs.dicomweb import DicomwebServer
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.tls import TlsFiles

TITLE = "MAMMO_JAX"
SECONDS = 60  # without an answer
MAX_CONTEXTS = 128  # of one association, PS3.8 9.3.2.2
WARNINGS = range(0xB000, 0xC000)  # stored all the same, PS3.4 B.2.3
_ADDRESS = re.compile(r"(?P<tls>tls://)?(?P<title>[^@\\]{1,16})@(?P<host>[^@/]+):(?P<port>\d{1,5})")


class Destination(Protocol):
    """Where files are sent to."""

    def send(self, paths: Sequence[Path]) -> Iterator[tuple[Path, str | None]]:
        """Send files; yield each with None, or with the reason why it was not stored."""


@dataclass(frozen=True)
class ApplicationEntity:
    """An AE that stores what it is sent.

    Attributes
    ----------
    title, host : str
    port : int
    own_title : str
        As which we call it.
    tls : TlsFiles or None
        None talks without TLS.
    """

    title: str
    host: str
    port: int
    own_title: str = TITLE
    tls: TlsFiles | None = None

    def send(self, paths: Sequence[Path]) -> Iterator[tuple[Path, str | None]]:
        """Send DICOM files, each in its own transfer syntax.

        Raises
        ------
        PacsError
            The AE cannot be reached, or refuses us.
        """
        by_kind: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for path in paths:
            try:
                meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
                by_kind[meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID].append(path)
            except (InvalidDicomError, AttributeError):
                yield path, "is no DICOM file with its meta information"
        kinds = list(by_kind)
        for first in range(0, len(kinds), MAX_CONTEXTS):
            some = kinds[first : first + MAX_CONTEXTS]
            with self._association(some) as association:
                for kind in some:
                    for path in by_kind[kind]:
                        yield path, self._store(association, kind, path)

    @contextmanager
    def _association(self, kinds: list[tuple[str, str]]) -> Iterator[Association]:
        entity = AE(self.own_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = SECONDS
        for sop_class, syntax in kinds:
            entity.add_requested_context(sop_class, syntax)
        tls = None if self.tls is None else (self.tls.for_client(), self.host)
        association = entity.associate(self.host, self.port, ae_title=self.title, tls_args=tls)
        if not association.is_established:
            why = "it refuses us: is our AE title known there?" if association.is_rejected else "is it running?"
            raise PacsError(f"{self}: no association; {why}")
        try:
            yield association
        finally:
            association.release()

    def _store(self, association: Association, kind: tuple[str, str], path: Path) -> str | None:
        accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
        if kind not in accepted:
            return f"{self} does not take this SOP class in this transfer syntax ({kind[1]})"
        if not association.is_established:
            return f"{self} has ended the association"
        status = association.send_c_store(path)
        if "Status" not in status:
            return f"{self} did not answer"
        if status.Status == 0 or status.Status in WARNINGS:
            return None
        return f"{self} answered with status 0x{status.Status:04X}"

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def parse_destination(address: str, own_title: str, tls: TlsFiles) -> Destination:
    """Read an address: TITLE@HOST:PORT, tls://TITLE@HOST:PORT, or the http(s) URL of a DICOMweb server.

    Raises
    ------
    PacsError
        It is none of them.
    """
    if address.startswith(("http://", "https://")):
        return DicomwebServer(address, tls)
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise PacsError(f"{address}: write TITLE@HOST:PORT, tls://TITLE@HOST:PORT, or the URL of a DICOMweb server")
    title, host, port = match["title"], match["host"], int(match["port"])
    return ApplicationEntity(title, host, port, own_title, tls if match["tls"] else None)
