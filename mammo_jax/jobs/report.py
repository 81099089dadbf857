"""Build a run's report.html and figures/ again from the files that are there; nothing is computed anew.

mammo-jax report --run runs/study
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder


@dataclass(frozen=True)
class ReportConfig:
    """Which run.

    Attributes
    ----------
    run : Path
        Run folder with metrics.json.
    """

    run: Path = Path("runs/study")


def report(config: ReportConfig, _flags: Sequence[str]) -> None:
    """Build the report and print its path."""
    print(f"report: {build_report(RunFolder(config.run))}")


def _parse(flags: list[str]) -> ReportConfig:
    return read_flags("report", ReportConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(report, _parse, arguments, networks=False)
