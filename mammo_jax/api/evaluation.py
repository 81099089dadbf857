"""Scores to a verdict in Python: `mammo_jax.evaluate`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_jax.api.run import Run
from mammo_jax.api.settings import flags_of, parsed, signature_of
from mammo_jax.files import atomic_path
from mammo_jax.jobs.evaluate import EvaluateConfig, check_folder, evaluate_and_report, parse
from mammo_jax.run_folder import RunFolder


def evaluate(predictions: pd.DataFrame | Path | str, out: Path | str = "runs/evaluate", **settings: Any) -> Run:
    """Judge a table of scores. The same as ``mammo-jax evaluate``, setting for flag.

    Parameters
    ----------
    predictions : DataFrame, or path of a CSV or Parquet file
        With ``frozen=True``, a row for each image at each ratio, 1 included: patient_id, image_id, ratio, label (0 or
        1) and score (higher is more positive). Else, beside these, model, train_ratio, test_ratio, fold and seed. A
        DataFrame is written to ``scores.csv`` in `out`.
    out : path
        Folder of metrics.json and report.html; results that are there are replaced.
    **settings
        The other flags of ``mammo-jax evaluate``: see `mammo_jax.jobs.evaluate.EvaluateConfig`.

    Returns
    -------
    Run

    Raises
    ------
    UserError
        The table, a setting or the folder cannot be used.
    """
    out = Path(out)
    table = out / "scores.csv" if isinstance(predictions, pd.DataFrame) else Path(predictions)
    flags = flags_of(EvaluateConfig, {"predictions": table, "out": out, **settings})
    config = parsed(parse, flags)
    if isinstance(predictions, pd.DataFrame):
        check_folder(config, RunFolder(out))
        booleans = predictions.select_dtypes("bool").columns
        with atomic_path(table) as temporary:
            predictions.astype(dict.fromkeys(booleans, int)).to_csv(temporary, index=False)
    evaluate_and_report(config, flags)
    return Run(out)


evaluate.__signature__ = signature_of(  # type: ignore[attr-defined]
    EvaluateConfig, *list(inspect.signature(evaluate).parameters.values())[:2]
)
