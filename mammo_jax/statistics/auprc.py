"""Interval of AUPRC: what the model would have in the population, at the prevalence of these images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from mammo_jax.statistics.bootstrap import CONFIDENCE, Estimate

MIN_PATIENTS = 12
"""Positive patients from which the interval is shown to hold; see docs/EVIDENCE.md."""
MIN_IN_FOLD = 3
"""Patients of each class in every fold; with two the interval is wider than it has to be."""


class PopulationAuprc(NamedTuple):
    """AUPRC corrected for the size of the folds, with its 95 % interval; or None three times, and why."""

    corrected: float | None
    low: float | None
    high: float | None
    no_interval: str | None


def population_auprc(estimate: Estimate, patients: Sequence[tuple[int, int]]) -> PopulationAuprc:
    """Estimate the AUPRC of the population, which the average precision of a small fold exceeds.

    A positive image is among those that it is ranked with, so that precision is too high by about one image over the
    number of positives, and a mean over folds keeps this error while its spread shrinks. A bootstrap resample has the
    same error again, since it repeats images. So the bias is estimated by the jackknife over patients (each fold and
    class is a stratum) and taken away, and the interval is symmetric on the logit scale (Boyd, Eng & Page, ECML PKDD
    2013, recommend the scale; their variance is binomial, which images of one woman are not). Its variance is the
    jackknife's plus half of the squared correction, since the correction has an error too; simulated studies chose the
    half. Student's t has the degrees of freedom of Satterthwaite, at most the number of positive patients − folds.

    Parameters
    ----------
    estimate : Estimate
        Mean over folds and seeds; `left_out` has the positive and the negative patients of each fold first.
    patients : sequence of (int, int)
        Positive and negative patients of each fold.
    """
    positive = sum(fold[0] for fold in patients)
    reason = _obstacle(positive, patients)
    if reason:
        return PopulationAuprc(None, None, None, reason)
    strata = [values - estimate.value for values in estimate.left_out]
    bias = sum((len(change) - 1) * change.mean() for change in strata)
    variances = np.array([(len(change) - 1) * change.var() for change in strata])
    total = variances.sum()
    if not total > 0:
        return PopulationAuprc(None, None, None, "AUPRC is the same without any one of the patients")
    freedom = total**2 / sum(part**2 / (len(change) - 1) for part, change in zip(variances, strata))
    resolved = 0.5 / positive  # beyond that, the logit is a matter of the formula alone
    corrected = float(np.clip(estimate.value - bias, resolved, 1 - resolved))
    error = math.sqrt(total + bias**2 / 2) / (corrected * (1 - corrected))
    half = student.ppf((1 + CONFIDENCE) / 2, min(freedom, positive - len(patients))) * error
    low, high = expit(logit(corrected) - half), expit(logit(corrected) + half)
    return PopulationAuprc(corrected, float(low), float(high), None)


def _obstacle(positive: int, patients: Sequence[tuple[int, int]]) -> str | None:
    """Return why there is no interval, or None."""
    if positive < MIN_PATIENTS:
        return f"it needs {MIN_PATIENTS} positive patients, and there are {positive}"
    if (fewest := min(min(fold) for fold in patients)) < MIN_IN_FOLD:
        return f"it needs {MIN_IN_FOLD} patients of each class in every fold, and one has {fewest}; use fewer folds"
    return None
