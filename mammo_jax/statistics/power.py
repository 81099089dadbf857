"""The verdict's power before the study: how often it says yes, how many patients that takes, what stays unseen.

Women are drawn as `experiments/statistics_check` simulates them, but a study costs no sorting and no bootstrap. AUROC
is, but for terms of second order, a mean over the positive women and one over the negative ones of each woman's
influence (the placement values of her images: Hoeffding, Ann Math Stat 1948;19:293; Obuchowski, Biometrics
1997;53:567), which is known exactly where scores are normal. The BCa bound follows from the influences' variance and
skewness (Efron, J Am Stat Assoc 1987;82:171, with the bootstrap's quantile after Cornish and Fisher). `check-power`
compares it with the bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.rule import MIN_HIT_PATIENTS, Rule
from mammo_jax.statistics.verdict import MIN_AUROC

Harm = Literal["fading", "drowning"]
POWER = 0.8
STUDIES = 8000
"""A share of so many studies is known to ± 1.1 points."""
MAX_POSITIVES = 4000
POOL = 10_000
POOL_SHARE = 5
"""Of women with a lesion, and without, whose influences are drawn once; studies are drawn from them. At least `POOL`,
and five for each study: fewer women with drowned lesions would move all studies together by a point of power."""
DRAWS = 1 << 21
"""Numbers in memory at once, 16 MiB."""
LARGEST_SHARE = 0.98
"""Of AUROC − 0.5 that a loss is looked for up to."""


@dataclass(frozen=True)
class Design:
    """What a study is assumed to be like.

    Attributes
    ----------
    auroc : float
        At CR 1.
    correlation : float
        Between an image's scores at CR 1 and at the tested ratio, given the class.
    views, lesion_views : int
        Scored images of a woman, and how many of them are positive if she has a lesion. Both are 1 where each woman, or
        each patch of hers, is scored once.
    woman_share : float
        Share of the scores' variance, given the class, that the images of one woman have in common.
    positive_share : float
        Share of the women who have a lesion.
    harm : {"fading", "drowning"}
        What compression does: every lesion loses some of its contrast, or some women's lesions all of it. It is the
        likelier one, and needs more women.

    Raises
    ------
    StatisticsError
        If a number is out of its range.
    """

    auroc: float = 0.85
    correlation: float = 0.9
    views: int = 4
    lesion_views: int = 2
    woman_share: float = 0.3
    positive_share: float = 1 / 3
    harm: Harm = "drowning"

    def __post_init__(self) -> None:
        for name, low, high in (("auroc", 0.5, 1), ("positive_share", 0, 1)):
            if not low < getattr(self, name) < high:
                raise StatisticsError(f"{name}: {getattr(self, name):g} is not between {low} and {high}")
        for name in ("correlation", "woman_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise StatisticsError(f"{name}: {getattr(self, name):g} is not from 0 to 1")
        if not 1 <= self.lesion_views <= self.views:
            raise StatisticsError(f"lesion_views: {self.lesion_views} is not from 1 to the {self.views} views")

    def negatives(self, positives: int) -> int:
        """Return how many women without a lesion there are beside so many with one; 2 at least."""
        return max(2, round(positives * (1 / self.positive_share - 1)))


@dataclass(frozen=True)
class Influences:
    """What a woman of a stratum adds to AUROC(1) and to AUROC(CR) − AUROC(1), drawn once; their means are 0.

    Attributes
    ----------
    positive, negative : float64 [2, women]
    """

    positive: np.ndarray
    negative: np.ndarray


def separation(auroc: np.ndarray | float) -> np.ndarray:
    """Distance between the means of two normal classes of variance 1 with this AUROC."""
    return np.sqrt(2) * ndtri(auroc)


@lru_cache(maxsize=4)
def influences(design: Design, loss: float, women: int, seed: int) -> Influences:
    """Draw the influences of many women for a study in which the tested ratio loses this much AUROC."""
    rng = np.random.default_rng([seed, 11])
    lesion = separation(design.auroc)
    drowned = design.harm == "drowning"
    share = loss / (design.auroc - 0.5) if drowned else 0.0
    left = lesion if drowned else separation(design.auroc - loss)
    positive, negative = _noise(design, women, rng), _noise(design, women, rng)  # [2 ratios, women, views]
    hit = np.arange(women) < round(share * women)
    signal = np.stack([np.full(women, lesion), np.where(hit, 0.0, left)])[:, :, None]
    lesions, others = positive[:, :, : design.lesion_views], positive[:, :, design.lesion_views :]
    # The probability of scoring less that a negative image has, and of scoring more that a positive one has.
    of_lesions = ndtr(lesions + signal).mean(axis=2)

    def above(scores: np.ndarray) -> np.ndarray:
        second = (1 - share) * ndtr(left - scores[1]) + share * ndtr(-scores[1])
        return np.stack([ndtr(lesion - scores[0]), second])

    odds = 1 / design.positive_share - 1
    negatives = odds * design.views + design.views - design.lesion_views  # negative images for each positive woman
    expected = np.array([design.auroc, design.auroc - loss])[:, None, None]
    return Influences(
        _centred(of_lesions + (above(others) - expected).sum(axis=2) / negatives),
        _centred(odds * above(negative).sum(axis=2) / negatives),
    )


def _noise(design: Design, women: int, rng: np.random.Generator) -> np.ndarray:
    """Scores without a lesion at both ratios, float64 [2, women, views]."""
    own = rng.standard_normal((2, women, design.views)) * np.sqrt(1 - design.woman_share)
    own += rng.standard_normal((2, women, 1)) * np.sqrt(design.woman_share)
    own[1] = design.correlation * own[0] + np.sqrt(1 - design.correlation**2) * own[1]
    return own


def _centred(values: np.ndarray) -> np.ndarray:
    """Return AUROC(1) and the difference, each with mean 0, from both ratios' values [2, women]."""
    pair = np.stack([values[0], values[1] - values[0]])
    return pair - pair.mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class Studies:
    """An estimate in many studies.

    Attributes
    ----------
    value : float64 [studies]
    spread : float64 [studies]
        Its standard error, as the bootstrap finds it.
    skewness : float64 [studies]
        Of its bootstrap distribution.
    """

    value: np.ndarray
    spread: np.ndarray
    skewness: np.ndarray

    def bound(self, probability: float) -> np.ndarray:
        """Return the BCa bounds that the true value is below with this probability, float64 [studies]."""
        acceleration = self.skewness / 6  # and as large is the bias of the median
        shifted = acceleration + ndtri(probability)
        place = acceleration + shifted / np.maximum(1 - acceleration * shifted, 0.1)
        return self.value + self.spread * (place + self.skewness / 6 * (place**2 - 1))


def simulated_studies(
    design: Design, positives: int, loss: float, *, studies: int = STUDIES, seed: int = 0
) -> tuple[Studies, Studies]:
    """Draw studies with so many positive women.

    Returns
    -------
    auroc, difference : Studies
        AUROC(1), and AUROC(CR) − AUROC(1).

    Raises
    ------
    StatisticsError
        If the loss is not possible.
    """
    if not 0 <= loss < design.auroc - 0.5:
        raise StatisticsError(f"loss: {loss:g} is not from 0 to what the AUROC of {design.auroc:g} has above 0.5")
    pools = influences(design, loss, max(POOL, POOL_SHARE * studies), seed)
    rng = np.random.default_rng([seed, 12])
    members = (pools.positive, positives), (pools.negative, design.negatives(positives))
    chunks = list(_moments(members, studies, rng))
    means, seconds, thirds = (np.concatenate(parts, axis=1) for parts in zip(*chunks))
    skewness = thirds / np.maximum(seconds, 1e-30) ** 1.5
    expected = (design.auroc, -loss)
    auroc, difference = (Studies(expected[row] + means[row], np.sqrt(seconds[row]), skewness[row]) for row in range(2))
    return auroc, difference


def _moments(
    members: tuple[tuple[np.ndarray, int], ...], studies: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield mean, variance and third moment of both estimates, float64 [2, some studies], summed over the strata."""
    step = max(1, DRAWS // max(count for _, count in members))
    for start in range(0, studies, step):
        some = min(step, studies - start)
        total = np.zeros((3, 2, some))
        for pool, count in members:
            drawn = rng.integers(pool.shape[1], size=(some, count))
            for row in range(2):
                values = pool[row][drawn]
                mean = values.mean(axis=1)
                values -= mean[:, None]
                squares = values * values
                total[0, row] += mean
                total[1, row] += squares.sum(axis=1) / (count - 1) / count
                total[2, row] += np.einsum("sw,sw->s", squares, values) / count**3
        yield total[0], total[1], total[2]


def power(
    design: Design, positives: int, loss: float, rule: Rule = Rule(), *, studies: int = STUDIES, seed: int = 0
) -> float:
    """Return how often the verdict lets a ratio pass by AUROC that loses this much (harm can still forbid it).

    All conditions count: the bound of the loss, the smallest number of positive women at the AUROC that a study
    itself finds, and the lower bound of AUROC(1).
    """
    auroc, difference = simulated_studies(design, positives, loss, studies=studies, seed=seed)
    shares = rule.margin / np.maximum(auroc.value - 0.5, 1e-9)
    enough = (positives >= rule.min_positive_patients) & (positives >= np.ceil(MIN_HIT_PATIENTS / shares - 1e-9))
    passed = enough & (auroc.bound(rule.alpha) >= MIN_AUROC) & (difference.bound(rule.alpha) > -rule.margin)
    return float(passed.mean())


def needed_positives(
    design: Design, loss: float, rule: Rule = Rule(), *, wanted: float = POWER, studies: int = STUDIES, seed: int = 0
) -> int | None:
    """Return how many positive women give the wanted power; None if `MAX_POSITIVES` are too few."""
    if design.auroc <= MIN_AUROC:
        return None  # the more women, the surer it is that there is no verdict

    def suffices(positives: int) -> bool:
        return power(design, positives, loss, rule, studies=studies, seed=seed) >= wanted

    few, enough = rule.min_positive_patients, rule.min_positive_patients
    while not suffices(enough):
        if enough >= MAX_POSITIVES:
            return None
        few, enough = enough, min(2 * enough, MAX_POSITIVES)
    return enough if enough == few else int(_smallest(suffices, few, enough, max(1, enough // 100)))


def detectable_loss(
    design: Design, positives: int, rule: Rule = Rule(), *, wanted: float = POWER, studies: int = STUDIES, seed: int = 0
) -> float | None:
    """Return the smallest loss that so many positive women show as one, with the wanted power.

    A loss is shown where the upper bound of AUROC(CR) − AUROC(1), at the rule's level, is below 0. A smaller one may go
    unseen, so that seeing none is no evidence against it.

    Returns
    -------
    float or None
        None if even the loss of nearly all that is above chance would not be shown, or with fewer than 2 women.
    """
    if positives < 2:
        return None  # no variance

    def shown(loss: float) -> bool:
        _, difference = simulated_studies(design, positives, loss, studies=studies, seed=seed)
        return float((difference.bound(1 - rule.alpha) < 0).mean()) >= wanted

    largest = LARGEST_SHARE * (design.auroc - 0.5)
    return _smallest(shown, 0.0, largest, 0.0005) if shown(largest) else None


def _smallest(holds: Callable[..., bool], low: float, high: float, step: float) -> float:
    """Halve the way from `low`, where something does not hold, to `high`, where it does; whole numbers stay whole."""
    while high - low > step:
        middle = type(high)((low + high) / 2)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
