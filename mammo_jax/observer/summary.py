"""The figures of the observer stage: AUROC of every arm and of the network, what they lose, and what stands out."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mammo_jax.observer.shortcuts import SHORTCUTS
from mammo_jax.observer.stage import BLIND, OBSERVER, RESIZED, STATISTICS
from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.bootstrap import Estimate, Estimates, estimates
from mammo_jax.statistics.prediction_grid import Cell, prediction_grid

SCHEMA = "mammo_jax observer 1"
NETWORK = "network"
TRANSFER, MATCHED = "transfer", "matched"
SHORTCUT_AUROC = 0.6
"""From here on a statistic alone is named as a shortcut, if its interval excludes chance too."""
CHANCE = 0.5


def summarise(scores: pd.DataFrame, network: pd.DataFrame | None, *, resamples: int, seed: int = 0) -> dict[str, Any]:
    """Compute the figures of all arms, by the statistics that judge the networks, patch by patch.

    Every arm has the same resampled patients, so the difference of two is paired.

    Parameters
    ----------
    scores : DataFrame
        Of `mammo_jax.observer.stage.score_observers`.
    network : DataFrame or None
        The predictions of the study's networks, of one model; None where nothing is trained yet.
    resamples : int
    seed : int

    Returns
    -------
    dict, ready for JSON (summary.json)
        ``curves``: rows of AUROC by arm, training and ratio, each with its change from CR 1 of the same training
        (``transfer`` or ``matched``); ``against_resized``: by how much the observer is better than the resize-only
        arm; ``shortcuts``: the named ones; ``blind_at_chance``: whether every interval of the blind observer
        holds 0.5.
    """
    tables = {str(arm): table for arm, table in scores.groupby("model")}
    if network is not None:
        tables[NETWORK] = network
    areas = {arm: _areas(table, resamples, seed) for arm, table in tables.items()}
    curves = [row for arm, cells in areas.items() for row in _curves(arm, cells)]
    return {
        "schema": SCHEMA,
        "resamples": resamples,
        "counts": _counts(scores),
        "curves": curves,
        "against_resized": _against_resized(areas[OBSERVER], areas[RESIZED]),
        "shortcuts": _named_shortcuts(curves),
        "blind_at_chance": all(row["low"] <= CHANCE <= row["high"] for row in curves if row["arm"] == BLIND),
    }


def _areas(table: pd.DataFrame, resamples: int, seed: int) -> dict[Cell, Estimates]:
    """Return the AUROC of the transfer and matched cells of one arm."""
    matched = table["train_ratio"] == table["test_ratio"].map(ratio_text)
    return estimates(prediction_grid(table[matched | (table["train_ratio"] == "1")]), resamples, seed)[0]


def _curves(arm: str, cells: dict[Cell, Estimates]) -> list[dict[str, Any]]:
    """List the AUROC of an arm by training and ratio; CR 1 is both transfer and matched."""
    reference = cells.get(("1", 1.0))
    ratios = sorted({test for _, test in cells})
    rows = []
    for training in (TRANSFER, MATCHED):
        for ratio in ratios:
            cell = cells.get(("1" if training == TRANSFER else ratio_text(ratio), ratio))
            if cell is None:
                continue
            change = None if reference is None or ratio == 1 else _with_interval(cell.auroc - reference.auroc)
            row = {"arm": arm, "training": training, "ratio": ratio, **_with_interval(cell.auroc)}
            rows.append(row | {"change": change})
    only_uncompressed = {training for training in (TRANSFER, MATCHED) if _ratios(rows, training) == [1.0]}
    return [row for row in rows if row["training"] not in only_uncompressed]


def _ratios(rows: list[dict[str, Any]], training: str) -> list[float]:
    return [row["ratio"] for row in rows if row["training"] == training]


def _against_resized(observer: dict[Cell, Estimates], resized: dict[Cell, Estimates]) -> list[dict[str, Any]]:
    """List by how much the observer's AUROC is above that of the resize-only arm, both trained at the ratio."""
    return [
        {"ratio": test, **_with_interval(observer[train, test].auroc - resized[train, test].auroc)}
        for train, test in sorted(observer, key=lambda cell: cell[1])
        if test > 1 and train == ratio_text(test)
    ]


def _named_shortcuts(curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the statistics that are shortcuts at any ratio, each where it is largest; the strongest first."""
    named = []
    for arm in (*SHORTCUTS, STATISTICS):
        rows = [row for row in curves if row["arm"] == arm]
        shortcuts = [row for row in rows if row["mean"] > SHORTCUT_AUROC and row["low"] > CHANCE]
        if shortcuts:
            largest = max(shortcuts, key=lambda row: row["mean"])
            named.append({"arm": arm, "ratios": len(shortcuts), "of": len(rows), "largest": largest})
    return sorted(named, key=lambda row: -row["largest"]["mean"])


def _with_interval(estimate: Estimate) -> dict[str, float]:
    low, high = estimate.interval()
    return {"mean": estimate.value, "low": low, "high": high}


def _counts(scores: pd.DataFrame) -> dict[str, int]:
    patches = scores.drop_duplicates("image_id")
    positive = patches[patches["label"] == 1]
    return {
        "patches": len(patches),
        "positive_patches": len(positive),
        "patients": int(patches["patient_id"].nunique()),
        "positive_patients": int(positive["patient_id"].nunique()),
    }
