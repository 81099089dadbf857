"""Simulated studies of several trainings, judged by the transfer verdict and by the matched one."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np

from experiments.statistics_check.areas import bootstrap_draws, ranked_pairs, study_estimates
from experiments.statistics_check.studies import RATIOS, Scenario, simulated_scores
from experiments.statistics_check.trials import RULE, STUDIES_PER_TRIAL, Trial
from mammo_jax.statistics.clustered_covariance import PatientSums
from mammo_jax.statistics.matched import MatchedArea
from mammo_jax.statistics.obuchowski_rockette import ReaderAreas
from mammo_jax.statistics.rule import ALPHAS
from mammo_jax.statistics.verdict import verdict

READERS = tuple(f"Obuchowski-Rockette {alpha}" for alpha in ALPHAS)
BCA = f"BCa {RULE.alpha}"
TRAINING_OUTCOMES = ("matched", "transfer", BCA, *READERS)
"""What is counted: studies with each of the verdicts "up to this ratio"; and whose bound alone is above −margin."""


def safe_trainings(trial: Trial) -> Counter[str]:
    """Count the studies of a trial in which the compressed images are called safe, by each of `TRAINING_OUTCOMES`.

    The same studies serve for both verdicts: for the transfer one as the same networks at another ratio, for the
    matched one as other networks of the same seeds.
    """
    scenario = trial.scenario
    draws = bootstrap_draws(scenario, trial.resamples, trial.number)
    patients = [(fold.positives, len(fold.women) - fold.positives) for fold in draws.folds]
    judge = partial(verdict, seeds=scenario.seeds, patients=patients, rule=RULE)
    loss = trial.margins * RULE.margin
    counts: Counter[str] = Counter()
    for of_images in simulated_scores(scenario, loss, STUDIES_PER_TRIAL, trial.random()):
        scores = scenario.judged(of_images)
        bootstrap, areas = study_estimates(scores, draws), reader_areas(scenario, scores)
        matched = {ratio: MatchedArea(bootstrap[ratio], areas[ratio]) for ratio in RATIOS}
        counts["matched"] += judge("matched", matched)["outcome"] == "ratio"
        counts["transfer"] += judge("transfer", bootstrap)["outcome"] == "ratio"
        reference, compressed = (matched[ratio] for ratio in RATIOS)
        difference = compressed - reference
        counts[BCA] += difference.bootstrap.lower_bound(RULE.alpha) > -RULE.margin
        for name, alpha in zip(READERS, ALPHAS):
            counts[name] += difference.readers.lower_bound(alpha) > -RULE.margin
    return counts


def reader_areas(scenario: Scenario, scores: np.ndarray) -> dict[float, ReaderAreas]:
    """Compute what `mammo_jax.statistics.matched.matched_areas` computes of one study.

    Parameters
    ----------
    scenario : Scenario
    scores : float64 [2 ratios, seeds, women, views]
        At the analysis level.

    Returns
    -------
    dict of ratio to ReaderAreas
    """
    members = [np.flatnonzero(scenario.fold_of == number) for number in range(scenario.folds)]
    return {
        ratio: ReaderAreas(
            tuple(
                _patient_sums(scenario, of_ratio[:, women], int(np.count_nonzero(women < scenario.positives)))
                for women in members
            )
        )
        for ratio, of_ratio in zip(RATIOS, scores)
    }


def _patient_sums(scenario: Scenario, scores: np.ndarray, positives: int) -> PatientSums:
    """Sum the placement values of each woman of a fold; scores [seeds, women, views], women with a lesion first."""
    lesion_views = scenario.judged_lesion_views
    positive_images = lesion_views * (np.arange(scores.shape[1]) < positives)
    negative_images = scenario.judged_views - positive_images
    pairs = np.stack([ranked_pairs(of_seed, positives, lesion_views) for of_seed in scores]).astype(np.float64)
    of_positives = np.zeros(scores.shape[:2])
    of_positives[:, :positives] = pairs.sum(axis=2) / negative_images.sum()
    return PatientSums(of_positives, pairs.sum(axis=1) / positive_images.sum(), positive_images, negative_images)
