"""Simulated studies whose population has a known AUPRC: how often does the interval contain it?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from experiments.statistics_check.studies import LESION_VIEWS, VIEWS, Scenario, separation, simulated_scores
from mammo_jax.statistics.auprc import population_auprc
from mammo_jax.statistics.bootstrap import Estimate, estimates
from mammo_jax.statistics.prediction_grid import Cell, Fold, PredictionGrid

STUDIES_PER_TRIAL = 100
UNCOMPRESSED: Cell = ("1", 1.0)
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
    """Add up `OUTCOMES` over the studies of a trial."""
    truth = true_auprc(trial.scenario)
    sums = dict.fromkeys(OUTCOMES, 0.0)
    for scores in simulated_scores(trial.scenario, 0.0, STUDIES_PER_TRIAL, trial.random()):
        grid = study_grid(trial.scenario, scores[0])
        auprc: Estimate = estimates(grid, trial.resamples, trial.number)[0][UNCOMPRESSED].auprc
        low, high = auprc.interval()
        outcomes = {"studies": 1.0, "mean": auprc.value, "BCa below": high < truth, "BCa above": low > truth}
        found = population_auprc(auprc, [fold.patients_by_class for fold in grid.folds])
        if found.corrected is not None and found.low is not None and found.high is not None:
            outcomes |= {"intervals": 1.0, "corrected": found.corrected}
            outcomes |= {"below": found.high < truth, "above": found.low > truth}
        for name, amount in outcomes.items():
            sums[name] += amount
    return sums


def study_grid(scenario: Scenario, scores: np.ndarray) -> PredictionGrid:
    """Return a study at one ratio as `mammo_jax.statistics.prediction_grid` does; scores float64 [1, women, views]."""
    folds, aligned = [], []
    for number in range(scenario.folds):
        women = np.flatnonzero(scenario.fold_of == number)
        positive = women < scenario.positives
        patients = np.repeat(np.arange(len(women)), VIEWS)
        labels = positive[patients] & (np.tile(np.arange(VIEWS), len(women)) < LESION_VIEWS)
        folds.append(Fold(number, labels, patients, positive))
        aligned.append(scores[:, women].reshape(1, -1))
    return PredictionGrid(tuple(folds), (0,), {UNCOMPRESSED: tuple(aligned)})
