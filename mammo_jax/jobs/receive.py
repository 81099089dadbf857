"""Receive images from a PACS, compress each to an exact ratio, and send the copies on.

    mammo-jax receive --port 11112 --ratio 100 --out received
    mammo-jax receive --host 0.0.0.0 --allow PACS_ROUTER --port 11112 --ratio 100 --out received --send-to PACS@pacs:104
    mammo-jax receive --port 2762 --ratio 100 --out received --tls.certificate our.pem --tls.key our.key

It listens until Ctrl-C or SIGTERM, to this machine alone unless --host says otherwise. An object is accepted only when
it lies on the disk; it waits in received/incoming until its copy is in received/compressed, beside the tables that
`mammo-jax compress` writes, and has been sent on. A receiver that is started again goes on with what waits there. What
cannot be compressed is kept in received/left_out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.run_lock import locked
from mammo_jax.limited_processes import Limits
from mammo_jax.pacs.destination import TITLE, parse_destination
from mammo_jax.pacs.receiver import Listening, Receiver
from mammo_jax.pacs.spool import Spool
from mammo_jax.pacs.tls import TlsFiles
from mammo_jax.processes import available_cores
from mammo_jax.sources.identifiers import load_key

GATHER_SECONDS = 1  # after the first object, so that those which come with it are compressed by the same processes


@dataclass(frozen=True)
class ReceiveConfig:
    """Where it listens, and what becomes of the images.

    Attributes
    ----------
    port : int
        TCP port to listen on; 0 takes a free one, which is printed.
    ratio : float
        Uncompressed bytes over those of the codestream, which is exactly as long as that says.
    out : Path
        Folder of what is received and compressed.
    host : str
        Address to listen on; 0.0.0.0 is every one of this machine.
    title : str
        Our AE title.
    allow : tuple of str
        AE titles that may send; none given allows all. A title proves nothing, a certificate does.
    max_associations : int
        Connections at a time; more are refused until one ends.
    send_to : str or None
        Where each copy goes: TITLE@HOST:PORT, tls://TITLE@HOST:PORT, or the URL of a DICOMweb server.
    retry_seconds : float
        Seconds between two tries where that does not answer.
    keep_originals : bool
        Move received files to OUT/originals when they are finished, rather than delete them.
    tls : TlsFiles
        With a certificate and key only TLS is taken; with authorities only senders whom they have certified.
    plain_ids : bool
        Name patients in the tables as they are: only where these names identify nobody.
    hashed_names : bool
        Have keyed hashes in the tables in place of file names and SOP Instance UIDs.
    deidentify : bool
        Take the identity out of the copies, as `mammo-jax compress --deidentify` does.
    id_key : Path or None
        File with the key of the hashes; None makes one for this user, once.
    workers : int or None
        Processes; None takes every core.
    max_seconds : float
        An image that takes more seconds to compute is left out.
    max_gigabytes : float
        An image for which a process needs more memory than so many GiB is left out.
    """

    port: int
    ratio: float
    out: Path
    host: str = "127.0.0.1"
    title: str = TITLE
    allow: tuple[str, ...] = ()
    max_associations: int = 10
    send_to: str | None = None
    retry_seconds: float = 30.0
    keep_originals: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    tls: TlsFiles = field(default_factory=TlsFiles)
    plain_ids: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    hashed_names: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    deidentify: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    id_key: Path | None = None
    workers: int | None = None
    max_seconds: float = Limits.seconds
    max_gigabytes: float = Limits.gigabytes


def receive(config: ReceiveConfig, _flags: Sequence[str]) -> None:
    """Receive and compress until the process is ended.

    Raises
    ------
    PacsError, CompressionError
        The port, a certificate or the folder cannot be used.
    """
    spool = Spool(config.out, config.keep_originals)
    plan = CompressionPlan(
        out=spool.compressed,
        ratios=(config.ratio,),
        key=None if config.plain_ids else load_key(config.id_key),
        hashed_names=config.hashed_names,
        deidentified=config.deidentify,
    )
    destination = None if config.send_to is None else parse_destination(config.send_to, config.title, config.tls)
    limits = Limits(config.max_seconds, config.max_gigabytes)
    listening = Listening(config.port, config.host, config.title, config.allow, config.max_associations, config.tls)
    with locked(config.out):
        spool.prepare()
        with Receiver(spool.incoming, listening) as receiver:
            print(f"{config.title} listens on {config.host}:{receiver.port}", flush=True)
            while True:
                receiver.arrived.clear()  # before the folder is read: what comes now is seen now or next time
                finished, problems = spool.work_off(plan, config.workers or available_cores(), limits, destination)
                for problem in problems:
                    print(problem, flush=True)
                if finished:
                    print(f"{finished} finished: {plan.out / 'sizes.csv'}", flush=True)
                if receiver.arrived.wait(config.retry_seconds):
                    time.sleep(GATHER_SECONDS)


def _parse(flags: list[str]) -> ReceiveConfig:
    return read_flags("receive", ReceiveConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(receive, _parse, arguments, networks=False)
