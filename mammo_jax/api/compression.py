"""Files to exact ratios in Python: `mammo_jax.compress`. Arrays are for the package `codec`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_jax.api.settings import flags_of, parsed, signature_of
from mammo_jax.api.workers import workers_without_main
from mammo_jax.jobs.compress import CompressConfig, parse
from mammo_jax.jobs.compress import compress as run_compress

IDS = {"patient_id": str, "image_id": str}


@dataclass(frozen=True)
class Compressed:
    """What was compressed.

    Attributes
    ----------
    folder : Path
        The results, with sizes.csv and left_out.csv.
    sizes : DataFrame
        A row for each image and ratio: path, bytes, ratios, PSNR, SHA-256, …
    left_out : DataFrame
        A row for each file that was not compressed, with the reason.
    """

    folder: Path
    sizes: pd.DataFrame
    left_out: pd.DataFrame


def compress(inputs: Path | str | Iterable[Path | str], out: Path | str, **settings: Any) -> Compressed:
    """Compress files and folders to exact ratios. The same as ``mammo-jax compress``, setting for flag.

    It prints what the job prints: what was left out, and what the user should know of the results.

    Parameters
    ----------
    inputs : path, or several
        PNG, TIFF, PGM and DICOM files, and folders of such.
    out : path
        Folder of the results. Results that are there are kept, so that an interrupted call goes on where it was.
    **settings
        The flags of ``mammo-jax compress``, such as ``ratios=(15, 100)``: see `mammo_jax.jobs.compress.CompressConfig`.

    Returns
    -------
    Compressed

    Raises
    ------
    UserError
        A setting cannot be used, no file could be compressed, or `out` holds results of other settings.
    """
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    flags = flags_of(CompressConfig, {"out": out, **settings})
    config = parsed(parse, [*(str(path) for path in paths), *flags])
    with workers_without_main():
        run_compress(config, flags)
    sizes, left_out = (pd.read_csv(config.out / name, dtype=IDS) for name in ("sizes.csv", "left_out.csv"))
    return Compressed(config.out, sizes, left_out)


compress.__signature__ = signature_of(  # type: ignore[attr-defined]
    CompressConfig, *list(inspect.signature(compress).parameters.values())[:2]
)
