"""Two studies beside each other: the differences of their AUROC at each ratio, for the same patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.statistics.analysis_levels import Level, Pooling, at_level
from mammo_jax.statistics.bootstrap import Estimate, estimates
from mammo_jax.statistics.prediction_grid import PredictionGrid, StatisticsError, prediction_grid

IMAGE = ["image_id", "patient_id", "label", "fold"]


def paired_differences(
    first: pd.DataFrame, second: pd.DataFrame, *, level: Level, pooling: Pooling, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Compare two models, trained uncompressed, at the ratios that both were tested at.

    Every resample draws the same patients of each fold for both (`mammo_jax.statistics.bootstrap`), so that what is
    hard in a patient does not widen the interval of the difference. Training seeds are of different trainings.

    Parameters
    ----------
    first, second : DataFrame
        Predictions of one model each.
    level, pooling
        What is counted, see `mammo_jax.statistics.analysis_levels.at_level`.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    list of dict, ready for JSON
        For each ratio: ratio, first and second: AUROC; difference: AUROC of the second less that of the first, with its
        95 % interval; loss: the same for what each has lost since CR 1 (None at CR 1, or without a common CR 1).

    Raises
    ------
    StatisticsError
        If they cannot be paired; the message says why.
    """
    tables = [at_level(table[table["train_ratio"] == "1"], level, pooling) for table in (first, second)]
    shared = sorted(set(tables[0]["test_ratio"]) & set(tables[1]["test_ratio"]))
    if not shared:
        raise StatisticsError("no ratio was tested in both")
    tables = [table[table["test_ratio"].isin(shared)] for table in tables]
    _check_same_images(*tables)
    found = [_areas(prediction_grid(table), resamples, seed) for table in tables]
    rows = []
    for ratio in shared:
        ours, theirs = (areas[ratio] for areas in found)
        losses = [areas[ratio] - areas[1.0] for areas in found] if ratio > 1 and 1.0 in shared else None
        rows.append(
            {
                "ratio": ratio,
                "first": ours.value,
                "second": theirs.value,
                "difference": _less(theirs, ours).as_json(),
                "loss": _less(losses[1], losses[0]).as_json() if losses else None,
            }
        )
    return rows


def _check_same_images(first: pd.DataFrame, second: pd.DataFrame) -> None:
    images = [table[IMAGE].drop_duplicates().set_index("image_id").sort_index() for table in (first, second)]
    alone = images[0].index.symmetric_difference(images[1].index)
    if len(alone):
        raise StatisticsError(f"{len(alone)} images are in one of them only, the first is {str(alone[0])!r}")
    for column, what in (("patient_id", "belong to other patients"), ("label", "have other labels")):
        differing = int((images[0][column] != images[1][column]).sum())
        if differing:
            raise StatisticsError(f"{differing} images {what}")
    differing = int((images[0]["fold"] != images[1]["fold"]).sum())
    if differing:
        raise StatisticsError(f"{differing} images are in other folds; give both studies the same --fold-seed")


def _areas(grid: PredictionGrid, resamples: int, seed: int) -> dict[float, Estimate]:
    cells, _ = estimates(grid, resamples, seed)
    return {test: cell.auroc for (_, test), cell in cells.items()}


def _less(ours: Estimate, theirs: Estimate) -> Estimate:
    """Return the difference of two models' estimates: strata of patients are paired, those of seeds are not.

    The patients of a stratum are the same. The seeds, a further stratum where there are several, are of different
    trainings: each keeps its own influence, against the other's value.
    """
    shared = len(ours.left_out) // 2 * 2  # two strata of patients a fold; a last one of seeds makes the number odd
    patients = [mine - other for mine, other in zip(ours.left_out[:shared], theirs.left_out[:shared])]
    seeds = [mine - theirs.value for mine in ours.left_out[shared:]]
    seeds += [ours.value - other for other in theirs.left_out[len(theirs.left_out) // 2 * 2 :]]
    value = ours.value - theirs.value
    return Estimate(value, np.asarray(ours.replicates - theirs.replicates), (*patients, *seeds))
