"""Paired differences between studies."""

import numpy as np
import pytest
from prediction_tables import predictions_table

from mammo_jax.statistics.comparison import paired_differences
from mammo_jax.statistics.prediction_grid import StatisticsError

SETTINGS = {"level": "image", "pooling": "max", "resamples": 200, "seed": 0}
LOSSES = {("1", 1.0): 0.0, ("1", 100.0): 0.5}


@pytest.fixture(scope="module")
def table():
    return predictions_table(LOSSES, patients=160, folds=2)


def noisier(table, noise, ratio=100.0):
    rng = np.random.default_rng(1)
    worse = noise * rng.normal(size=len(table)) * (table["test_ratio"] == ratio)
    return table.assign(score=table["score"] + worse)


def test_a_study_does_not_differ_from_itself(table):
    rows = paired_differences(table, table, **SETTINGS)
    assert [row["ratio"] for row in rows] == [1.0, 100.0]
    for row in rows:
        assert row["first"] == row["second"]
        assert row["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert rows[0]["loss"] is None


def test_a_worse_study_is_worse_and_pairing_makes_the_interval_narrow(table):
    rows = paired_differences(table, noisier(table, 3.0), **SETTINGS)
    worse = rows[1]["difference"]
    assert worse["value"] == rows[1]["second"] - rows[1]["first"]
    assert worse["high"] < 0
    assert rows[1]["loss"]["value"] == pytest.approx(worse["value"]), "both have the same AUROC at CR 1"
    slightly = paired_differences(table, noisier(table, 0.05), **SETTINGS)[1]["difference"]
    assert slightly["high"] - slightly["low"] < 0.03, "much narrower than the interval of one AUROC"


def test_other_ratios_are_left_out_and_levels_are_kept_to(table):
    more = predictions_table(LOSSES | {("1", 500.0): 1.0, ("15", 15.0): 0.2}, patients=160, folds=2)
    rows = paired_differences(table, more, **SETTINGS | {"level": "woman"})
    assert [row["ratio"] for row in rows] == [1.0, 100.0]
    assert rows[0]["difference"]["value"] == 0.0


def test_seeds_of_different_number_can_be_compared(table):
    three = predictions_table(LOSSES, patients=160, folds=2, seeds=3, seed_noise=0.3)
    (_, row) = paired_differences(table, three, **SETTINGS)
    assert row["difference"]["low"] < row["difference"]["value"] < row["difference"]["high"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["image_id"] != "image 00000"], "1 images are in one of them only, the first is 'image 00000'"),
        (lambda t: t.assign(fold=1 - t["fold"]), "images are in other folds; give both studies the same --fold-seed"),
        (lambda t: t.assign(label=1 - t["label"]), "images have other labels"),
        (lambda t: t.assign(patient_id="x " + t["patient_id"]), "320 images belong to other patients"),
        (lambda t: t.assign(test_ratio=t["test_ratio"] + 2), "no ratio was tested in both"),
    ],
)
def test_what_cannot_be_paired_is_said(table, change, message):
    with pytest.raises(StatisticsError, match=message):
        paired_differences(table, change(table), **SETTINGS)
