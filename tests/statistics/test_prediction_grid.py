import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table

from mammo_jax.statistics.prediction_grid import StatisticsError, prediction_grid

LOSSES = {("1", 1.0): 0.0, ("1", 15.0): 0.5, ("15", 15.0): 0.5, ("mixed", 15.0): 0.4}


@pytest.fixture
def table() -> pd.DataFrame:
    return predictions_table(LOSSES, patients=40, folds=2, seeds=2)


def test_every_cell_has_every_seed_and_image_in_one_order(table):
    grid = prediction_grid(table.sample(frac=1, random_state=0))
    assert set(grid.scores) == set(LOSSES)
    assert grid.seeds == (0, 1)
    assert [fold.number for fold in grid.folds] == [0, 1]
    for position, fold in enumerate(grid.folds):
        rows = table[(table["fold"] == fold.number) & (table["seed"] == 1)].sort_values("image_id")
        mixed = rows[rows["train_ratio"] == "mixed"]
        np.testing.assert_array_equal(grid.scores["mixed", 15.0][position][1], mixed["score"])
        np.testing.assert_array_equal(fold.labels, mixed["label"] == 1)
        assert fold.positive_patients.sum() == mixed[mixed["label"] == 1]["patient_id"].nunique()
        assert len(fold.positive_patients) == mixed["patient_id"].nunique()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(t.index[7]), "trained at 1, tested at 1, fold .*, seed 0: 1 images missing"),
        (lambda t: t[~((t["train_ratio"] == "15") & (t["seed"] == 1))], r"no rows of seeds \[1\]"),
        (lambda t: t[~((t["train_ratio"] == "15") & (t["fold"] == 0))], r"no rows of folds \[0\]"),
        (lambda t: t[(t["train_ratio"] != "15") | (t["seed"] == 0) | (t["fold"] == 0)], "fold 1, seed 1: .* missing"),
        (lambda t: t.assign(label=t["label"].where(t["fold"] == 1, 0)), "fold 0: all .* negative"),
        (lambda t: t.assign(label=t["label"].where(t["fold"] == 1, 1)), "fold 0: all .* positive"),
    ],
)
def test_what_cannot_be_compared_in_pairs_is_refused_by_name(table, spoil, message):
    with pytest.raises(StatisticsError, match=message):
        prediction_grid(spoil(table))
