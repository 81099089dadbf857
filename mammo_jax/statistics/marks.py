"""Marks of a model on whole views, and the lesions that they should hit: tables, and which mark hits which lesion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mammo_jax.statistics.predictions import PredictionsError

MARK_COLUMNS = ("test_ratio", "image_id", "row", "column", "rating")
LESION_COLUMNS = ("image_id", "row", "column", "radius")
SEED, WEIGHT = "seed", "weight"


def read_marks(path: Path) -> pd.DataFrame:
    """Read a CSV file of marks: test_ratio, image_id, row, column, rating, and seed where there are several.

    Row and column are in the same pixels as the lesions'; a higher rating is more suspicious. Only images with marks
    have rows.

    Raises
    ------
    PredictionsError
        If the file cannot be read, lacks a column, or a number is not finite.
    """
    return _read(path, MARK_COLUMNS, SEED)


def read_lesions(path: Path) -> pd.DataFrame:
    """Read a CSV file of lesions: image_id, row, column, radius, and weight where lesions of an image differ in it.

    Raises
    ------
    PredictionsError
        If the file cannot be read, lacks a column, or a radius or weight is not positive.
    """
    table = _read(path, LESION_COLUMNS, WEIGHT)
    for name in ("radius", WEIGHT):
        if name in table and not (table[name] > 0).all():
            line = int(np.flatnonzero(~(table[name] > 0))[0]) + 2
            raise PredictionsError(f"{path}: line {line}, column {name}: must be above 0")
    return table


def _read(path: Path, columns: tuple[str, ...], optional: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except FileNotFoundError as error:
        raise PredictionsError(f"{path}: no such file") from error
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise PredictionsError(f"{path}: not a readable CSV file ({error})") from error
    if missing := [name for name in columns if name not in table]:
        raise PredictionsError(f"{path}: column {missing[0]!r} is missing; it needs {', '.join(columns)}")
    table = table[[*columns, *([optional] if optional in table else [])]]
    for name in table.columns.difference(["image_id"]):
        numbers = pd.to_numeric(table[name], errors="coerce")
        if not np.isfinite(numbers).all():
            line = int(np.flatnonzero(~np.isfinite(numbers))[0]) + 2
            raise PredictionsError(f"{path}: line {line}, column {name}: {table[name].iloc[line - 2]!r} is no number")
        table = table.assign(**{name: numbers.astype(float)})
    return table


def hit_lesions(marks: pd.DataFrame, lesions: pd.DataFrame) -> np.ndarray:
    """Find the lesion that each mark hits: of those whose radius it is within, the one with the nearest centre.

    Parameters
    ----------
    marks : DataFrame
        Columns image_id, row, column.
    lesions : DataFrame
        Columns image_id, row, column, radius.

    Returns
    -------
    int64 [marks]
        Position of the lesion in its table; −1 for a mark that hits none.
    """
    left = marks[["image_id", "row", "column"]].reset_index(drop=True).assign(mark=np.arange(len(marks)))
    right = lesions[["image_id", "row", "column", "radius"]].assign(lesion=np.arange(len(lesions)))
    pairs = left.merge(right, on="image_id", suffixes=("", "_of_lesion"))
    distance = np.hypot(pairs["row"] - pairs["row_of_lesion"], pairs["column"] - pairs["column_of_lesion"])
    near = pairs.assign(distance=distance)[distance <= pairs["radius"]].sort_values(["mark", "distance"], kind="stable")
    near = near.drop_duplicates("mark")
    hits = np.full(len(marks), -1)
    hits[near["mark"].to_numpy()] = near["lesion"].to_numpy()
    return hits
