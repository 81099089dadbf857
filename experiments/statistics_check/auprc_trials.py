"""Simulated studies whose population has a known AUPRC: how often does the interval contain it?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.integrate import quad
from scipy.stats import norm

from experiments.statistics_check.studies import LESION_VIEWS, VIEWS, Scenario, separation, simulated_scores
from mammo_jax.statistics.auprc import population_auprc
from mammo_jax.statistics.bootstrap import Estimate, averaged, drawn_in_fold, drawn_seeds
from mammo_jax.statistics.prediction_grid import Fold

STUDIES_PER_TRIAL = 250
OUTCOMES = ("studies", "mean", "intervals", "corrected", "below", "above", "BCa below", "BCa above")
"""What is added up: studies, and their means over the folds; studies with an interval, the AUPRC that it is around, and
whether all of it lies below or above the truth; and the same of the bootstrap's interval, which was used before."""


def true_auprc(scenario: Scenario) -> float:
    """Return the AUPRC of all women there could be, at the prevalence of the scenario's images.

    Precision at a threshold x is π S₁(x) ÷ (π S₁(x) + (1 − π) S₀(x)), S the shares of both classes above x; its mean
    over the scores of the positives is the area.
    """
    distance = float(separation(scenario.auroc))
    prevalence = scenario.positives * LESION_VIEWS / (scenario.women * VIEWS)

    def integrand(x: float) -> float:
        true, false = prevalence * norm.sf(x - distance), (1 - prevalence) * norm.sf(x)
        return float(norm.pdf(x - distance) * true / (true + false))

    return float(quad(integrand, distance - 9, distance + 9, limit=200)[0])


@dataclass(frozen=True)
class AuprcTrial:
    """Some studies of a scenario, without compression.

    Attributes
    ----------
    scenario : Scenario
    number : int
        Of the trial in its scenario.
    resamples : int
        Of the bootstrap that the interval is compared with.
    """

    scenario: Scenario
    number: int
    resamples: int

    def random(self) -> np.random.Generator:
        """Return a generator of its own, which does not depend on what other trials there are."""
        text = f"AUPRC {self.scenario} {self.number}"
        return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def covered_studies(trial: AuprcTrial) -> dict[str, float]:
    """Add up `OUTCOMES` over the studies of a trial, which share the bootstrap's draws."""
    truth = true_auprc(trial.scenario)
    draws = fold_weights(trial.scenario, trial.resamples, trial.number)
    patients = [fold.patients_by_class for fold, _ in draws]
    sums = dict.fromkeys(OUTCOMES, 0.0)
    for scores in simulated_scores(trial.scenario, 0.0, STUDIES_PER_TRIAL, trial.random()):
        auprc = study_auprc(trial.scenario, scores[0, 0], draws, trial.resamples)
        low, high = auprc.interval()
        outcomes = {"studies": 1.0, "mean": auprc.value, "BCa below": high < truth, "BCa above": low > truth}
        found = population_auprc(auprc, patients)
        if found.corrected is not None and found.low is not None and found.high is not None:
            outcomes |= {"intervals": 1.0, "corrected": found.corrected}
            outcomes |= {"below": found.high < truth, "above": found.low > truth}
        for name, amount in outcomes.items():
            sums[name] += amount
    return sums


def fold_weights(scenario: Scenario, resamples: int, seed: int) -> list[tuple[Fold, np.ndarray]]:
    """Return each fold, and how often each woman counts, int64 [1 + resamples + women, women].

    First all of them once, then the draws of `mammo_jax.statistics.bootstrap.estimates`, then all but one.
    """
    draws = []
    for number in range(scenario.folds):
        positive = np.flatnonzero(scenario.fold_of == number) < scenario.positives
        patients = np.repeat(np.arange(len(positive)), VIEWS)
        labels = positive[patients] & (np.tile(np.arange(VIEWS), len(positive)) < LESION_VIEWS)
        fold = Fold(number, labels, patients, positive)
        counts, _ = drawn_in_fold(fold, number, resamples, seed)
        draws.append((fold, np.concatenate([counts.T, 1 - np.eye(len(positive), dtype=np.int64)])))
    return draws


def study_auprc(
    scenario: Scenario, scores: np.ndarray, draws: list[tuple[Fold, np.ndarray]], resamples: int
) -> Estimate:
    """Compute what `mammo_jax.statistics.bootstrap.estimates` computes of one study: the AUPRC.

    Scores are float64 [women, views].
    """
    parts = []
    for fold, counts in draws:
        falling = np.argsort(-scores[scenario.fold_of == fold.number].ravel(), kind="stable")
        parts.append(average_precisions(fold.labels[falling], fold.patients[falling], counts)[None])
    return averaged(tuple(fold for fold, _ in draws), parts, drawn_seeds(1, resamples, 0))


@njit(cache=True)
def average_precisions(labels: np.ndarray, women: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Compute the average precision at the prevalence of the labels, for each row of counts.

    Parameters
    ----------
    labels : bool [images]
        In the order of falling scores, of which no two are equal.
    women : int64 [images]
    counts : int64 [rows, women]
        How often each woman counts.

    Returns
    -------
    float64 [rows]
        NaN without a positive or a negative image.
    """
    found = np.full(len(counts), np.nan)
    odds = np.sum(~labels) / np.sum(labels)
    for row in range(len(counts)):
        positives = negatives = 0
        for image in range(len(labels)):
            if labels[image]:
                positives += counts[row, women[image]]
            else:
                negatives += counts[row, women[image]]
        if positives == 0 or negatives == 0:
            continue
        worth = odds * positives / negatives
        true = false = 0
        area = 0.0
        for image in range(len(labels)):
            count = counts[row, women[image]]
            if not labels[image]:
                false += count
            elif count:
                true += count
                area += count * true / (true + worth * false)
        found[row] = area / positives
    return found
