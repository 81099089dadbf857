"""Several studies in one page: verdicts side by side, curves in one figure, paired differences.

mammo-jax compare runs/jpeg2000 runs/jpegxl --out compare.html

Cost: seconds to minutes, as evaluate. The runs may differ in codec, model or source. Differences have intervals where
images, labels and folds are the same; else the page says why not. Nothing is written into the run folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.report.comparison import build_comparison


@dataclass(frozen=True)
class CompareConfig:
    """Which runs.

    Attributes
    ----------
    runs : tuple of Path
        Run folders with metrics.json; the others are compared with the first.
    out : Path
        File that the page is written to.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    out: Path = Path("compare.html")


def compare(config: CompareConfig, _flags: Sequence[str]) -> None:
    """Build the page and print its path."""
    print(f"comparison: {build_comparison(config.runs, config.out)}")


def _parse(flags: list[str]) -> CompareConfig:
    return read_flags("compare", CompareConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(compare, _parse, arguments, networks=False)
