"""Build a run's report.html and figures/ again from the files that are there; nothing is computed anew.

mammo-jax report --run runs/study
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mammo_jax.report import ReportError, build_report


@dataclass(frozen=True)
class ReportConfig:
    """Which run.

    Attributes
    ----------
    run : Path
        Run folder with metrics.json.
    """

    run: Path = Path("runs/study")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    config = tyro.cli(ReportConfig, args=sys.argv[1:] if arguments is None else arguments, description=__doc__)
    try:
        print(f"report: {build_report(config.run)}")
    except ReportError as error:
        raise SystemExit(f"error: {error}") from error
