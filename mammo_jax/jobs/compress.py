"""Compress files to exact ratios: DICOM to DICOM, PNG, TIFF and PGM to JPEG 2000 codestreams.

    mammo-jax compress ARCHIVE --ratio 100 --out compressed
    mammo-jax compress a.dcm b.png --ratios 15 50 100 --out compressed
    mammo-jax compress ARCHIVE --ratios 15 50 100 --layers --syntax j2k-lossless --out compressed

A folder is searched at any depth. Results keep the names of their files, in a folder for each ratio where there are
several. With --layers one file holds all ratios: its first layer is the image at the largest of them, and so on.
--syntax htj2k and jpegxl reach the nearest size that is not above the one asked for; sizes.csv says how far below.
Beside them lie sizes.csv, a row for each image and ratio, and left_out.csv, which says why a file is missing. Both have
the files' paths, and sizes.csv the SOP Instance UIDs before and after; --hashed-names hides them. Patients are known by
keyed hashes only. No file ends the run, and a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import list_files
from mammo_jax.compression.plan import CompressionPlan, Per
from mammo_jax.compression.syntaxes import SyntaxName
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.run_lock import locked
from mammo_jax.jobs.verify import check_results
from mammo_jax.limited_processes import Limits
from mammo_jax.processes import available_cores
from mammo_jax.sources.identifiers import load_key


@dataclass(frozen=True)
class CompressConfig:
    """What is compressed, and how.

    Attributes
    ----------
    inputs : tuple of Path
        Image files, and folders of such.
    out : Path
        Folder of the results and their tables.
    ratios : tuple of float
        Uncompressed bytes over those of the codestream, which is exactly as long as that says.
    layers : bool
        Write one file with a quality layer for each ratio rather than one file each.
    syntax : {"j2k", "j2k-lossless", "htj2k", "jpegxl"}
        Files of j2k-lossless give every pixel back, of whatever size; with --layers, the ratios are their first layers.
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed bytes count.
    per : {"frame", "object"}
        Which has exactly the ratio: each frame of a DICOM object, or all together. "object" gives the more bytes to a
        frame the more they better it.
    bits_stored : int or None
        Significant bits of 16-bit PNG and TIFF files; None infers them from the largest pixel of each.
    jp2 : bool
        Write JP2 files rather than bare codestreams (.j2k) where the input is no DICOM.
    drop_private : bool
        Remove private elements from DICOM objects.
    new_series : bool
        Give lossy DICOM objects a series of their own for each ratio; else they stay in the series they were in.
    plain_ids : bool
        Name files and patients in the tables as they are: only where these names identify nobody.
    hashed_names : bool
        Have keyed hashes in the tables in place of paths and SOP Instance UIDs.
    deidentify : bool
        Take names, dates, ids and private elements out of DICOM files, by the Basic Profile of PS3.15 Annex E; pixels
        stay as they are. It is no certificate: look at the results before you give them away. With --hashed-names the
        results are named by hashes too.
    id_key : Path or None
        File with the key of the hashes; None makes one for this user, once.
    workers : int or None
        Processes; None takes every core.
    max_seconds : float
        A file that takes more seconds to compute is left out.
    max_gigabytes : float
        A file for which a process needs more memory than so many GiB is left out.
    verify : bool
        Decode every result with two other libraries at the end and compare, as `mammo-jax verify` does.
    """

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    ratios: Annotated[tuple[float, ...], tyro.conf.arg(aliases=("--ratio",))] = ()
    layers: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    syntax: SyntaxName = "j2k"
    reference: Literal["allocated", "stored"] = "allocated"
    per: Per = "frame"
    bits_stored: int | None = None
    jp2: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    drop_private: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    new_series: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    plain_ids: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    hashed_names: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    deidentify: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    id_key: Path | None = None
    workers: int | None = None
    max_seconds: float = Limits.seconds
    max_gigabytes: float = Limits.gigabytes
    verify: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def compress(config: CompressConfig, _flags: Sequence[str]) -> None:
    """Compress all files, and print what was left out and where the sizes are.

    Raises
    ------
    CompressionError
        No file could be compressed, the folder holds results of other settings, or --verify found something.
    """
    for ratio in config.ratios:
        if 0 < ratio <= 1:
            raise CompressionError(
                f"ratio {ratio:g} would make files larger than they are; give ratios above 1, or --syntax j2k-lossless"
            )
    plan = CompressionPlan(
        out=config.out,
        ratios=config.ratios,
        layers=config.layers,
        syntax=config.syntax,
        reference=config.reference,
        per=config.per,
        bits_stored=config.bits_stored,
        jp2=config.jp2,
        drop_private=config.drop_private,
        new_series=config.new_series,
        key=None if config.plain_ids else load_key(config.id_key),
        hashed_names=config.hashed_names,
        deidentified=config.deidentify,
    )
    listing = list_files(config.inputs, plan)
    limits = Limits(config.max_seconds, config.max_gigabytes)
    with locked(config.out):
        left_out = compress_files(plan, listing, config.workers or available_cores(), limits)
    for file in left_out:
        print(f"left out: {file.name}: {file.reason}")
    count = len(listing.files) + len(listing.left_out)
    if len(left_out) == count:
        raise CompressionError("no file could be compressed")
    print(f"{count - len(left_out)} of {count} files: {config.out / 'sizes.csv'}")
    for bits, files in sorted(_inferred_bits(config.out / "sizes.csv", plan.rows_per_file).items()):
        print(f"bits stored: inferred as {bits} from the largest pixel of {files} files; --bits-stored says otherwise")
    if config.deidentify:
        print(_what_deidentification_is(config.out))
    if config.verify:
        check_results(config.out, config.workers, limits)


def _inferred_bits(table: Path, rows_per_file: int) -> dict[int, int]:
    """Count the files whose bits stored were inferred, by these bits."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = Counter(int(row["bits_stored"]) for row in csv.DictReader(stream) if row["bits_inferred"] == "True")
    return {bits: count // rows_per_file for bits, count in rows.items()}


def _what_deidentification_is(out: Path) -> str:
    with (out / "sizes.csv").open(encoding="utf-8", newline="") as stream:
        unknown = {row["image_id"] for row in csv.DictReader(stream) if row["burned_in_annotation"] != "NO"}
    pixels = f"; {len(unknown)} files do not say that no text is burned into their pixels" if unknown else ""
    return (
        "de-identified by the Basic Profile of PS3.15, headers alone. This is no certificate: free text and pixels may "
        f"still identify someone, so look before you give files away{pixels}"
    )


def parse(flags: list[str]) -> CompressConfig:
    """Read the job's flags."""
    return read_flags("compress", CompressConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(compress, parse, arguments, networks=False)
