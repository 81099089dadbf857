"""Mean ROC curves of the models that were trained uncompressed, for a figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from mammo_jax.statistics.prediction_grid import PredictionGrid

FALSE_POSITIVE_RATES = np.r_[0.0, np.round(np.linspace(0, 1, 51), 2)]
"""0 twice: the curves start at (0, 0) and go straight up."""


def roc_curves(grid: PredictionGrid) -> dict[str, Any] | None:
    """Average the ROC curves of folds and training seeds at each false-positive rate, for every test ratio.

    Scores of different folds come from different models, so that curves are averaged and not scores pooled (vertical
    averaging, Fawcett, Pattern Recognit Lett 2006;27:861).

    Parameters
    ----------
    grid : PredictionGrid

    Returns
    -------
    dict, ready for JSON, or None without a model trained at CR 1
        false_positive_rates; curves: test_ratio, sensitivities, and auroc: the mean of the areas.
    """
    cells = {test: parts for (train, test), parts in grid.scores.items() if train == "1"}
    if not cells:
        return None
    curves = []
    for ratio, parts in sorted(cells.items()):
        corners = [
            roc_curve(fold.labels, scores, drop_intermediate=False)[:2]
            for fold, part in zip(grid.folds, parts)
            for scores in part
        ]
        sensitivities = np.mean([_at_rates(*corner) for corner in corners], axis=0)
        area = np.mean([np.trapezoid(true, false) for false, true in corners])
        curves.append({"test_ratio": ratio, "sensitivities": np.round(sensitivities, 5).tolist(), "auroc": float(area)})
    return {"false_positive_rates": FALSE_POSITIVE_RATES.tolist(), "curves": curves}


def _at_rates(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the sensitivity at each of the rates: where the curve goes straight up, its upper end, but 0 at 0."""
    rates, last = np.unique(false[::-1], return_index=True)
    found = np.interp(FALSE_POSITIVE_RATES, rates, true[::-1][last])
    found[0] = 0.0
    return found
