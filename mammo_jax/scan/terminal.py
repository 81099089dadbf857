"""The summary of a scan as text for the terminal, without file names."""

from __future__ import annotations

from mammo_jax.scan.facts import BOTH
from mammo_jax.scan.summary import Summary, Table

MOST_ROWS = 8
WIDTH = 100


def lines(summary: Summary) -> list[str]:
    """Return the lines to print."""
    said = ["   ".join(f"{name} {number:,}" for name, number in summary.facts), ""]
    for table in summary.tables:
        said += [*_table(table), ""]
    if summary.reasons:
        reasons = [
            (reason if jobs == BOTH else f"{jobs} alone: {reason}", count) for jobs, reason, count in summary.reasons
        ]
        said += [*_table(Table("Left out of compress and study", "Reason", "files", reasons)), ""]
    return [*said, *(f"note: {notice}" for notice in summary.notices), summary.sentence]


def _table(table: Table) -> list[str]:
    rows = [*table.rows[:MOST_ROWS]]
    if rest := table.rows[MOST_ROWS:]:
        rows.append((f"{len(rest)} others", sum(count for _, count in rest)))
    shown = [(f"  {_cut(name)}", f"{count:,}") for name, count in rows]
    head = (table.title, table.counted)
    width = max(len(name) for name, _ in [head, *shown]) + 2
    digits = max(len(count) for _, count in [head, *shown])
    return [f"{name:<{width}}{count:>{digits}}" for name, count in [head, *shown]]


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
