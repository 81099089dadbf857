"""A DICOMweb server: store by STOW-RS, search by QIDO-RS, retrieve by WADO-RS (PS3.18).

User and password stand in ~/.netrc, where the HTTP library finds them by the server's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from mammo_jax.files import atomic_path
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.tls import TlsFiles
from mammo_jax.sources.dicom_header import is_uid

SECONDS = 60  # without an answer
PAGE = 100  # studies of one answer
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
AS_STORED = (("application/dicom", "*"),)  # in whatever transfer syntax the server has it


@dataclass(frozen=True)
class DicomwebServer:
    """A server by its URL, as https://pacs.example/dicom-web; `tls` says whom we trust and what we show."""

    url: str
    tls: TlsFiles = field(default_factory=TlsFiles)

    def send(self, paths: Sequence[Path]) -> Iterator[tuple[Path, str | None]]:
        """Store DICOM files, one request each.

        Raises
        ------
        PacsError
            The server cannot be reached.
        """
        client = self._client()
        for path in paths:
            try:
                instance = dcmread(path)
            except InvalidDicomError:
                yield path, "is no DICOM file with its meta information"
                continue
            try:
                answer = client.store_instances([instance])
            except requests.HTTPError as error:
                yield path, f"{self} answered with status {_status(error)}"
                continue
            except requests.RequestException as error:
                raise self._unreachable(error) from error
            failed = answer.get("FailedSOPSequence")
            yield path, f"{self} refused it, reason 0x{failed[0].FailureReason:04X}" if failed else None

    def studies(self, filters: dict[str, str]) -> Iterator[str]:
        """Yield the UIDs of the studies that match, as QIDO-RS takes it: {"StudyDate": "20260101-20261231"}.

        Raises
        ------
        PacsError
            The server cannot be reached, or does not answer as one of DICOMweb.
        """
        client = self._client()
        offset = 0
        while True:
            page = self._ask(client.search_for_studies, search_filters=filters, limit=PAGE, offset=offset)
            yield from (self._uid(study, _STUDY) for study in page)
            offset += len(page)
            if len(page) < PAGE:
                return

    def fetch(self, study: str, out: Path) -> Iterator[tuple[Path, bool]]:
        """Retrieve a study into OUT/StudyInstanceUID/SOPInstanceUID.dcm; yield each path, and whether it is new.

        Raises
        ------
        PacsError
            As `studies`.
        """
        client = self._client()
        for found in self._ask(client.search_for_instances, study_instance_uid=study, fields=["SeriesInstanceUID"]):
            series, instance = self._uid(found, _SERIES), self._uid(found, _INSTANCE)
            path = out / study / f"{instance}.dcm"
            if path.exists():
                yield path, False
                continue
            retrieved = self._ask(client.retrieve_instance, study, series, instance, media_types=AS_STORED)
            with atomic_path(path) as temporary:
                retrieved.save_as(temporary, enforce_file_format=True)
            yield path, True

    def _client(self) -> DICOMwebClient:
        session = requests.Session()
        if self.tls.authorities is not None:
            session.verify = str(self.tls.authorities)
        if self.tls.certificate is not None:
            session.cert = (str(self.tls.certificate), str(self.tls.key)) if self.tls.key else str(self.tls.certificate)
        client = DICOMwebClient(self.url, session=session, timeout=SECONDS)
        client.set_http_retry_params(max_attempts=3, wait_exponential_multiplier=500)
        return client

    def _ask(self, question: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return question(*arguments, **options)
        except requests.HTTPError as error:
            raise PacsError(f"{self}: answered with status {_status(error)}; check the URL, user and study") from error
        except requests.RequestException as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: requests.RequestException) -> PacsError:
        return PacsError(f"{self}: cannot be reached ({type(error).__name__}); check the URL and --tls.authorities")

    def _uid(self, found: dict[str, Any], tag: str) -> str:
        """A UID of an answer, which becomes a file's name here."""
        value = str((found.get(tag, {}).get("Value") or [""])[0])
        if not is_uid(value):
            raise PacsError(f"{self}: answered without a valid UID ({tag}); is it a DICOMweb server?")
        return value

    def __str__(self) -> str:
        return self.url


def _status(error: requests.HTTPError) -> str:
    return "unknown" if error.response is None else str(error.response.status_code)
