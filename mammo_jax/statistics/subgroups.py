"""Results in subgroups of the images: AUROC at each ratio, and its loss, for each kind of lesion, density, view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.statistics.analysis_levels import AnalysisLevels, at_level
from mammo_jax.statistics.bootstrap import Estimate, estimates
from mammo_jax.statistics.prediction_grid import StatisticsError, prediction_grid
from mammo_jax.statistics.predictions import read_text_table
from mammo_jax.statistics.rule import Rule
from mammo_jax.statistics.verdict import verdict

MODEL_PIXEL = "model_pixel_mm"
"""Column of a table of subgroups that is none itself: side of a pixel of the model's input, in mm of the detector."""
FINEST_CALCIFICATION = 0.1
"""Calcifications are from 0.1 mm up; a model whose pixels are larger cannot be asked about them."""
MAX_VALUES = 12
"""A column of text has at most this many subgroups."""
MAX_NUMBERS = 6
"""A column of more different numbers is divided into three, with equally many positive images."""

MAX_RESAMPLES = 1000
"""There are many subgroups, and nothing rests on them."""


def read_subgroups(path: Path) -> pd.DataFrame:
    """Read a table of subgroups, CSV or Parquet: image_id, as in the predictions, and one column for each division.

    Returns
    -------
    DataFrame
        Text, indexed by image_id; an empty cell says that the image is in no subgroup of the column.

    Raises
    ------
    PredictionsError
        If the file cannot be read.
    StatisticsError
        If it has no column image_id or an image twice.
    """
    table = read_text_table(path)
    if "image_id" not in table:
        raise StatisticsError(f"{path}: column 'image_id' is missing; name the images as in the predictions")
    table = table.astype("string").fillna("").apply(lambda column: column.str.strip()).astype(object)
    repeated = table["image_id"].duplicated()
    if repeated.any():
        raise StatisticsError(
            f"{path}: column 'image_id': {table.loc[repeated, 'image_id'].iloc[0]!r} is there twice; keep one row"
        )
    return table.set_index("image_id")


def subgroup_rows(
    table: pd.DataFrame, subgroups: pd.DataFrame, levels: AnalysisLevels, rule: Rule, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Evaluate the models trained at CR 1 in every subgroup, at the primary analysis level.

    Where at least half of the negative images have a value of a column (density, view), a subgroup has the images of
    both classes with its value; at the level of a breast or woman, those whose lesion is only in other images are left
    out. Else (the kind of a lesion) it has the positives with its value and all negatives.
    Folds without both classes are left out.

    Parameters
    ----------
    table : DataFrame
        One model's predictions of single images.
    subgroups : DataFrame
        See `read_subgroups`; images that it lacks are in no subgroup.
    levels : AnalysisLevels
    rule : Rule
        Its floor of positive patients is applied to each subgroup; harm at the operating point is not looked at.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    list of dict, ready for JSON
        column, value; of: "positives" or "images"; not_available: why there are no figures, or None; positive_patients,
        patients, folds; results: for each ratio its AUROC and loss from CR 1 (None at CR 1), each value, low and high;
        verdict: of the transfer, exploratory; cannot_be_judged: why a subgroup is beyond the model's input, or None.

    Raises
    ------
    StatisticsError
        If the table of subgroups names none of the images.
    """
    table = table[table["train_ratio"] == "1"]
    known = subgroups.reindex(table["image_id"]).set_axis(table.index).fillna("")
    if not table["image_id"].isin(subgroups.index).any():
        raise StatisticsError("subgroups: column 'image_id' names no image of the predictions; use the same ids")
    rows = []
    for column in subgroups.columns.drop(MODEL_PIXEL, errors="ignore"):
        values = _divided(known[column], table["label"] == 1)
        if values is None:
            rows.append(_nothing(str(column), "no positive image has a number, so that there are no thirds of them"))
            continue
        if (different := values[values != ""].nunique()) > MAX_VALUES:
            reason = f"{different} different values; put them into at most {MAX_VALUES}"
            rows.append(_nothing(str(column), reason))
            continue
        negatives = values[table["label"] == 0]
        both = bool(len(negatives)) and (negatives != "").mean() >= 0.5
        for value in sorted(set(values) - {""}, key=_reading_order):
            row: dict[str, Any] = {"column": str(column), "value": value, "of": "images" if both else "positives"}
            members = values == value
            row |= _figures(_restricted(table, members, both, levels), rule, min(resamples, MAX_RESAMPLES), seed)
            row["cannot_be_judged"] = _too_fine(value, known.get(MODEL_PIXEL), members & (table["label"] == 1))
            rows.append(row | ({"verdict": None} if row["cannot_be_judged"] else {}))
    return rows


def _divided(column: pd.Series, positive: pd.Series) -> pd.Series | None:
    """Return each row's subgroup: its value, a third of the numbers, or ""; None if no positive has a number."""
    numbers = pd.to_numeric(column.where(column != ""), errors="coerce")
    distinct = column[column != ""].nunique()
    if distinct > MAX_NUMBERS and numbers.notna().sum() == (column != "").sum():
        of_positives = numbers[positive & numbers.notna()]
        if of_positives.empty:
            return None
        low, high = np.quantile(of_positives, [1 / 3, 2 / 3])
        names = [f"1: up to {low:.3g}", f"2: {low:.3g} to {high:.3g}", f"3: above {high:.3g}"]
        thirds = np.select([numbers.isna(), numbers <= low, numbers <= high], ["", *names[:2]], names[2])
        return pd.Series(thirds, column.index)
    return column


def _nothing(column: str, reason: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"of": "images", "positive_patients": 0, "patients": 0, "folds": 0, "results": []}
    nothing |= {"verdict": None, "cannot_be_judged": None}
    return {"column": column, "value": "all", **nothing, "not_available": reason}


def _reading_order(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _restricted(table: pd.DataFrame, members: pd.Series, both: bool, levels: AnalysisLevels) -> pd.DataFrame:
    """Return the subgroup's predictions at the primary level."""
    if both:
        own = at_level(table[members], levels.primary, levels.pooling)
        whole = at_level(table, levels.primary, levels.pooling)
        diseased = set(whole.loc[whole["label"] == 1, "image_id"])
        return own[(own["label"] == 1) | ~own["image_id"].isin(diseased)]  # a lesion elsewhere makes no negative
    pooled = at_level(table, levels.primary, levels.pooling)
    positives = table[members & (table["label"] == 1)]
    if positives.empty:
        return pooled[pooled["label"] == 0]
    kept = at_level(positives, levels.primary, levels.pooling)["image_id"]
    return pooled[(pooled["label"] == 0) | pooled["image_id"].isin(kept)]


def _figures(table: pd.DataFrame, rule: Rule, resamples: int, seed: int) -> dict[str, Any]:
    folds = table.groupby("fold")["label"].agg(["min", "max"])
    table = table[table["fold"].isin(folds.index[folds["min"] != folds["max"]])]
    positive = table.loc[table["label"] == 1, "patient_id"].nunique()
    counts = {"positive_patients": positive, "patients": table["patient_id"].nunique()}
    counts |= {"folds": table["fold"].nunique()}
    nothing: dict[str, Any] = {"results": [], "verdict": None}
    if positive < 2:
        return counts | nothing | {"not_available": "fewer than two positive patients in folds with both classes"}
    grid = prediction_grid(table)
    try:
        cells, _ = estimates(grid, resamples, seed)
    except StatisticsError as error:
        return counts | nothing | {"not_available": str(error)}
    transfer = {test: cell.auroc for (_, test), cell in cells.items()}
    patients = [fold.patients_by_class for fold in grid.folds]
    judged = verdict("transfer", transfer, seeds=len(grid.seeds), patients=patients, rule=rule)
    return counts | {"results": list(_results(transfer)), "verdict": judged, "not_available": None}


def _results(transfer: dict[float, Estimate]) -> Iterator[dict[str, Any]]:
    for ratio in sorted(transfer):
        reference = transfer.get(1.0) if ratio != 1 else None
        loss = None if reference is None else (transfer[ratio] - reference).as_json()
        yield {"test_ratio": ratio, "auroc": transfer[ratio].as_json(), "difference": loss}


def _too_fine(value: str, pitches: pd.Series | None, members: pd.Series) -> str | None:
    """Return why a subgroup of calcifications is beyond the model's input, or None."""
    if "calc" not in value.lower() or pitches is None:
        return None
    pitch = pd.to_numeric(pitches[members], errors="coerce").median()
    if not pitch > FINEST_CALCIFICATION:
        return None
    return f"cannot be judged at this input size: {pitch:.2g} mm a model pixel, above {FINEST_CALCIFICATION:g} mm"
