"""One self-contained HTML page from the summary of a scan, in the style of the report; it names no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mammo_jax.files import PAGE_STYLE, display_bytes, write_text
from mammo_jax.scan.duplicates import ANOTHER_PATIENT
from mammo_jax.scan.summary import Summary

MOST_ROWS = 12
MOST_GROUPS = 20


def write_scan_page(
    path: Path, summary: Summary, groups: Sequence[Sequence[Mapping[str, str]]], *, pixels: bool
) -> Path:
    """Write the page.

    Parameters
    ----------
    path : Path
    summary : Summary
    groups : sequence
        Groups of equal images, of `mammo_jax.scan.duplicates.find_duplicates`.
    pixels : bool
        Whether the pixels were decoded.

    Returns
    -------
    Path
        The page's path.
    """
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, PAGE_STYLE.parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"bytes": display_bytes, "count": display_count}
    page = environment.get_template("page.html").render(
        summary=summary,
        tables=[table for table in summary.tables if table.rows],
        shown_groups=_first_groups(groups),
        groups=len(groups),
        pixels=pixels,
        most_rows=MOST_ROWS,
    )
    write_text(path, page)
    return path


def _first_groups(groups: Sequence[Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """Return a few groups as ids, those of different patients first."""
    ordered = sorted(groups, key=lambda group: group[0]["relation"] != ANOTHER_PATIENT)
    return [
        {
            "relation": group[0]["relation"],
            "images": [row["image_id"] for row in group[:MOST_ROWS]],
            "patients": sorted({row["patient_id"] or "not known" for row in group}),
            "files": len(group),
        }
        for group in ordered[:MOST_GROUPS]
    ]


def display_count(number: int) -> str:
    """Format a count: 11000 becomes "11 000" with a narrow no-break space."""
    return f"{number:,}".replace(",", "\u202f")
