"""Covariances of AUROCs of the same patients, with several images each: Obuchowski, Biometrics 1997;53:567."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammo_jax.statistics.delong import placements
from mammo_jax.statistics.prediction_grid import Fold


@dataclass(frozen=True)
class PatientSums:
    """Placement values of one fold's images, summed over the images of each patient.

    Attributes
    ----------
    positives : float64 [readers, patients]
        Sum over the patient's positive images of the share of negative images that each is above.
    negatives : float64 [readers, patients]
        Sum over the patient's negative images of the share of positive images that each is below.
    positive_images, negative_images : int64 [patients]
    """

    positives: np.ndarray
    negatives: np.ndarray
    positive_images: np.ndarray
    negative_images: np.ndarray

    @property
    def auroc(self) -> np.ndarray:
        """The AUROC of each reader, float64 [readers]."""
        return np.asarray(self.positives.sum(axis=1) / self.positive_images.sum())

    def deviations(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what each patient's positive, and negative, images move the AUROC by; 2 × float64 [readers, patients].

        Either sums to zero over the patients.
        """
        moved = []
        for sums, images in ((self.positives, self.positive_images), (self.negatives, self.negative_images)):
            moved.append((sums - self.auroc[:, None] * images) / images.sum())
        return moved[0], moved[1]


def patient_sums(fold: Fold, scores: np.ndarray) -> PatientSums:
    """Sum the placement values of each patient's images.

    Parameters
    ----------
    fold : Fold
    scores : float64 [readers, images]
    """
    patients = len(fold.positive_patients)
    sums, images = [], []
    for of_class, values in zip((fold.labels, ~fold.labels), placements(fold.labels, scores)):
        owners = fold.patients[of_class]
        sums.append(np.stack([np.bincount(owners, reader, patients) for reader in values]))
        images.append(np.bincount(owners, minlength=patients))
    return PatientSums(sums[0], sums[1], images[0], images[1])


def clustered_covariance(first: Sequence[PatientSums], second: Sequence[PatientSums]) -> np.ndarray:
    """Estimate the covariances between AUROCs that are means over folds.

    Images of one patient may depend on each other in any way; patients are independent. Where each patient has one
    image it is the covariance of DeLong, DeLong & Clarke-Pearson (Biometrics 1988;44:837). The folds have different
    patients, so the covariance of the mean over F folds is the sum of theirs ÷ F².

    Parameters
    ----------
    first, second : sequences of PatientSums, one a fold
        Of the same images. A class that only one patient of a fold has images of adds nothing there, since its variance
        is not known; no more does the bootstrap, which always draws that patient.

    Returns
    -------
    float64 [readers of first, readers of second]
    """
    covariances = []
    for ours, theirs in zip(first, second, strict=True):
        positive, negative = ours.deviations()
        other_positive, other_negative = theirs.deviations()
        mixed = positive @ other_negative.T + negative @ other_positive.T
        covariances.append(
            _correction(ours.positive_images > 0) * (positive @ other_positive.T)
            + _correction(ours.negative_images > 0) * (negative @ other_negative.T)
            + _correction((ours.positive_images > 0) | (ours.negative_images > 0)) * mixed
        )
    return np.asarray(np.sum(covariances, axis=0) / len(covariances) ** 2)


def _correction(counted: np.ndarray) -> float:
    """Return n / (n − 1) for the n patients that are counted, as for any variance about an estimated mean."""
    patients = int(np.count_nonzero(counted))
    return patients / max(1, patients - 1)
