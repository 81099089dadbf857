"""One model's predictions as arrays: the same images, in the same order, for every ratio and training seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammo_jax.errors import UserError
from mammo_jax.ratios import ratio_text

Cell = tuple[str, float]
"""(train ratio, test ratio): ("1", 15.0) is the model trained on uncompressed images and tested at CR 15."""


class StatisticsError(UserError, ValueError):
    """A request or predictions table that no honest figure can be computed from; the message says what to do."""


@dataclass(frozen=True)
class Fold:
    """The held-out images of one fold.

    Attributes
    ----------
    number : int
    labels : bool [images]
    patients : int64 [images]
        Index of each image's patient, 0 … patients − 1.
    positive_patients : bool [patients]
        True where any image of the patient is positive.
    """

    number: int
    labels: np.ndarray
    patients: np.ndarray
    positive_patients: np.ndarray

    @property
    def patients_by_class(self) -> tuple[int, int]:
        """Number of positive and of negative patients."""
        positive = int(self.positive_patients.sum())
        return positive, len(self.positive_patients) - positive


@dataclass(frozen=True)
class PredictionGrid:
    """The scores of one model, aligned by image.

    Attributes
    ----------
    folds : tuple of Fold
    seeds : tuple of int
        Training seeds; every cell has all of them.
    scores : dict of Cell to tuple of float64 [seeds, images], one array per fold
    """

    folds: tuple[Fold, ...]
    seeds: tuple[int, ...]
    scores: dict[Cell, tuple[np.ndarray, ...]]


def prediction_grid(table: pd.DataFrame) -> PredictionGrid:
    """Align the predictions of ONE model by image; the table has passed `predictions.check_predictions`.

    Paired statistics need the same images in every cell. So each (train ratio, test ratio, seed) that occurs must score
    every image.

    Parameters
    ----------
    table : DataFrame
        Columns train_ratio, test_ratio, fold, seed, patient_id, image_id, label (0 or 1), score.

    Raises
    ------
    StatisticsError
        If a fold has one class only, or a ratio lacks a seed, a fold or images; the message names it.
    """
    table = table.sort_values("image_id")
    images = table.drop_duplicates("image_id")
    folds = {int(number): images[images["fold"] == number] for number in sorted(images["fold"].unique())}
    seeds = tuple(sorted(int(seed) for seed in table["seed"].unique()))
    scores: dict[Cell, tuple[np.ndarray, ...]] = {}
    for train_ratio, test_ratio in table[["train_ratio", "test_ratio"]].drop_duplicates().itertuples(index=False):
        cell = table[(table["train_ratio"] == train_ratio) & (table["test_ratio"] == test_ratio)]
        where = f"trained at {train_ratio}, tested at {ratio_text(test_ratio)}"
        _expect(where, "seeds", cell["seed"], seeds)
        _expect(where, "folds", cell["fold"], folds)
        parts = dict(list(cell.groupby(["fold", "seed"])))
        scores[train_ratio, test_ratio] = tuple(
            np.stack([_aligned_scores(parts.get((number, seed)), members, where, seed) for seed in seeds])
            for number, members in folds.items()
        )
    return PredictionGrid(
        tuple(_fold(number, members, alone=len(folds) == 1) for number, members in folds.items()), seeds, scores
    )


def _fold(number: int, members: pd.DataFrame, *, alone: bool) -> Fold:
    labels = members["label"].to_numpy() == 1
    if labels.all() or not labels.any():
        remedy = (
            "score images of both classes, and check column 'label'"
            if alone
            else "stratify the folds, use fewer, or, if one model scored several folds, give them one number"
        )
        raise StatisticsError(
            f"{'' if alone else f'fold {number}: '}all {len(labels)} images are "
            f"{'positive' if labels.all() else 'negative'}, so there is no AUROC; {remedy}"
        )
    patients, index = np.unique(members["patient_id"].to_numpy(str), return_inverse=True)
    positive = np.zeros(len(patients), bool)
    positive[index[labels]] = True
    return Fold(number, labels, index, positive)


def _aligned_scores(part: pd.DataFrame | None, members: pd.DataFrame, where: str, seed: int) -> np.ndarray:
    """Return the scores [images] in the order of `members`; both are sorted by image_id."""
    expected = members["image_id"].to_numpy(str)
    present = expected[:0] if part is None else part["image_id"].to_numpy(str)
    missing = np.setdiff1d(expected, present)
    if part is None or len(missing):
        raise StatisticsError(
            f"predictions {where}, fold {int(members['fold'].iloc[0])}, seed {seed}: {len(missing)} images missing, "
            f"the first is {missing[0]!r}; every ratio needs the same images, since ratios are compared in pairs"
        )
    return part["score"].to_numpy(float)


def _expect(where: str, what: str, present: pd.Series, expected: Iterable[int]) -> None:
    missing = sorted(set(expected) - {int(value) for value in present.unique()})
    if missing:
        raise StatisticsError(
            f"predictions {where}: no rows of {what} {missing}; every ratio needs the same ones, since ratios are "
            "compared in pairs: finish the run, or leave incomplete ratios out"
        )
