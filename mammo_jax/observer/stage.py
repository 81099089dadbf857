"""The observer stage: scores of every arm on the held-out folds, as a predictions table.

An arm is trained and tested as the networks are: on the training folds at CR 1 (transfer) or at the tested ratio
(matched), and scored on the fold that is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.errors import UserError
from mammo_jax.observer.channels import channel_outputs
from mammo_jax.observer.hotelling import train_template
from mammo_jax.observer.reduction import reduce_to_equal_bytes
from mammo_jax.observer.shortcuts import SHORTCUTS, shortcut_statistics
from mammo_jax.ratios import ratio_text

OBSERVER = "observer"
RESIZED = "resized"
BLIND = "blind"
STATISTICS = "statistics"
"""All statistics of `SHORTCUTS` together; one alone is an arm of its own name."""
PERMUTATIONS = 20
"""Of the labels, for the blind observer: so many that their mean is near the middle, whatever one of them gives."""

Features = Mapping[float, np.ndarray]
"""Ratio → float64 [n, features]."""


class ObserverError(UserError):
    """A study that no observer can be made for; the message names the folder and what to do."""


@dataclass(frozen=True)
class ObserverPlan:
    """What the observers are trained and tested on.

    Attributes
    ----------
    name : str
        Of the run folder, for messages.
    read : callable
        Ratio → Examples with breast masks.
    ratios : tuple of float
        Including 1.
    sides : float by image id
        Side of a patch in pixels of its image.
    audit, images : DataFrame
        Of the run.
    """

    name: str
    read: Callable[[float], Examples]
    ratios: tuple[float, ...]
    sides: pd.Series
    audit: pd.DataFrame
    images: pd.DataFrame


def score_observers(plan: ObserverPlan) -> pd.DataFrame:
    """Train and test every arm, and return the predictions table; column model is the arm.

    Raises
    ------
    ObserverError
        A ratio has other patches than CR 1, or a fold leaves no patch of a class to train on.
    """
    uncompressed = plan.read(1.0)
    sources = np.array([image_id.rpartition(".")[0] for image_id in uncompressed.image_ids])
    sides = plan.sides.loc[sources].to_numpy(np.float64)
    outputs, resized, statistics = {}, {}, {}
    for ratio in plan.ratios:
        examples = plan.read(ratio)
        if not np.array_equal(examples.image_ids, uncompressed.image_ids):
            raise ObserverError(f"{plan.name}: CR {ratio_text(ratio)} has other patches than CR 1; prepare it again")
        outputs[ratio] = channel_outputs(examples.images)
        resized[ratio] = channel_outputs(reduce_to_equal_bytes(uncompressed.images, sides, ratio))
        statistics[ratio] = shortcut_statistics(examples, sources, ratio, plan.audit, plan.images)
    _check_folds(plan.name, uncompressed)
    parts = [
        *_arm(OBSERVER, outputs, uncompressed),
        *_arm(RESIZED, resized, uncompressed),
        *_arm(STATISTICS, statistics, uncompressed, transfer=False),
        *_blind(outputs, uncompressed),
    ]
    for column, name in enumerate(SHORTCUTS):
        alone = {ratio: values[:, [column]] for ratio, values in statistics.items()}
        parts += _arm(name, alone, uncompressed, transfer=False)
    return pd.concat(parts, ignore_index=True)


def held_out_scores(train: np.ndarray, test: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the score of each patch by the Hotelling template that the other folds trained.

    Parameters
    ----------
    train, test : float64 [n, features]
        The same patches, as they are trained and tested with.
    targets, folds : int [n]

    Returns
    -------
    float64 [n]
    """
    scores = np.empty(len(targets))
    for fold in np.unique(folds):
        held_out = folds == fold
        scores[held_out] = train_template(train[~held_out], targets[~held_out]).scores(test[held_out])
    return scores


def permuted_targets(examples: Examples, seed: int) -> np.ndarray:
    """Return targets that say nothing about the images, int64 [n].

    Within each fold the patients exchange their labels, and the labels of a patient are shuffled, since all patients
    may have the same ones. So every fold keeps its number of positives, most of them still together in one patient.
    """
    random = np.random.default_rng(seed)
    permuted = np.empty_like(examples.targets)
    for fold in np.unique(examples.folds):
        patients = np.unique(examples.patient_ids[examples.folds == fold])
        rows = [np.flatnonzero(examples.patient_ids == patient) for patient in patients]
        exchanged = [random.permutation(examples.targets[rows[index]]) for index in random.permutation(len(rows))]
        permuted[np.concatenate(rows)] = np.concatenate(exchanged)
    return permuted


def _check_folds(name: str, examples: Examples) -> None:
    for fold in np.unique(examples.folds):
        if len(np.unique(examples.targets[examples.folds != fold])) < 2:
            raise ObserverError(
                f"{name}: outside of fold {fold} all patches have one label, so nothing can be trained; use more images"
            )


def _arm(name: str, features: Features, examples: Examples, *, transfer: bool = True) -> Iterator[pd.DataFrame]:
    """Yield the predictions of an arm at every ratio: trained at CR 1, and trained at the ratio."""
    targets, folds = examples.targets, examples.folds
    for ratio, values in features.items():
        for train_ratio in sorted({1.0, ratio} if transfer else {ratio}):
            scores = held_out_scores(features[train_ratio], values, targets, folds)
            yield _table(name, train_ratio, ratio, 0, examples, scores)


def _blind(features: Features, examples: Examples) -> Iterator[pd.DataFrame]:
    """Yield the predictions of observers that were trained on permuted labels; the seed is the permutation's."""
    for seed in range(PERMUTATIONS):
        targets = permuted_targets(examples, seed)
        for ratio, values in features.items():
            scores = held_out_scores(values, values, targets, examples.folds)
            yield _table(BLIND, ratio, ratio, seed, examples, scores)


def _table(
    arm: str, train_ratio: float, test_ratio: float, seed: int, examples: Examples, scores: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": arm,
            "train_ratio": ratio_text(train_ratio),
            "test_ratio": test_ratio,
            "fold": examples.folds,
            "seed": seed,
            "patient_id": examples.patient_ids,
            "image_id": examples.image_ids,
            "label": examples.targets,
            "score": scores,
        }
    )
