"""Bounds from bootstrap replicates, corrected for bias and for skewness (BCa)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri


def bca_bound(value: float, replicates: np.ndarray, left_out: Sequence[np.ndarray], probability: float) -> float:
    """Return the BCa bound that the true value is below with a given probability.

    It is a quantile of the replicates, as the percentile bound is, but at another probability (Efron, J Am Stat Assoc
    1987;82:171): moved by the share of the replicates below the estimate, and by the acceleration, a sixth of the
    skewness of the estimate. The acceleration comes from a jackknife; with several strata their third and second
    moments are added before they are divided, as in `scipy.stats.bootstrap`.

    A bound is never on the wrong side of the estimate: where all replicates lie on one side of it, the correction would
    put both bounds there.

    Parameters
    ----------
    value : float
        The estimate.
    replicates : float64 [resamples]
    left_out : sequence of float64 [members]
        For each stratum, the estimate with one member left out at a time. Members are what was resampled: patients, or
        training seeds. A stratum of one member has nothing to say and may be empty.
    probability : float
        0.025 for the lower bound of a two-sided 95 % interval, 0.975 for the upper one.

    Returns
    -------
    float
        `value` if no replicate differs from it.
    """
    bias = _bias(value, replicates)
    shifted = bias + ndtri(probability)
    stretch = 1 - acceleration(left_out) * shifted
    # Beyond its pole the formula would come back from the other side; there the bound is the last replicate.
    corrected = ndtr(bias + shifted / stretch) if stretch > 0 else float(shifted > 0)
    bound = float(np.quantile(replicates, corrected))
    return min(bound, value) if probability < 0.5 else max(bound, value)


def _bias(value: float, replicates: np.ndarray) -> float:
    """Return the normal quantile of the share of the replicates below the estimate; ties count one half."""
    below = (np.count_nonzero(replicates < value) + np.count_nonzero(replicates <= value)) / (2 * len(replicates))
    resolved = 0.5 / len(replicates)  # a share of 0 or 1 only says that it is nearer to that than one replicate
    return float(ndtri(np.clip(below, resolved, 1 - resolved)))


def acceleration(left_out: Sequence[np.ndarray]) -> float:
    """Return a sixth of the skewness of an estimate, from the jackknife of its strata; 0 where nothing varies."""
    second = third = 0.0
    for values in left_out:
        members = len(values)
        if members > 1:
            influence = (members - 1) * (values.mean() - values)
            second += float(np.sum(influence**2)) / members**2
            third += float(np.sum(influence**3)) / members**3
    return third / second**1.5 / 6 if second > 0 else 0.0


def bca_p_value(value: float, replicates: np.ndarray, left_out: Sequence[np.ndarray], limit: float) -> float:
    """Return the one-sided p-value of the hypothesis that the true value is not above a limit.

    It is the probability at which `bca_bound` is the limit, so that the p-value is under a level exactly where the
    bound at this level is above the limit. Where all replicates but one are, their number cannot show how small the
    p-value is; it is then what one further replicate below the limit would make it, which is too large.

    Parameters
    ----------
    value, replicates, left_out
        As for `bca_bound`.
    limit : float

    Returns
    -------
    float
        At least 0.5 where the estimate itself is not above the limit, and at most 0.5 where it is.
    """
    resolved = 1 / (len(replicates) + 1)
    ordered = np.sort(replicates)
    share = float(np.interp(limit, ordered, np.linspace(0, 1, len(ordered))))  # the inverse of `np.quantile`
    bias = _bias(value, replicates)
    corrected = ndtri(np.clip(share, resolved, 1 - resolved)) - bias
    stretch = 1 + acceleration(left_out) * corrected
    # Beyond the pole of `bca_bound` no probability gives such a bound.
    p_value = float(ndtr(corrected / stretch - bias)) if stretch > 0 else float(corrected > 0)
    p_value = min(max(p_value, resolved), 1.0)
    return max(p_value, 0.5) if value <= limit else min(p_value, 0.5)
