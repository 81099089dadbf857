"""Many simulated studies of one scenario, judged: how often does the verdict call a ratio safe?"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from experiments.statistics_check.areas import bootstrap_draws, study_estimates
from experiments.statistics_check.studies import RATIOS, Scenario, simulated_scores
from mammo_jax.statistics.rule import ALPHAS, Rule
from mammo_jax.statistics.verdict import verdict

STUDIES_PER_TRIAL = 250
"""They share the bootstrap's draws, as all tables of the same women do that `evaluate` gets."""
RULE = Rule()
OUTCOMES = ("verdict", *(f"{name} {alpha}" for name in ("BCa", "percentile") for alpha in ALPHAS))
"""What is counted: studies with a verdict "up to this ratio"; and whose bound alone is above −margin, whatever the
number of women and the AUROC without compression."""


@dataclass(frozen=True)
class Trial:
    """Some studies of a scenario.

    Attributes
    ----------
    scenario : Scenario
    margins : float
        The true loss, in margins: 1 is the least that must not be called safe.
    number : int
        Of the trial in its scenario; also the bootstrap's seed.
    resamples : int
    """

    scenario: Scenario
    margins: float
    number: int
    resamples: int

    def random(self) -> np.random.Generator:
        """Return a generator of its own, which does not depend on what other trials there are."""
        text = f"{self.scenario} {self.margins:g} {self.number}"
        return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def safe_studies(trial: Trial) -> Counter[str]:
    """Count the studies of a trial in which the compressed images are called safe, by each of `OUTCOMES`."""
    scenario = trial.scenario
    draws = bootstrap_draws(scenario, trial.resamples, trial.number)
    patients = [(fold.positives, len(fold.women) - fold.positives) for fold in draws.folds]
    loss = trial.margins * RULE.margin
    counts: Counter[str] = Counter()
    for scores in simulated_scores(scenario, loss, STUDIES_PER_TRIAL, trial.random()):
        auroc = study_estimates(scenario.judged(scores), draws)
        result = verdict("transfer", auroc, seeds=scenario.seeds, patients=patients, rule=RULE)
        counts["verdict"] += result["outcome"] == "ratio"
        (step,) = result["steps"]
        replicates = (auroc[RATIOS[1]] - auroc[RATIOS[0]]).replicates
        bounds = (step["lower_bound"], step["lower_bound_at_other_alpha"], *np.quantile(replicates, ALPHAS))
        counts.update(name for name, bound in zip(OUTCOMES[1:], bounds) if bound > -RULE.margin)
    return counts
