"""The verdict's rule: margin, level, and how many patients it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mammo_jax.statistics.prediction_grid import StatisticsError

MARGIN = 0.05
ALPHAS = (0.025, 0.05)
"""One-sided levels; the first is the default, and the other's result is shown beside it."""
MIN_POSITIVE_PATIENTS = 60
MIN_HIT_PATIENTS = 10
"""How many positive patients a loss of the margin has to hit, if it hits them whole."""


@dataclass(frozen=True)
class Rule:
    """What is fixed before anybody looks at a score.

    Attributes
    ----------
    margin : float
        Largest loss of AUROC that is accepted (non-inferiority margin).
    alpha : float
        One-sided level of the test: 0.025 or 0.05.
    min_positive_patients : int
        With fewer patients with a positive image no ratio is given; see `needed_positive_patients`.

    Raises
    ------
    StatisticsError
        If no verdict is possible with a setting.
    """

    margin: float = MARGIN
    alpha: float = ALPHAS[0]
    min_positive_patients: int = MIN_POSITIVE_PATIENTS

    def __post_init__(self) -> None:
        if not 0 < self.margin < 0.5:
            raise StatisticsError(f"margin: {self.margin} is not between 0 and 0.5")
        if self.alpha not in ALPHAS:
            raise StatisticsError(f"alpha: {self.alpha} is not one of the levels {ALPHAS[0]} and {ALPHAS[1]}")
        if self.min_positive_patients < 2:
            raise StatisticsError(f"min_positive_patients: {self.min_positive_patients} is too few; use 60")

    @property
    def other_alpha(self) -> float:
        """The level that is shown beside the chosen one."""
        return ALPHAS[1 - ALPHAS.index(self.alpha)]

    def needed_positive_patients(self, auroc: float) -> int:
        """Return how many positive patients a verdict needs, for a model with this AUROC on uncompressed images.

        The likeliest harm is that some lesions vanish whole. Where a share q of the patients lose theirs, the AUROC
        falls by q (AUROC − 0.5). What a loss of the margin looks like then hangs on the few patients it hits, n q of n,
        and simulation shows that the test holds its level where they are 10 or more (docs/EVIDENCE.md). That none is
        hit, so that no statistic could see the loss, has then a probability of (1 − q)ⁿ < 0.00005.
        """
        share = self.margin / (auroc - 0.5)
        return max(self.min_positive_patients, math.ceil(MIN_HIT_PATIENTS / share - 1e-9))

    def obstacles(self, auroc: float, patients: Sequence[tuple[int, int]]) -> tuple[list[str], int]:
        """Find what forbids a verdict, whatever the bounds are.

        Parameters
        ----------
        auroc : float
            On uncompressed images.
        patients : sequence of (int, int)
            Positive and negative patients of each fold.

        Returns
        -------
        reasons : list of str
            Empty if nothing does.
        missing : int
            Positive patients that are missing.
        """
        if auroc - 0.5 <= self.margin:
            reason = f"the AUROC on uncompressed images is {auroc:.2f}, so that chance itself is within the margin"
            return [reason], 0
        reasons = []
        positive = sum(fold[0] for fold in patients)
        needed = self.needed_positive_patients(auroc)
        if positive < needed:
            reasons.append(f"it needs {needed} positive patients, and there are {positive}: {needed - positive} more")
        alone = [name for name, count in zip(("positive", "negative"), map(min, zip(*patients))) if count == 1]
        if alone:
            reasons.append(f"a fold has a single {alone[0]} patient, whose like is not known; use fewer folds")
        return reasons, max(0, needed - positive)
