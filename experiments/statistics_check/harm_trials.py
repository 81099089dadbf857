"""Simulated studies at the operating point: how often does each condition of the verdict let a ratio pass?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from experiments.statistics_check.areas import bootstrap_draws, study_estimates
from experiments.statistics_check.studies import RATIOS, UNCOMPRESSED, Scenario, predictions_table, simulated_scores
from mammo_jax.statistics.bootstrap import Estimate
from mammo_jax.statistics.harm import MEASURES, harms
from mammo_jax.statistics.operating_point import SENSITIVITY, estimated_rates, validated_thresholds
from mammo_jax.statistics.prediction_grid import PredictionGrid, prediction_grid
from mammo_jax.statistics.rule import Rule

RULE = Rule()
SOURCES = ("validation patients", "every resample")
VALIDATION_SHARE = 4
"""A quarter as many women are for validation as are tested: a fifth of the others, with five folds."""
CONDITIONS = ("AUROC", *(f"{name}, {source}" for source in SOURCES for name in (*MEASURES, "both", "second test")))


@dataclass(frozen=True)
class HarmTrial:
    """Some studies of a scenario.

    Attributes
    ----------
    scenario : Scenario
        With one fold and one seed.
    margins : float
        The true loss of AUROC, in margins.
    shift : float
        What compression takes from every score; AUROC does not see it.
    studies : int
    resamples : int
    """

    scenario: Scenario
    margins: float
    shift: float
    studies: int
    resamples: int


def shift_that_loses(sensitivity: float) -> float:
    """Return the shift of all scores that lowers the sensitivity of 90 % by this much."""
    return float(norm.ppf(SENSITIVITY) - norm.ppf(SENSITIVITY - sensitivity))


def passing_studies(trial: HarmTrial) -> Counter[str]:
    """Count the studies in which the compressed images pass each of `CONDITIONS`.

    A rate passes if it is not vetoed. "both" is AUROC and no veto, which is the verdict. The "second test" is what the
    veto is not: the lower bound of sensitivity above −margin.
    """
    scenario = trial.scenario
    draws = bootstrap_draws(scenario, trial.resamples, 0)
    rng = np.random.default_rng([scenario.women, scenario.positives, round(1000 * trial.margins), 7])
    fewer = replace(
        scenario, women=scenario.women // VALIDATION_SHARE, positives=scenario.positives // VALIDATION_SHARE
    )
    passed: Counter[str] = Counter()
    for scores in simulated_scores(scenario, trial.margins * RULE.margin, trial.studies, rng):
        scores[1 - UNCOMPRESSED] -= trial.shift
        auroc = study_estimates(scores, draws)
        safe = (auroc[RATIOS[1]] - auroc[RATIOS[0]]).lower_bound(RULE.alpha) > -RULE.margin
        passed["AUROC"] += safe
        grid = prediction_grid(predictions_table(scenario, scores))
        validation = predictions_table(fewer, simulated_scores(fewer, 0.0, 1, rng)[0])
        thresholds = validated_thresholds(grid, validation[validation["test_ratio"] == 1], SENSITIVITY)
        for source, fixed in zip(SOURCES, (thresholds, None)):
            changes = _changes(grid, fixed, trial.resamples)
            vetoed = {harm["measure"] for harm in harms(changes, RULE.margin, "")}
            passed.update(f"{name}, {source}" for name in MEASURES if name not in vetoed)
            passed[f"both, {source}"] += safe and not vetoed
            passed[f"second test, {source}"] += changes[0].lower_bound(RULE.alpha) > -RULE.margin
    return passed


def _changes(grid: PredictionGrid, thresholds: np.ndarray | None, resamples: int) -> list[Estimate]:
    rates, _ = estimated_rates(grid, thresholds, SENSITIVITY, resamples, 0)
    return [ours - first for ours, first in zip(rates[RATIOS[1]], rates[RATIOS[0]])]
