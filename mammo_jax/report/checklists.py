"""CLAIM (2024), STARD-AI (2025) and TRIPOD+AI (2024), filled from a run as far as it knows.

`checklist_items.csv` has the items: number and topic in our own words, the facts that answer it, what the authors have
to say where a fact is missing, and what they have to say in any case. The guidelines themselves: Tejani et al., Radiol
Artif Intell 2024;6:e240300; Sounderajah et al., Nat Med 2025;31:3283; Collins et al., BMJ 2024;385:e078378.
"""

from __future__ import annotations

import csv
import io
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_jax.files import write_text
from mammo_jax.report.sections import ReportError
from mammo_jax.run_folder import RunFolder

ITEMS = Path(__file__).parent / "checklist_items.csv"
GUIDELINES = {"CLAIM": "CLAIM, update of 2024", "STARD-AI": "STARD-AI, 2025", "TRIPOD+AI": "TRIPOD+AI, 2024"}
NOT_APPLICABLE = "n/a: "
FILLED, IN_PART, AUTHORS, NONE = "filled from the run", "in part", "for the authors", "not applicable"
OWN = "authors"
"""The column of checklist.csv that belongs to the study's authors."""
COLUMNS = ("guideline", "item", "topic", "status", "from_the_run", "for_the_authors", OWN)


def read_items() -> list[dict[str, str]]:
    """Read the items: guideline, item, topic, answer, missing, also."""
    with ITEMS.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def named_facts(item: Mapping[str, str]) -> list[str]:
    """Return the names of the facts that answer an item."""
    return [name for _, name, _, _ in string.Formatter().parse(item["answer"]) if name]


def filled_item(item: Mapping[str, str], facts: Mapping[str, str]) -> dict[str, str]:
    """Answer one item with the facts that there are.

    Returns
    -------
    dict
        The columns of checklist.csv, without what the authors wrote.
    """
    row = {name: item[name] for name in ("guideline", "item", "topic")}
    if item["answer"].startswith(NOT_APPLICABLE):
        text = item["answer"].removeprefix(NOT_APPLICABLE)
        return row | {"status": NONE, "from_the_run": text, "for_the_authors": ""}
    names = named_facts(item)
    known = [facts[name] for name in names if name in facts]
    asked = [item["missing"]] if len(known) < len(names) or not names else []
    asked += [item["also"]] if item["also"] else []
    status = AUTHORS if not known else IN_PART if asked else FILLED
    free = item["answer"]
    for name in names:
        free = free.replace(f"{{{name}}}", "")
    text = " ".join([*known, *([free.strip()] if free.strip() else [])])
    return row | {"status": status, "from_the_run": text, "for_the_authors": "; ".join(asked)}


def filled_items(facts: Mapping[str, str], written: Mapping[tuple[str, str], str]) -> list[dict[str, str]]:
    """Answer every item; `written` is what the authors wrote, by guideline and item."""
    rows = [filled_item(item, facts) for item in read_items()]
    return [row | {OWN: written.get((row["guideline"], row["item"]), "")} for row in rows]


def read_authors(run: RunFolder) -> dict[tuple[str, str], str]:
    """Read what the authors wrote into checklist.csv, by guideline and item; empty without the file.

    Raises
    ------
    ReportError
        If the file cannot be read or lacks a column: what was written would be lost.
    """
    path = run.checklist
    if not path.exists():
        return {}
    remedy = f"save it as a CSV file (UTF-8, commas) with the columns {', '.join(COLUMNS)}, or move it away"
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{path}: not a readable CSV file ({error}); {remedy}") from error
    missing = [name for name in ("guideline", "item", OWN) if rows and name not in rows[0]]
    if missing or not rows:
        raise ReportError(f"{path}: column {(missing or [OWN])[0]!r} is missing; {remedy}")
    return {(row["guideline"], row["item"]): row[OWN] for row in rows if row[OWN]}


def write_checklist(run: RunFolder, rows: list[dict[str, str]]) -> None:
    """Write checklist.csv, with a mark of UTF-8 that spreadsheets look for."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(run.checklist, "\ufeff" + text.getvalue())


def checklist_section(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return each guideline's title, rows, and number of items by status, for the report."""
    sections = []
    for name, title in GUIDELINES.items():
        own = [row for row in rows if row["guideline"] == name]
        counts = {status: sum(row["status"] == status for row in own) for status in (FILLED, IN_PART, AUTHORS, NONE)}
        sections.append({"name": name, "title": title, "rows": own, "counts": counts, "items": len(own)})
    return sections
