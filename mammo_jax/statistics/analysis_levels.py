"""Analysis levels: the same predictions an image, a breast or a woman."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import BREAST, MODEL_KEY

Level = Literal["image", "breast", "woman"]
Pooling = Literal["max", "mean"]
Scored = Literal["image", "patch"]
LEVELS: tuple[Level, ...] = get_args(Level)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
# From predictions and validation scores at one level to results, counts and verdicts.
Judge = Callable[[pd.DataFrame, "pd.DataFrame | None"], Mapping[str, Any]]
POOLED = {"max": "maximum", "mean": "mean"}


@dataclass(frozen=True)
class AnalysisLevels:
    """What the verdict counts, fixed before anybody looks at a score.

    Attributes
    ----------
    primary : {"image", "breast", "woman"}
        The level that the verdict is about; "image" takes each scored image or patch by itself.
    pooling : {"max", "mean"}
        How the scores of a breast's or woman's images become one. The maximum suits a finding that few images show; it
        does not depend on the scale of the scores, as the mean does.
    scored : {"image", "patch"}
        What a row of the predictions is, for the texts.
    """

    primary: Level = "image"
    pooling: Pooling = "max"
    scored: Scored = "image"

    def noun(self, level: Level) -> str:
        """Return what is counted at a level: "patch", "image", "breast" or "woman"."""
        return self.scored if level == "image" else level


def at_level(table: pd.DataFrame, level: Level, pooling: Pooling) -> pd.DataFrame:
    """Reduce a predictions table to one row for each breast or woman, model and ratio.

    Parameters
    ----------
    table : DataFrame
        Has passed `predictions.check_predictions`, and every ratio has every image.
    level : {"image", "breast", "woman"}
        "image" returns the table itself.
    pooling : {"max", "mean"}
        Of the scores; the label is 1 where any of the images' labels is.

    Returns
    -------
    DataFrame
        The columns of a predictions table; image_id names the patient, or the patient and the breast.

    Raises
    ------
    StatisticsError
        If the breast of an image is not known.
    """
    if level == "image":
        return table
    if level == "breast":
        _check_breasts(table)
    members = ["patient_id", *([BREAST] if level == "breast" else [])]
    groups = table.groupby([*MODEL_KEY, *members], sort=True)
    pooled = groups.agg(label=("label", "max"), score=("score", pooling)).reset_index()
    if level == "woman":
        return pooled.assign(image_id=pooled["patient_id"])
    # In quotes, so that no two pairs of texts have one name.
    return pooled.assign(image_id=[f"{patient!r} {breast!r}" for patient, breast in zip(*map(pooled.get, members))])


def tables_at_level(
    table: pd.DataFrame, validation: pd.DataFrame | None, level: Level, pooling: Pooling
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return predictions and validation scores at a level, see `at_level`."""
    return at_level(table, level, pooling), None if validation is None else at_level(validation, level, pooling)


def _check_breasts(table: pd.DataFrame) -> None:
    if BREAST not in table:
        raise StatisticsError(f"the predictions have no column {BREAST!r}")
    unknown = table.loc[table[BREAST] == "", "image_id"]
    if len(unknown):
        raise StatisticsError(
            f"column {BREAST!r} is empty for {unknown.nunique()} images, the first is {unknown.iloc[0]!r}"
        )


def level_rows(
    table: pd.DataFrame,
    validation: pd.DataFrame | None,
    levels: AnalysisLevels,
    primary: Mapping[str, Any],
    judge: Judge,
) -> list[dict[str, Any]]:
    """Judge one model at every level, with both ways of pooling.

    Parameters
    ----------
    table : DataFrame
        One model's predictions. Only those of the models trained at CR 1 are used.
    validation : DataFrame or None
        Its validation scores.
    levels : AnalysisLevels
    primary : mapping
        What `judge` returned for the primary level.
    judge : callable
        From both, at one level, to a model's results, counts and verdicts.

    Returns
    -------
    list of dict, ready for JSON
        Empty without a model trained at CR 1. level, noun, pooling (None for images), primary: bool; not_available: why
        there is nothing, or None; then units, positive_units: int, auroc: that of CR 1 with its interval, or None;
        verdict: of the transfer.
    """
    table = table[table["train_ratio"] == "1"]
    if table.empty:
        return []
    rows = []
    for level in LEVELS:
        for pooling in POOLINGS if level != "image" else (None,):
            is_primary = level == levels.primary and pooling in (None, levels.pooling)
            row = {"level": level, "noun": levels.noun(level), "pooling": pooling, "primary": is_primary}
            try:
                judged = (
                    primary
                    if is_primary
                    else judge(*tables_at_level(table, validation, level, pooling or levels.pooling))
                )
            except StatisticsError as error:
                rows.append(row | _figures(None) | {"not_available": str(error)})
            else:
                rows.append(row | _figures(judged) | {"not_available": None})
    return rows


def _figures(judged: Mapping[str, Any] | None) -> dict[str, Any]:
    if judged is None:
        return {"units": None, "positive_units": None, "auroc": None, "verdict": None}
    reference = [result["auroc"] for result in judged["results"] if result["transfer"] and result["test_ratio"] == 1]
    return {
        "units": judged["counts"]["images"],
        "positive_units": judged["counts"]["positive_images"],
        "auroc": {key: reference[0][key] for key in ("mean", "low", "high")} if reference else None,
        "verdict": judged["verdicts"]["transfer"],
    }


def outcome_text(verdict: Mapping[str, Any]) -> str:
    """Return a verdict in few words: "up to CR 100", "no ratio passed", "cannot tell"."""
    return f"up to CR {ratio_text(verdict['ratio'])}" if verdict["outcome"] == "ratio" else str(verdict["outcome"])


def disagreement(rows: Sequence[Mapping[str, Any]], pooling: Pooling) -> str | None:
    """Return a sentence where the levels, pooled as the primary one, do not have one verdict; else None."""
    compared = [row for row in rows if row["verdict"] is not None and row["pooling"] in (None, pooling)]
    texts = [outcome_text(row["verdict"]) for row in compared]
    if len(set(texts)) < 2:
        return None
    found = [
        f"{text} per {row['noun']}{' (the primary level)' if row['primary'] else ''}"
        for text, row in zip(texts, compared)
    ]
    return f"The analysis levels disagree: {', '.join(found)}."


def level_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the levels as lines of text, for a terminal; a star marks the primary one."""
    return [f"  {_name(row):24} {_line(row)}" for row in rows]


def _name(row: Mapping[str, Any]) -> str:
    pooled = f" ({POOLED[row['pooling']]})" if row["pooling"] else ""
    return f"{'*' if row['primary'] else ' '} per {row['noun']}{pooled}"


def _line(row: Mapping[str, Any]) -> str:
    if row["verdict"] is None:
        return f"not available: {row['not_available']}"
    auroc = f"AUROC {row['auroc']['mean']:.3f} at CR 1, " if row["auroc"] else ""
    return auroc + outcome_text(row["verdict"])
