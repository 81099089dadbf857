"""The published means of Jo et al. (Sci Rep 2021;11:7924), for comparison with a study's own."""

from __future__ import annotations

from mammo_jax.ratios import LADDER

CITATION = "Jo et al., Scientific Reports 2021;11:7924"

CNN_LAST_GOOD = 5000.0
CNN_UP_TO_LAST_GOOD = {"auroc": 0.87, "auprc": 0.75}
CNN_ABOVE = {"auroc": 0.79, "auprc": 0.49}
"""One mean for all ratios up to 5000 and one for 10 000 and 11 000; single ratios were given as figures only."""

RESNET18_RANGE = {"auroc": (0.77, 0.87), "auprc": (0.52, 0.71)}
"""Lowest and highest over the ratios."""


def cnn_mean(metric: str, ratio: float) -> float | None:
    """Return the published mean of the CNN at a ratio; None for ratios that were not in that study."""
    if ratio not in LADDER:
        return None
    return (CNN_UP_TO_LAST_GOOD if ratio <= CNN_LAST_GOOD else CNN_ABOVE)[metric]
