"""Whether there are enough patients of each class in every fold, and what would be enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mammo_jax.dataset.folds import FoldError, make_folds
from mammo_jax.planning.errors import PlanError

MOST_FOLDS = 10
"""Largest number of folds that is proposed."""


@dataclass(frozen=True)
class Images:
    """What the table says of every image that can be used.

    Attributes
    ----------
    patients : sequence of str [images]
    targets : sequence of int [images]
        1 for a positive image, 0 for a negative: what the folds are made by.
    examples : tuple of two bool sequences [images]
        Whether an image gives a negative example, and a positive one.
    """

    patients: Sequence[str]
    targets: Sequence[int]
    examples: tuple[Sequence[bool], Sequence[bool]]

    def patients_with(self, target: int, among: np.ndarray | None = None) -> set[str]:
        """Patients with an example of a class, of all images or of those `among` them."""
        chosen = np.asarray(self.examples[target], bool) & (True if among is None else among)
        return set(np.asarray(self.patients)[chosen].tolist())


@dataclass(frozen=True)
class FoldPatients:
    """Patients of one fold.

    Attributes
    ----------
    negative, positive : int
        Those with such an example; one with examples of both classes counts in both.
    names : frozenset of str
    """

    negative: int
    positive: int
    names: frozenset[str]


def patients_of_folds(
    images: Images,
    *,
    n_folds: int,
    seed: int,
    validation_parts: int,
    stored: Mapping[str, int] | None = None,
) -> list[FoldPatients]:
    """Count the patients of each fold and class, and check that every network can be trained and validated.

    Parameters
    ----------
    images : Images
    n_folds, seed
        Of `mammo_jax.dataset.folds.make_folds`.
    validation_parts : int
        Patients of each class that the other folds need.
    stored : mapping, optional
        Patient → fold of a run that was begun before.

    Raises
    ------
    PlanError
        A class has too few patients; the message says what would be enough.
    """
    if stored is None:
        folds = _folds(images, n_folds, seed)
    else:
        folds = np.array([stored.get(patient, -1) for patient in images.patients])
    counted = [] if folds is None else _count(images, folds, n_folds)
    if folds is not None and _smallest_rest(counted) >= validation_parts:
        return counted
    negative, positive = (len(images.patients_with(target)) for target in (0, 1))
    raise PlanError(
        f"{positive} positive and {negative} negative patients are too few for --folds {n_folds} and --validation-parts"
        f" {validation_parts}: {_shortage(counted, n_folds)}; {_way_out(images, seed, validation_parts)}"
    )


def _folds(images: Images, n_folds: int, seed: int) -> np.ndarray | None:
    """The folds, or None where a class is missing from one."""
    try:
        return make_folds(images.patients, images.targets, n_folds=n_folds, seed=seed)
    except FoldError:
        return None


def _count(images: Images, folds: np.ndarray, n_folds: int) -> list[FoldPatients]:
    names, counted = np.asarray(images.patients), []
    for fold in range(n_folds):
        here = folds == fold
        negative, positive = (len(images.patients_with(target, here)) for target in (0, 1))
        counted.append(FoldPatients(negative, positive, frozenset(names[here].tolist())))
    return counted


def _smallest_rest(counted: Sequence[FoldPatients]) -> int:
    """Return the fewest patients of a class that the other folds have, for any fold."""
    total = [sum(fold.negative for fold in counted), sum(fold.positive for fold in counted)]
    return min(min(total[0] - fold.negative, total[1] - fold.positive) for fold in counted)


def _shortage(counted: Sequence[FoldPatients], n_folds: int) -> str:
    if not counted:
        return f"each of the {n_folds} folds needs one of each"
    return f"beside one fold only {_smallest_rest(counted)} of one class are left to train and validate with"


def _way_out(images: Images, seed: int, parts: int) -> str:
    """Say which number of folds, or else of validation parts, would do."""
    rests = {}
    for n_folds in range(2, MOST_FOLDS + 1):
        folds = _folds(images, n_folds, seed)
        if folds is not None:
            rests[n_folds] = _smallest_rest(_count(images, folds, n_folds))
    for n_folds in sorted(rests, key=lambda count: abs(count - 5)):
        if rests[n_folds] >= parts:
            return f"--folds {n_folds} would be enough"
    best = max(rests, key=lambda count: (rests[count], -count), default=None)
    if best is None or rests[best] < 2:
        return "more patients are needed"
    return f"--folds {best} --validation-parts {rests[best]} would do, but more patients would be better"
