"""One self-contained HTML report from a run folder."""

from mammo_jax.report.build import build_report
from mammo_jax.report.sections import ReportError

__all__ = ["ReportError", "build_report"]
