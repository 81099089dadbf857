"""AUROCs of several readers, compared for readers like these and patients like these (Obuchowski & Rockette).

The readers are training runs: networks that differ by their seed only. Both they and the patients are random, so that a
claim is about trainings in general, and not about those that happened to be run. Sources: Obuchowski & Rockette, Commun
Stat Simul Comput 1995;24:285; degrees of freedom: Hillis, Stat Med 2007;26:596.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from mammo_jax.statistics.bootstrap import CONFIDENCE
from mammo_jax.statistics.clustered_covariance import PatientSums, clustered_covariance


@dataclass(frozen=True)
class Inference:
    """An estimate with its standard error, after Student's t.

    Attributes
    ----------
    value, standard_error : float
    degrees_of_freedom : float
        Infinite where the readers do not differ.
    """

    value: float
    standard_error: float
    degrees_of_freedom: float

    def lower_bound(self, alpha: float) -> float:
        """Return the one-sided lower bound that the true value is below with probability `alpha`."""
        return float(self.value + student_t.ppf(alpha, self.degrees_of_freedom) * self.standard_error)

    def interval(self) -> tuple[float, float]:
        """Return the two-sided 95 % interval."""
        low = self.lower_bound((1 - CONFIDENCE) / 2)
        return low, 2 * self.value - low


@dataclass(frozen=True)
class Comparison(Inference):
    """The difference of two treatments, first − second, and what its standard error is made of.

    Attributes
    ----------
    treatments_mean_square, interaction_mean_square : float
        MS(T), and MS(T:R) of treatments by readers.
    error, covariance_1, covariance_2, covariance_3 : float
        Of the error that patients cause: its variance; its covariances for one reader and both treatments, for
        different readers and one treatment, and for both different.
    """

    treatments_mean_square: float
    interaction_mean_square: float
    error: float
    covariance_1: float
    covariance_2: float
    covariance_3: float


@dataclass(frozen=True)
class ReaderAreas:
    """The AUROCs of one treatment, one a reader, with what their covariances are estimated from.

    Attributes
    ----------
    folds : tuple of PatientSums
        With the same readers each.
    """

    folds: tuple[PatientSums, ...]

    @property
    def by_reader(self) -> np.ndarray:
        """The AUROC of each reader, float64 [readers], the mean over the folds."""
        return np.asarray(np.mean([fold.auroc for fold in self.folds], axis=0))

    @property
    def value(self) -> float:
        """The mean over the readers."""
        return float(self.by_reader.mean())

    def lower_bound(self, alpha: float) -> float:
        """Return the one-sided lower bound of the mean, for readers like these and patients like these."""
        return single_treatment(self.by_reader, clustered_covariance(self.folds, self.folds)).lower_bound(alpha)

    def __sub__(self, other: ReaderAreas) -> Comparison:
        """Compare with the same readers' AUROCs of another treatment."""
        pairs = ((self, self), (other, other), (self, other))
        within, other_within, between = (clustered_covariance(a.folds, b.folds) for a, b in pairs)
        return compare_treatments(self.by_reader, other.by_reader, (within, other_within), between)


def single_treatment(areas: np.ndarray, covariance: np.ndarray) -> Inference:
    """Estimate the mean AUROC of one treatment over random readers and random patients.

    Parameters
    ----------
    areas : float64 [readers]
        Two or more.
    covariance : float64 [readers, readers]
        Of the error that patients cause.
    """
    readers = len(areas)
    mean_square = float(np.var(areas, ddof=1))
    total = mean_square + readers * max(0.0, _between_readers(covariance))
    error = float(np.sqrt(total / readers))
    return Inference(float(areas.mean()), error, _degrees_of_freedom(total, mean_square, readers - 1))


def compare_treatments(
    first: np.ndarray, second: np.ndarray, within: Sequence[np.ndarray], between: np.ndarray
) -> Comparison:
    """Compare two treatments that the same readers judged for the same patients.

    Parameters
    ----------
    first, second : float64 [readers]
        The AUROCs, of two readers or more.
    within : two of float64 [readers, readers]
        Covariances, of the error that patients cause, between the readers of the first treatment; of the second.
    between : float64 [readers of the first, readers of the second]
    """
    readers = len(first)
    differences = first - second
    difference = float(differences.mean())
    # For two treatments both mean squares are those of the readers' differences.
    interaction = float(np.var(differences, ddof=1)) / 2
    error = float(np.mean([np.diagonal(covariance).mean() for covariance in within]))
    covariance_2 = float(np.mean([_between_readers(covariance) for covariance in within]))
    covariance_3 = _between_readers(between)
    denominator = interaction + readers * max(0.0, covariance_2 - covariance_3)
    return Comparison(
        value=difference,
        standard_error=float(np.sqrt(2 * denominator / readers)),
        degrees_of_freedom=_degrees_of_freedom(denominator, interaction, readers - 1),
        treatments_mean_square=readers * difference**2 / 2,
        interaction_mean_square=interaction,
        error=error,
        covariance_1=float(np.diagonal(between).mean()),
        covariance_2=covariance_2,
        covariance_3=covariance_3,
    )


def _between_readers(covariance: np.ndarray) -> float:
    """Return the mean of the covariances of different readers."""
    readers = len(covariance)
    return float((covariance.sum() - np.trace(covariance)) / (readers * (readers - 1)))


def _degrees_of_freedom(total: float, mean_square: float, free: int) -> float:
    """Return Hillis' degrees of freedom: only the mean square of the readers is uncertain, with `free` of them."""
    return total**2 / (mean_square**2 / free) if mean_square > 0 else float("inf")
