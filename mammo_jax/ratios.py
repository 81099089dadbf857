"""The study's compression ratios, and a ratio as text and as a split name."""

from __future__ import annotations

LADDER = (15.0, 20.0, 25.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, 11000.0)
"""The ratios of Jo et al. (Sci Rep 2021;11:7924); 1 stands for uncompressed and is always added."""


MIXED = "mixed"
"""The training ratio of a model that is trained on all ratios."""


def ratio_text(ratio: float | str) -> str:
    """Return a ratio as text without trailing zeros: 15.0 becomes "15", 26.67 "26.67", and "mixed" stays."""
    return ratio if isinstance(ratio, str) else f"{ratio:.15g}"


def ratio_name(ratio: float) -> str:
    """Return how a ratio is called: "uncompressed" or "CR 15"."""
    return "uncompressed" if ratio == 1 else f"CR {ratio_text(ratio)}"


def split_name(ratio: float | str) -> str:
    """Return the name of a ratio's split: "ratio_15"; a decimal point becomes "p", since split names are words."""
    return "ratio_" + ratio_text(ratio).replace(".", "p")
