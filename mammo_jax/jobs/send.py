"""Send DICOM files to a PACS by C-STORE, or to a DICOMweb server by STOW-RS.

    mammo-jax send compressed --to PACS@pacs.example:104
    mammo-jax send compressed --to tls://PACS@pacs.example:2762 --tls.authorities hospital.pem
    mammo-jax send compressed --to https://pacs.example/dicom-web

Files are sent as they are, each in its own transfer syntax. A folder is searched at any depth for files named *.dcm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.pacs.destination import TITLE, parse_destination
from mammo_jax.pacs.errors import PacsError
from mammo_jax.pacs.tls import TlsFiles
from mammo_jax.progress import counted


@dataclass(frozen=True)
class SendConfig:
    """What is sent, and where.

    Attributes
    ----------
    inputs : tuple of Path
        DICOM files, and folders of such.
    to : str
        TITLE@HOST:PORT, tls://TITLE@HOST:PORT, or the URL of a DICOMweb server, whose user and password are taken from
        ~/.netrc.
    title : str
        Our AE title.
    tls : TlsFiles
    """

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    to: str
    title: str = TITLE
    tls: TlsFiles = field(default_factory=TlsFiles)


def send(config: SendConfig, _flags: Sequence[str]) -> None:
    """Send all files.

    Raises
    ------
    PacsError
        There is no file, the destination cannot be reached, or a file was not stored; each is printed before.
    """
    paths = []
    for path in config.inputs:
        paths += sorted(found for found in path.rglob("*.dcm") if found.name[0] != ".") if path.is_dir() else [path]
    if not paths:
        raise PacsError(f"{', '.join(map(str, config.inputs))}: no file named *.dcm there; give files by their names")
    failed = 0
    answers = parse_destination(config.to, config.title, config.tls).send(paths)
    for path, problem in counted(answers, "sending", len(paths), "file"):
        if problem is not None:
            failed += 1
            print(f"not sent: {path}: {problem}")
    if failed:
        raise PacsError(f"{failed} of {len(paths)} files were not sent; run the same command again after mending that")
    print(f"{len(paths)} files sent to {config.to}")


def _parse(flags: list[str]) -> SendConfig:
    return read_flags("send", SendConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(send, _parse, arguments, networks=False)
