"""The report's section on model observers, from RUN/observer/summary.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.files import read_json
from mammo_jax.observer.shortcuts import SHORTCUTS
from mammo_jax.observer.stage import BLIND, OBSERVER, PERMUTATIONS, RESIZED, STATISTICS
from mammo_jax.observer.summary import MATCHED, NETWORK, SCHEMA, SHORTCUT_AUROC, TRANSFER
from mammo_jax.report.figures import ReportFigure
from mammo_jax.report.observer_plots import observer_figure
from mammo_jax.report.sections import ReportError
from mammo_jax.run_folder import RunFolder

TITLES = {
    (NETWORK, TRANSFER): "network, transfer",
    (NETWORK, MATCHED): "network, matched",
    (OBSERVER, TRANSFER): "observer, transfer",
    (OBSERVER, MATCHED): "observer, matched",
    (RESIZED, TRANSFER): "observer, transfer, fewer pixels",
    (RESIZED, MATCHED): "observer, matched, fewer pixels",
    **{(arm, MATCHED): text for arm, text in SHORTCUTS.items()},
    (STATISTICS, MATCHED): "all statistics together",
    (BLIND, MATCHED): "blind observer",
}
"""Rows of the table: arm and training → name."""


def load_observers(run: RunFolder) -> dict[str, Any] | None:
    """Read observer/summary.json; None if the run has none.

    Raises
    ------
    ReportError
        If it is damaged or has another version.
    """
    path = run.observer_summary
    if not path.exists():
        return None
    try:
        summary: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise ReportError(f"{path}: not readable JSON ({error}); remove it and run mammo-jax observer") from error
    if summary.get("schema") != SCHEMA:
        raise ReportError(f"{path}: field schema is not {SCHEMA!r}; remove it and run mammo-jax observer again")
    return summary


def observer_figures(run: RunFolder) -> list[ReportFigure]:
    """Draw the section's figure; none if the run has no observers."""
    summary = load_observers(run)
    return [] if summary is None else [observer_figure(summary)]


def observer_section(run: RunFolder) -> dict[str, Any] | None:
    """Collect the section's template variables; None if the run has no observers."""
    summary = load_observers(run)
    if summary is None:
        return None
    return {
        "counts": summary["counts"],
        "figure": observer_figure(summary).in_page(),
        "ratios": sorted({row["ratio"] for row in summary["curves"]}),
        "rows": _rows(summary),
        "against_resized": summary["against_resized"],
        "shortcuts": [row | {"title": TITLES[row["arm"], MATCHED]} for row in summary["shortcuts"]],
        "shortcut_auroc": SHORTCUT_AUROC,
        "blind_at_chance": summary["blind_at_chance"],
        "permutations": PERMUTATIONS,
    }


def _rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the table's rows, each with its AUROC by ratio."""
    found: dict[tuple[str, str], dict[float, Any]] = {}
    for row in summary["curves"]:
        found.setdefault((row["arm"], row["training"]), {})[row["ratio"]] = row
    return [{"title": title, "by_ratio": found[curve]} for curve, title in TITLES.items() if curve in found]
