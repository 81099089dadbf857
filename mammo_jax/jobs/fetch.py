"""Get studies of a DICOMweb server into a folder, which every other job can read.

    mammo-jax fetch https://pacs.example/dicom-web --studies 1.2.3.4 1.2.3.5 --out archive
    mammo-jax fetch https://pacs.example/dicom-web --dates 20260101-20260630 --out archive

Without --studies, all with mammography in them (modality MG) are taken. Files come in the transfer syntax in which the
server has them. What is in the folder already is not fetched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.run_lock import locked
from mammo_jax.pacs.dicomweb import DicomwebServer
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.tls import TlsFiles
from mammo_jax.progress import counted


@dataclass(frozen=True)
class FetchConfig:
    """What is fetched.

    Attributes
    ----------
    server : str
        URL of its DICOMweb root; user and password are taken from ~/.netrc.
    out : Path
        Folder for the files.
    studies : tuple of str
        Study Instance UIDs; none takes all that the two next flags find.
    modality : str
        DICOM modality of studies that are searched for.
    dates : str or None
        Of studies that are searched for, as 20260101-20260630.
    tls : TlsFiles
    """

    server: tyro.conf.Positional[str]
    out: Path
    studies: tuple[str, ...] = ()
    modality: str = "MG"
    dates: str | None = None
    tls: TlsFiles = field(default_factory=TlsFiles)


def fetch(config: FetchConfig, _flags: Sequence[str]) -> None:
    """Fetch all instances of the studies.

    Raises
    ------
    PacsError
        The server cannot be reached, or has no such study.
    """
    server = DicomwebServer(config.server, config.tls)
    filters = {"ModalitiesInStudy": config.modality} | ({"StudyDate": config.dates} if config.dates else {})
    with locked(config.out):
        studies = list(config.studies or server.studies(filters))
        shown = counted(studies, "fetching", len(studies), "study")
        files = [new for study in shown for _, new in server.fetch(study, config.out)]
    if not files:
        raise PacsError(f"{config.server}: no image of these studies there")
    print(f"{len(files)} files of {len(studies)} studies in {config.out}, {sum(files)} of them new")


def _parse(flags: list[str]) -> FetchConfig:
    return read_flags("fetch", FetchConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(fetch, _parse, arguments, networks=False)
