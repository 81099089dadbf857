"""What compression does at the operating point, and when it forbids a ratio: AUROC can hide a harm."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.statistics.bootstrap import Estimate
from mammo_jax.statistics.operating_point import OperatingPoint, estimated_rates, validated_thresholds
from mammo_jax.statistics.prediction_grid import PredictionGrid, StatisticsError

HARM_SHARE = 0.5
"""A loss of sensitivity or specificity above this share of the margin forbids a ratio."""
MEASURES = ("sensitivity", "specificity")


def at_operating_point(
    grid: PredictionGrid,
    table: pd.DataFrame,
    point: OperatingPoint,
    *,
    margin: float,
    resamples: int,
    seed: int,
    validation: pd.DataFrame | None = None,
) -> dict[str, Any] | None:
    """Measure what each ratio costs at the threshold, for the models that were trained at CR 1.

    The threshold is that of `point`; else the one that the validation patients of each model give, and is then a part
    of the model; else it is found from the test scores at CR 1, anew in every resample.

    Parameters
    ----------
    grid : PredictionGrid
    table : DataFrame
        The predictions of one model that `grid` was made from.
    point : OperatingPoint
    margin : float
        Of the verdict, for AUROC.
    resamples, seed : int
        Of the bootstrap.
    validation : DataFrame, optional
        See `mammo_jax.statistics.operating_point.validated_thresholds`.

    Returns
    -------
    dict, ready for JSON, or None without predictions at CR 1
        place: the threshold in words; threshold_from: "given", "validation patients" or "every resample"; thresholds,
        [seeds][folds]; prevalence; largest_loss: what a rate may lose; results: one for each ratio, CR 1 first, with
        the rates, their changes from CR 1 (None at CR 1), the harms that forbid the ratio, recalls and missed positives
        per 1000 (None without a prevalence), and the positive images that are lost and gained.

    Raises
    ------
    StatisticsError
        If validation scores are missing, or belong to a held-out patient of the same model.
    """
    if ("1", 1.0) not in grid.scores:
        return None
    thresholds, source = None, "every resample"
    if point.threshold is not None:
        thresholds, source = np.full((len(grid.seeds), len(grid.folds)), point.threshold), "given"
    elif validation is not None:
        _check_held_out(table, validation)
        thresholds, source = validated_thresholds(grid, validation, point.sensitivity), "validation patients"
    rates, used = estimated_rates(grid, thresholds, point.sensitivity, resamples, seed)
    models = product(grid.seeds, (fold.number for fold in grid.folds))
    cases = changed_cases(table, dict(zip(models, used.ravel().tolist())))
    return {
        "place": point.place,
        "sensitivity": point.sensitivity,
        "threshold_from": source,
        "thresholds": used.tolist(),
        "prevalence": point.prevalence,
        "largest_loss": HARM_SHARE * margin,
        "results": [
            {"test_ratio": ratio}
            | _result(rates[ratio], None if ratio == 1 else rates[1.0], point, margin)
            | cases[ratio]
            for ratio in sorted(rates)
        ],
    }


def _result(
    rates: tuple[Estimate, Estimate],
    uncompressed: tuple[Estimate, Estimate] | None,
    point: OperatingPoint,
    margin: float,
) -> dict[str, Any]:
    result: dict[str, Any] = {name: rate.as_json() for name, rate in zip(MEASURES, rates)}
    changes = [] if uncompressed is None else [ours - first for ours, first in zip(rates, uncompressed)]
    result["changes"] = {name: change.as_json() for name, change in zip(MEASURES, changes)} or None
    result["harms"] = harms(changes, margin, point.place)
    return result | per_thousand(rates[0].value, rates[1].value, point.prevalence)


def harms(changes: Sequence[Estimate], margin: float, place: str) -> list[dict[str, Any]]:
    """List the losses that forbid a ratio: above half the margin, and with a 95 % interval without 0.

    It is a veto, not a second test of non-inferiority: for that a study would need many times the patients. It only
    takes claims away, so the verdict errs no more often with it than without.

    Parameters
    ----------
    changes : sensitivity, specificity
        From CR 1; empty at CR 1.
    margin : float
    place : str
        The threshold in words.

    Returns
    -------
    list of dict
        measure, place, and the loss with its interval, all positive: loss, low, high.
    """
    found = []
    for measure, change in zip(MEASURES, changes):
        low, high = change.interval()
        if high < 0 and -change.value > HARM_SHARE * margin:
            found.append({"measure": measure, "place": place, "loss": -change.value, "low": -high, "high": -low})
    return found


def per_thousand(sensitivity: float, specificity: float, prevalence: float | None) -> dict[str, float | None]:
    """Return how many of 1000 are recalled, and how many positives are missed, where this share is positive."""
    if prevalence is None:
        return {"recalls_per_1000": None, "missed_per_1000": None}
    recalled = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    return {"recalls_per_1000": 1000 * recalled, "missed_per_1000": 1000 * prevalence * (1 - sensitivity)}


def changed_cases(table: pd.DataFrame, thresholds: Mapping[tuple[int, int], float]) -> dict[float, dict[str, Any]]:
    """Find the positive images that are recalled at CR 1 and no longer at a ratio ("lost"), and the reverse ("gained").

    Parameters
    ----------
    table : DataFrame
        Predictions of one model.
    thresholds : mapping of (seed, fold) to float

    Returns
    -------
    dict of ratio to {"lost", "gained"}
        Lists of image_id, patient_id and trainings: in how many of the training seeds. The most frequent come first.
    """
    own = table[(table["train_ratio"] == "1") & (table["label"] == 1)]
    limits = [thresholds[model] for model in zip(own["seed"], own["fold"])]
    own = own.assign(recalled=own["score"] >= limits)
    recalled = own.pivot(index=["image_id", "patient_id", "seed"], columns="test_ratio", values="recalled")
    first = recalled[1.0]
    return {
        float(ratio): {"lost": _cases(first & ~recalled[ratio]), "gained": _cases(~first & recalled[ratio])}
        for ratio in recalled.columns.to_numpy()
    }


def _cases(changed: pd.Series) -> list[dict[Hashable, Any]]:
    """Return the images that are True for some training seed."""
    counts = changed[changed].groupby(level=["image_id", "patient_id"]).size().rename("trainings").reset_index()
    return counts.sort_values(["trainings", "image_id"], ascending=[False, True]).to_dict("records")


def _check_held_out(table: pd.DataFrame, validation: pd.DataFrame) -> None:
    """Raise StatisticsError if a patient of a fold was among those that its model was validated with."""
    keys = ["fold", "patient_id"]
    both = table[keys].drop_duplicates().merge(validation[keys].drop_duplicates(), on=keys)
    if len(both):
        fold, patient = both.iloc[0]
        raise StatisticsError(
            f"validation scores: patient {patient!r} is in the held-out fold {fold}; validation patients are those of"
            " the other folds, and column fold names the fold that the model does not know"
        )


def vetoes(operating: Mapping[str, Any] | None) -> dict[float, list[dict[str, Any]]]:
    """Return the harms by ratio, for the verdict."""
    return {} if operating is None else {result["test_ratio"]: result["harms"] for result in operating["results"]}
