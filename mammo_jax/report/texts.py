"""Numbers and sentences of the report in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.files import display_bytes
from mammo_jax.ratios import ratio_text
from mammo_jax.report import published
from mammo_jax.statistics.analysis_levels import outcome_text


def storage_sentence(verdict: Mapping[str, Any], audit: list[dict[str, Any]] | None) -> str:
    """Return what the verdict means for storage, and what it does not."""
    if verdict["outcome"] != "ratio":
        return "So nothing can be said about the storage that compression would save without a loss for the model."
    ratio = verdict["ratio"]
    terabyte = f"1 TB of uncompressed images becomes {display_bytes(1e12 / ratio)}"
    row = next((row for row in audit or [] if row["ratio"] == ratio), None)
    if row is None:
        return f"In storage: at this ratio {terabyte}. {published.RETENTION}"
    sizes = f"{display_bytes(row['mean_bytes'])} instead of {display_bytes(row['mean_uncompressed_bytes'])}"
    saved = f"In storage: at this ratio an image of this study takes {sizes} on average, and {terabyte}."
    return f"{saved} {published.RETENTION}"


def harm_sentence(model: Mapping[str, Any]) -> str | None:
    """Return what the operating point says of the ratio that passed and of the break; None without one."""
    operating, verdict = model["operating_point"], model["verdicts"]["transfer"]
    if not operating:
        return None
    wanted = [ratio for ratio in (verdict["ratio"], verdict["first_failed"]) if ratio]
    rows = [row for row in operating["results"] if row["test_ratio"] in wanted and row["changes"]]
    if not rows:
        return None
    found = [f"{_name(row['test_ratio'], verdict)} {_changes(row)}" for row in rows]
    return f"{operating['place'][0].upper()}{operating['place'][1:]}: {'; '.join(found)}."


def _name(ratio: float, verdict: Mapping[str, Any]) -> str:
    return f"at CR {ratio_text(ratio)}, {'which passed' if ratio == verdict['ratio'] else 'the break'},"


def _changes(row: Mapping[str, Any]) -> str:
    changes = []
    for measure in ("sensitivity", "specificity"):
        value, low, high = (display_signed(100 * row["changes"][measure][end], 1) for end in ("value", "low", "high"))
        changes.append(f"{measure} changes by {value} points ({low} to {high})")
    lost, gained = len(row["lost"]), len(row["gained"])
    return f"{' and '.join(changes)}, with {lost} positive image{'s' * (lost != 1)} lost and {gained} gained"


def display_ratio(ratio: float) -> str:
    """Format a ratio: 11000.0 becomes "11 000" with a narrow no-break space."""
    return f"{ratio:,.0f}".replace(",", "\u202f") if float(ratio).is_integer() else ratio_text(ratio)


def display_signed(value: float, digits: int = 3) -> str:
    """Format a difference with its sign and a true minus; what rounds to nothing has no sign."""
    text = f"{value:+.{digits}f}".replace("-", "\u2212")
    return text if float(f"{value:.{digits}f}") else text[1:]


def display_number(value: float, digits: int = 3) -> str:
    """Format a number with a true minus; what rounds to nothing has no sign."""
    return display_signed(value, digits).removeprefix("+")


def display_p_value(value: float) -> str:
    """Format a p-value with four decimals; none is 0."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def verdict_line(verdict: Mapping[str, Any]) -> str:
    """Return a verdict in few words, with the break."""
    broken = f", break at CR {display_ratio(verdict['first_failed'])}" if verdict["first_failed"] else ""
    return outcome_text(verdict) + broken


FILTERS = {
    "ratio": display_ratio,
    "bytes": display_bytes,
    "signed": display_signed,
    "number": display_number,
    "outcome": outcome_text,
    "verdict_line": verdict_line,
    "p_value": display_p_value,
}
"""Of the templates."""
