"""Mean ROC curves."""

import numpy as np
import pytest
from prediction_tables import predictions_table
from sklearn.metrics import roc_auc_score

from mammo_jax.statistics.prediction_grid import prediction_grid
from mammo_jax.statistics.roc import FALSE_POSITIVE_RATES, roc_curves


def test_curves_are_means_over_folds_and_start_at_the_origin():
    table = predictions_table({("1", 1.0): 0.0, ("1", 100.0): 1.0, ("100", 100.0): 0.5}, patients=80, folds=2)
    found = roc_curves(prediction_grid(table))
    assert [curve["test_ratio"] for curve in found["curves"]] == [1.0, 100.0]
    for curve in found["curves"]:
        own = table[(table["train_ratio"] == "1") & (table["test_ratio"] == curve["test_ratio"])]
        areas = [roc_auc_score(fold["label"], fold["score"]) for _, fold in own.groupby("fold")]
        assert curve["auroc"] == pytest.approx(np.mean(areas))
        assert len(curve["sensitivities"]) == len(FALSE_POSITIVE_RATES) == len(found["false_positive_rates"])
        assert curve["sensitivities"][0] == 0.0
        assert curve["sensitivities"][-1] == 1.0
        assert (np.diff(curve["sensitivities"]) >= 0).all()
        drawn = np.trapezoid(curve["sensitivities"], found["false_positive_rates"])
        assert drawn == pytest.approx(curve["auroc"], abs=0.02)


def test_without_a_model_trained_uncompressed_there_is_none():
    table = predictions_table({("15", 15.0): 0.0}, patients=40, folds=1)
    assert roc_curves(prediction_grid(table)) is None
