"""Secondary figures beside the verdict, which does not rest on them: DeLong, and p-values adjusted after Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mammo_jax.statistics.bca import bca_p_value
from mammo_jax.statistics.bootstrap import Estimate, Estimates
from mammo_jax.statistics.delong import delong
from mammo_jax.statistics.prediction_grid import Cell, PredictionGrid


def secondary_figures(grid: PredictionGrid, cells: Mapping[Cell, Estimates], margin: float) -> list[dict[str, Any]]:
    """Compare the model trained at CR 1 at every ratio with itself at CR 1.

    Parameters
    ----------
    grid : PredictionGrid
    cells : mapping of Cell to Estimates
        Of the same grid.
    margin : float

    Returns
    -------
    list of dict, ready for JSON
        In rising order of the ratio, which each has. p_value: one-sided, of a loss of AUROC of the margin or more, by
        the verdict's own bootstrap (`bca_p_value`); holm: the same, adjusted for all ratios. delong: the fields of
        `DeLong`, or None where a fold has a single image of a class. Empty without CR 1, or without another ratio.
    """
    ratios = sorted(test for train, test in cells if train == "1" and test > 1)
    if ("1", 1.0) not in cells or not ratios:
        return []
    differences = [cells["1", ratio].auroc - cells["1", 1.0].auroc for ratio in ratios]
    p_values = [_p_value(difference, -margin) for difference in differences]
    enough = all(min(fold.labels.sum(), (~fold.labels).sum()) > 1 for fold in grid.folds)
    reference = grid.scores["1", 1.0]
    return [
        {
            "ratio": ratio,
            "p_value": p_value,
            "holm": adjusted,
            "delong": delong(grid.folds, grid.scores["1", ratio], reference)._asdict() if enough else None,
        }
        for ratio, p_value, adjusted in zip(ratios, p_values, holm(p_values))
    ]


def _p_value(difference: Estimate, limit: float) -> float:
    return bca_p_value(difference.value, difference.replicates, difference.left_out, limit)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm, Scand J Stat 1979;6:65).

    A hypothesis may be rejected at a level where its adjusted p-value is not above it; whichever hypotheses are true,
    the probability of rejecting any true one is at most the level. Unlike a fixed sequence it needs no order.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p_values, float)[order]))
    return adjusted.tolist()
