"""The study's ladder of compression ratios, and how a ratio is written down."""

from __future__ import annotations

LADDER = (15.0, 20.0, 25.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, 11000.0)
"""The ratios of Jo et al. (Sci Rep 2021;11:7924); 1 stands for uncompressed and is always added."""


MIXED = "mixed"
"""Stands for a training ratio where a model is trained on all of them."""


def ratio_text(ratio: float | str) -> str:
    """Write a ratio without needless digits: 15.0 becomes "15", 26.67 stays "26.67", "mixed" stays as well."""
    return ratio if isinstance(ratio, str) else f"{ratio:.15g}"


def split_name(ratio: float | str) -> str:
    """Name of a ratio's split: "ratio_15"; a decimal point becomes "p", as split names must be words."""
    return "ratio_" + ratio_text(ratio).replace(".", "p")
