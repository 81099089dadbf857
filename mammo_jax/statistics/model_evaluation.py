"""Evaluation of one model's predictions: results of every ratio, counts, verdicts, at every analysis level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.analysis_levels import AnalysisLevels, Judge, level_rows, tables_at_level
from mammo_jax.statistics.auprc import population_auprc
from mammo_jax.statistics.bootstrap import Estimate, Estimates, estimates
from mammo_jax.statistics.calibration import calibration
from mammo_jax.statistics.harm import at_operating_point, vetoes
from mammo_jax.statistics.matched import check_seeds_differ, matched_areas, reader_comparisons
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.prediction_grid import Cell, Fold, PredictionGrid, StatisticsError, prediction_grid
from mammo_jax.statistics.roc import roc_curves
from mammo_jax.statistics.rule import Rule
from mammo_jax.statistics.secondary import secondary_figures
from mammo_jax.statistics.verdict import verdict


def evaluate_model(
    name: str,
    predictions: pd.DataFrame,
    validation: pd.DataFrame | None,
    levels: AnalysisLevels,
    judge: Judge,
    frozen: bool,
    in_subgroups: Callable[[pd.DataFrame], list[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Evaluate a model at the primary level, with the counts of its images, in subgroups, and at every level."""
    table = predictions[predictions["model"] == name]
    validation = None if validation is None else validation[validation["model"] == name]
    try:
        images = prediction_grid(table)  # first of all: a missing image would not be missed in a maximum
        check_seeds_differ(images)
        if frozen:
            _check_frozen(images)
        tables = _primary_tables(table, validation, levels)
        primary = judge(*tables)
        subgroups = None if in_subgroups is None else in_subgroups(table)
    except StatisticsError as error:
        raise StatisticsError(f"model {name!r}: {error}") from None
    grid = prediction_grid(tables[0])
    return {
        "name": name,
        "seeds": list(images.seeds),
        "demonstration": len(images.seeds) == 1 and not frozen,
        **primary,
        "counts": _counts(images),
        "calibration": calibration(grid, tables[1]),
        "roc": roc_curves(grid),
        "subgroups": subgroups,
        "levels": level_rows(table, validation, levels, primary, judge),
    }


def _primary_tables(
    table: pd.DataFrame, validation: pd.DataFrame | None, levels: AnalysisLevels
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    try:
        return tables_at_level(table, validation, levels.primary, levels.pooling)
    except StatisticsError as error:
        raise StatisticsError(f"analysis level {levels.primary}: {error}; choose another --analysis-level") from None


def judge_tables(
    table: pd.DataFrame,
    validation: pd.DataFrame | None,
    *,
    point: OperatingPoint,
    rule: Rule,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Compute a model's results, counts and verdicts from the tables of one level; a `Judge` with the rest fixed."""
    grid = prediction_grid(table)
    cells, redrawn = estimates(grid, resamples, seed)
    bootstrap = {"resamples": resamples, "seed": seed}
    operating = at_operating_point(grid, table, point, margin=rule.margin, validation=validation, **bootstrap)
    transfer = {test: cell.auroc for (train, test), cell in cells.items() if train == "1"}
    matched = matched_areas(grid, cells)
    judged: dict[str, Any] = {"seeds": len(grid.seeds), "rule": rule}
    judged["patients"] = [fold.patients_by_class for fold in grid.folds]
    return {
        "counts": _counts(grid),
        "secondary": secondary_figures(grid, cells, rule.margin),
        "redrawn_resamples": redrawn,
        "results": [_result(cell, cells[cell], judged["patients"]) for cell in sorted(cells, key=_reading_order)],
        "seed_null": _seed_null(grid, cells),
        "matched_readers": reader_comparisons(matched),
        "operating_point": operating,
        "verdicts": {
            "transfer": verdict("transfer", transfer, harms=vetoes(operating), **judged),
            "matched": verdict("matched", matched, **judged),
        },
    }


def _check_frozen(grid: PredictionGrid) -> None:
    """Raise StatisticsError if the table of a frozen model contains several models."""
    if len(grid.seeds) > 1:
        raise StatisticsError(f"column seed: a frozen model has one seed, and the table has {len(grid.seeds)}")
    if len(grid.folds) > 1:
        raise StatisticsError(
            f"column fold: one frozen model scored every image, so there is one fold, and the table has "
            f"{len(grid.folds)}; write 0 in every row, or leave --frozen out if each fold has its own model"
        )
    others = sorted({train for train, _ in grid.scores} - {"1"})
    if others:
        raise StatisticsError(f"column train_ratio: {others[0]!r}; write 1 in every row of a frozen model")


def _reading_order(cell: Cell) -> tuple[float, str, float]:
    """Sort key: numeric training ratios in ascending order, then names such as "mixed"."""
    train, test = cell
    try:
        return float(train), "", test
    except ValueError:
        return float("inf"), train, test


def _result(cell: Cell, areas: Estimates, patients: Sequence[tuple[int, int]]) -> dict[str, Any]:
    train, test = cell
    return {
        "train_ratio": train,
        "test_ratio": test,
        "matched": train == ratio_text(test),
        "transfer": train == "1",
        "auroc": _with_interval(areas.auroc, areas.auroc_by_fold),
        "auprc": {"mean": areas.auprc.value, "by_seed_and_fold": areas.auprc_by_fold.tolist()}
        | population_auprc(areas.auprc, patients)._asdict(),
    }


def _with_interval(estimate: Estimate, by_fold: np.ndarray) -> dict[str, Any]:
    low, high = estimate.interval()
    return {"mean": estimate.value, "low": low, "high": high, "by_seed_and_fold": by_fold.tolist()}


def _counts(grid: PredictionGrid) -> dict[str, Any]:
    folds = [{"fold": fold.number} | _fold_counts(fold) for fold in grid.folds]
    total: dict[str, Any] = {key: sum(fold[key] for fold in folds) for key in folds[0] if key != "fold"}
    return total | {"prevalence": total["positive_images"] / total["images"], "folds": folds}


def _fold_counts(fold: Fold) -> dict[str, int]:
    return {
        "patients": len(fold.positive_patients),
        "positive_patients": int(fold.positive_patients.sum()),
        "images": len(fold.labels),
        "positive_images": int(fold.labels.sum()),
    }


def _seed_null(grid: PredictionGrid, cells: Mapping[Cell, Estimates]) -> dict[str, Any] | None:
    """Compute the AUROC differences between training seeds at CR 1, for the same patients (null distribution).

    The matched comparison is between a model trained at a ratio and another model trained at CR 1, so a loss smaller
    than these differences is no evidence. None if there is only one seed, or no CR 1.
    """
    reference = cells.get(("1", 1.0))
    if reference is None or len(grid.seeds) < 2:
        return None
    by_seed = reference.auroc_by_fold.mean(axis=1)
    differences = [abs(float(a - b)) for a, b in combinations(by_seed, 2)]
    return {
        "auroc_by_seed": by_seed.tolist(),
        "standard_deviation": float(np.std(by_seed, ddof=1)),
        "mean_difference": float(np.mean(differences)),
        "largest_difference": max(differences),
    }
