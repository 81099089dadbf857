"""The predictions table: the interface between any model, ours or another, and the statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mammo_jax.errors import UserError
from mammo_jax.files import atomic_path
from mammo_jax.ratios import ratio_text

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("train_ratio", pa.string()),
        ("test_ratio", pa.float64()),
        ("fold", pa.int64()),
        ("seed", pa.int64()),
        ("patient_id", pa.string()),
        ("image_id", pa.string()),
        ("label", pa.int64()),
        ("score", pa.float64()),
    ]
)
"""Columns and types. `train_ratio` is text because "mixed" is a value; `label` is the 0/1 target; a higher score means
more positive, on any scale."""
BREAST = "breast"
"""Optional column: which breast of the patient an image shows, any text ("L", "R"); empty where that is not known."""

MAX_INTEGER = 2**53 - 1
"""Largest fold or seed number: not every integer above it is a float64."""
COLUMNS = tuple(SCHEMA.names)
MODEL_KEY = ["model", "train_ratio", "test_ratio", "fold", "seed"]
ROW_KEY = [*MODEL_KEY, "image_id"]


class PredictionsError(UserError):
    """A predictions table that cannot be used; the message names the file, the column and what to do."""


def write_predictions(path: Path | str, table: pd.DataFrame, *, validation: bool = False) -> None:
    """Check a table and write it as Parquet, atomically, sorted so that equal tables give equal files.

    Parameters
    ----------
    path : path
    table : DataFrame
        With the columns of `SCHEMA`, and `BREAST` if known; further columns are dropped.
    validation : bool
        See `check_predictions`.

    Raises
    ------
    PredictionsError
        If the table breaks a rule of `check_predictions`.
    """
    table = check_predictions(table, str(path), validation=validation).sort_values(
        ROW_KEY, kind="stable", ignore_index=True
    )
    # Without pandas' metadata, which has the index and library versions: equal tables give equal bytes.
    schema = SCHEMA.append(pa.field(BREAST, pa.string())) if BREAST in table else SCHEMA
    rows = pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
    with atomic_path(path) as temporary:
        pq.write_table(rows, temporary)


def read_predictions(path: Path | str, *, validation: bool = False, frozen: bool = False) -> pd.DataFrame:
    """Read and check a predictions table: Parquet, or CSV with a header line.

    Parameters
    ----------
    path : path
        Ends in ``.parquet`` or ``.csv``.
    validation : bool
        See `check_predictions`.
    frozen : bool
        The table is of one finished model, so that columns may be missing: see `complete_frozen`.

    Returns
    -------
    DataFrame
        The columns of `SCHEMA` in that order, and `BREAST` if known; further columns of the file are dropped.

    Raises
    ------
    PredictionsError
        If the file is missing, unreadable, or breaks a rule of `check_predictions`.
    """
    table = read_text_table(Path(path))
    return check_predictions(complete_frozen(table, str(path)) if frozen else table, str(path), validation=validation)


def complete_frozen(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add what a finished model has no choice of: its name, train_ratio 1, fold 0, seed 0; ratio is test_ratio.

    Raises
    ------
    PredictionsError
        The table has both ratio and test_ratio.
    """
    if {"ratio", "test_ratio"} <= set(table.columns):
        raise PredictionsError(f"{name}: has both ratio and test_ratio, which mean the same; remove one of them")
    known = {"model": "frozen model", "train_ratio": "1", "fold": "0", "seed": "0"}
    missing = {column: value for column, value in known.items() if column not in table.columns}
    return table.rename(columns={"ratio": "test_ratio"}).assign(**missing)


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file, or a CSV file with a header line as text, unchecked.

    Raises
    ------
    PredictionsError
        If the file is missing or unreadable.
    """
    if path.is_dir():
        raise PredictionsError(f"{path}: is a folder; name a .parquet or .csv file")
    if path.suffix not in (".parquet", ".csv"):
        raise PredictionsError(f"{path}: tables are read from .parquet or .csv files")
    try:
        return pq.read_table(path).to_pandas() if path.suffix == ".parquet" else _read_csv(path)
    except FileNotFoundError as error:
        raise PredictionsError(f"{path}: no such file") from error
    except OSError as error:
        raise PredictionsError(f"{path}: cannot be read ({error.strerror}); name a readable file") from error
    except (pa.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise PredictionsError(f"{path}: not a readable {path.suffix[1:]} table ({error})") from error


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file as text: a patient "007" must not become 7, and a patient "NA" is not a missing value.

    A row longer than the header is an error; pandas would take its first cell for an index by default.
    """
    lines = pd.read_csv(
        path,
        header=None,
        index_col=False,
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        encoding="utf-8-sig",
    )
    header = [str(name).strip() for name in lines.iloc[0]]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise PredictionsError(f"{path}: the header names the column {repeated[0]!r} twice; rename or remove one")
    return lines.iloc[1:].set_axis(header, axis=1).reset_index(drop=True)


def merge_predictions(parts: Iterable[Path], path: Path | str, *, validation: bool = False) -> pd.DataFrame:
    """Merge part files into one table at `path` and return it.

    Raises
    ------
    PredictionsError
        If there are no parts, or if together they break a rule of `check_predictions`.
    """
    tables = [read_predictions(part, validation=validation) for part in sorted(parts)]
    if not tables:
        raise PredictionsError(f"{path}: there are no predictions to merge")
    write_predictions(path, pd.concat(tables, ignore_index=True), validation=validation)
    return read_predictions(path, validation=validation)


def check_predictions(table: pd.DataFrame, name: str, *, validation: bool = False) -> pd.DataFrame:
    """Check a predictions table and return it with the columns and types of `SCHEMA`, and `BREAST` if known.

    The rules: every column of `SCHEMA` is there; no cell is empty; ratios are at least 1; folds and seeds are integers
    and not negative; labels are 0 or 1; scores are finite; an image is scored once for each (model, train_ratio,
    test_ratio, fold, seed); an image has one label, one patient and one breast; a patient is in one fold of a model.
    The cells of `BREAST` may be empty; where all are, the column is dropped.

    Parameters
    ----------
    table : DataFrame
    name : str
        The name of the file, for messages.
    validation : bool
        The scores are not of held-out patients, but of those that each model was validated with, at CR 1. Column fold
        still names the model by its held-out fold, so that a patient can be in several.

    Raises
    ------
    PredictionsError
        If a rule is broken. The message names the file, the column, the first wrong row (the header of a CSV file is
        row 1) and what to do.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise PredictionsError(
            f"{name}: column {missing[0]!r} is missing; a predictions table has the columns {', '.join(COLUMNS)}"
        )
    if table.empty:
        raise PredictionsError(f"{name}: the table has no rows")
    table = table.loc[:, [*COLUMNS, *table.columns.intersection([BREAST])]].reset_index(drop=True)
    for column in ("model", "patient_id", "image_id"):
        table[column] = _text(table, column, name)
    table["test_ratio"] = _numbers(table, "test_ratio", name, "a compression ratio from 1 up", lambda x: x >= 1)
    for column in ("fold", "seed"):
        expected = f"a whole number from 0 to {MAX_INTEGER}"
        integers = _numbers(table, column, name, expected, lambda x: (x >= 0) & (x <= MAX_INTEGER) & (x % 1 == 0))
        table[column] = integers.astype(np.int64)
    label = _numbers(table, "label", name, "0 (negative) or 1 (positive)", lambda x: (x == 0) | (x == 1))
    table["label"] = label.astype(np.int64)
    table["score"] = _numbers(table, "score", name, "a finite number", np.isfinite)
    table["train_ratio"] = _train_ratios(table, name)
    if BREAST in table:
        table[BREAST] = table[BREAST].astype("string").fillna("").str.strip().astype(object).astype(str)
    _check_keys(table, name)
    if validation:
        _check_all(
            table["test_ratio"] == 1, table, "test_ratio", name, "1: a threshold is found on uncompressed images"
        )
    else:
        _check_unique(table, ["model", "patient_id"], "fold", name, "keep all images of a patient in one fold")
    return table.drop(columns=BREAST) if BREAST in table and (table[BREAST] == "").all() else table


def _text(table: pd.DataFrame, column: str, name: str) -> pd.Series:
    text = table[column].astype("string").str.strip()
    _check_all(~(text.isna() | (text == "")), table, column, name, "a non-empty text")
    return text.astype(object).astype(str)


def _numbers(
    table: pd.DataFrame, column: str, name: str, expected: str, is_valid: Callable[[pd.Series], pd.Series]
) -> pd.Series:
    numbers = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
    _check_all(np.isfinite(numbers) & is_valid(numbers), table, column, name, expected)
    return numbers


def _train_ratios(table: pd.DataFrame, name: str) -> pd.Series:
    """Return the training ratios as text with one spelling: "15.0" becomes "15", "mixed" stays."""
    text = _text(table, "train_ratio", name)
    numbers = pd.to_numeric(text, errors="coerce")
    valid = (text == "mixed") | (np.isfinite(numbers) & (numbers >= 1))
    _check_all(valid, table, "train_ratio", name, 'a compression ratio from 1 up, or "mixed"')
    return text.where(text == "mixed", numbers.map(ratio_text))


def _check_all(valid: pd.Series, table: pd.DataFrame, column: str, name: str, expected: str) -> None:
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        raise PredictionsError(
            f"{name}: column {column!r}, row {row + 2}: {table[column].iloc[row]!r} is not {expected}"
            f" ({int((~valid).sum())} such rows); correct the file and read it again"
        )


def _check_keys(table: pd.DataFrame, name: str) -> None:
    repeated = table.duplicated(ROW_KEY)
    if repeated.any():
        first = table.loc[repeated, ROW_KEY].iloc[0].to_dict()
        raise PredictionsError(
            f"{name}: column 'image_id': the same image is scored twice for {first} ({int(repeated.sum())} such rows);"
            " keep one row for each image and model"
        )
    for column in ("label", "patient_id", *table.columns.intersection([BREAST])):
        _check_unique(table, ["image_id"], column, name, f"give the image one {column}")


def _check_unique(table: pd.DataFrame, by: list[str], column: str, name: str, remedy: str) -> None:
    """Check that `column` has one value for each combination of the columns `by`."""
    distinct = table[[*by, column]].drop_duplicates()
    conflicts = distinct[distinct.duplicated(by, keep=False)]
    if not conflicts.empty:
        first = conflicts.iloc[0][by].to_dict()
        values = sorted(conflicts.loc[(conflicts[by] == conflicts.iloc[0][by]).all(axis=1), column].tolist())
        raise PredictionsError(f"{name}: column {column!r}: {first} has {values[0]!r} and {values[1]!r}; {remedy}")
