"""The scenarios in which the verdict's error rate is measured."""

from __future__ import annotations

from experiments.statistics_check.studies import Scenario
from mammo_jax.statistics.power import Harm

DROWNING: Harm = "drowning"

FEW = (
    Scenario(64, 5, folds=5),
    Scenario(32, 12, harm=DROWNING),
    Scenario(100, 12, folds=5, harm=DROWNING),
    Scenario(100, 20, auroc=0.97, harm=DROWNING),
    Scenario(100, 30),
    Scenario(100, 30, harm=DROWNING),
    Scenario(100, 30, folds=5, harm=DROWNING),
)
"""Fewer women with a lesion than the verdict asks for: here it must not be given, and the bounds show why."""

ENOUGH = (
    *(Scenario(200, 60, auroc=0.75, correlation=correlation, harm=DROWNING) for correlation in (0.5, 0.9, 0.99)),
    Scenario(200, 60, auroc=0.75),
    Scenario(200, 60, folds=5, auroc=0.75, harm=DROWNING),
    Scenario(80, 60, auroc=0.75, harm=DROWNING),
    Scenario(200, 60, auroc=0.8, harm=DROWNING),
    Scenario(200, 60, auroc=0.85, harm=DROWNING),
    Scenario(200, 60, auroc=0.97, harm=DROWNING),
    *(Scenario(210, 70, correlation=correlation, harm=DROWNING) for correlation in (0.5, 0.9, 0.99)),
    Scenario(210, 70),
    Scenario(210, 70, folds=5, harm=DROWNING),
    Scenario(240, 80, auroc=0.9, harm=DROWNING),
    *(Scenario(280, 94, auroc=0.97, correlation=correlation, harm=DROWNING) for correlation in (0.5, 0.9, 0.99)),
    Scenario(280, 94, folds=5, auroc=0.97, harm=DROWNING),
    Scenario(200, 100),
    *(Scenario(300, 100, auroc=auroc) for auroc in (0.75, 0.85, 0.97)),
    *(Scenario(300, 100, auroc=auroc, harm=DROWNING) for auroc in (0.75, 0.85, 0.97)),
    Scenario(300, 100, auroc=0.97, correlation=0.5, harm=DROWNING),
    Scenario(300, 100, folds=5),
    Scenario(300, 100, folds=5, harm=DROWNING),
    Scenario(400, 152),
    Scenario(400, 152, harm=DROWNING),
    Scenario(400, 152, folds=5, auroc=0.97, harm=DROWNING),
)
"""60 or more. The verdict asks for 70 at an AUROC of 0.85 and for 94 at 0.97; it must hold its level everywhere."""

WOMEN = (
    Scenario(200, 60, auroc=0.75, harm=DROWNING, level="woman"),
    Scenario(210, 70, level="woman"),
    Scenario(210, 70, folds=5, harm=DROWNING, level="woman"),
    Scenario(280, 94, auroc=0.97, harm=DROWNING, level="woman"),
    Scenario(300, 100, level="woman"),
    *(Scenario(300, 100, correlation=correlation, harm=DROWNING, level="woman") for correlation in (0.5, 0.9, 0.99)),
    Scenario(300, 100, folds=5, harm=DROWNING, level="woman"),
    Scenario(300, 100, auroc=0.97, harm=DROWNING, level="woman"),
    Scenario(400, 152, harm=DROWNING, level="woman"),
)
"""A score is a woman's, the maximum over her four views; AUROC and loss are of women."""

TRAININGS = (
    Scenario(300, 100, folds=5, seeds=5),
    Scenario(300, 100, folds=5, seeds=5, moving_seeds=0.01),
    Scenario(300, 100, folds=5, seeds=5, moving_seeds=0.02),
    Scenario(300, 100, folds=5, seeds=5, correlation=0.5),
    Scenario(300, 100, folds=5, seeds=5, harm=DROWNING),
    Scenario(300, 100, folds=5, seeds=5, moving_seeds=0.01, harm=DROWNING),
    Scenario(300, 100, folds=5, seeds=5, moving_seeds=0.02, harm=DROWNING),
    Scenario(210, 70, folds=5, seeds=5, moving_seeds=0.01, harm=DROWNING),
    Scenario(280, 94, folds=5, auroc=0.97, seeds=5, moving_seeds=0.01, harm=DROWNING),
    Scenario(300, 100, folds=5, seeds=5, moving_sets=0.02),
)
"""Several trainings: whose losses are alike, differ between seeds, or between training sets.

One set of folds cannot show what other training sets would change, so the last is beyond what a verdict claims.
"""
