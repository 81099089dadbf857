"""The scenarios in which the verdict's error rate is measured."""

from __future__ import annotations

from experiments.statistics_check.studies import Scenario

FADING, DROWNING = "fading", "drowning"

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
    *(
        Scenario(200, 60, auroc=auroc, correlation=correlation, harm=DROWNING)
        for auroc in (0.75, 0.85, 0.97)
        for correlation in (0.5, 0.9, 0.99)
    ),
    *(Scenario(200, 60, auroc=auroc) for auroc in (0.75, 0.85, 0.97)),
    *(Scenario(200, 60, folds=5, auroc=auroc, harm=DROWNING) for auroc in (0.75, 0.85, 0.97)),
    Scenario(80, 60, harm=DROWNING),
    Scenario(200, 100),
    *(Scenario(300, 100, auroc=auroc) for auroc in (0.75, 0.85, 0.97)),
    *(Scenario(300, 100, auroc=auroc, harm=DROWNING) for auroc in (0.75, 0.85, 0.97)),
    *(Scenario(300, 100, correlation=correlation, harm=DROWNING) for correlation in (0.5, 0.99)),
    *(Scenario(300, 100, auroc=0.97, correlation=correlation, harm=DROWNING) for correlation in (0.5, 0.99)),
    Scenario(300, 100, folds=5),
    Scenario(300, 100, folds=5, harm=DROWNING),
    Scenario(400, 152),
    Scenario(400, 152, folds=5, harm=DROWNING),
    Scenario(400, 152, folds=5, auroc=0.97, harm=DROWNING),
)
"""As many as the verdict asks for, or more: here it must hold its level."""

TRAININGS = (
    Scenario(300, 100, folds=5, seeds=5),
    Scenario(300, 100, folds=5, seeds=5, moving_seeds=0.01),
    Scenario(300, 100, folds=5, seeds=5, moving_seeds=0.02),
    Scenario(300, 100, folds=5, seeds=5, moving_sets=0.02),
)
"""Several trainings: whose losses are alike, differ between seeds, or between training sets.

One set of folds cannot show what other training sets would change, so the last is beyond what a verdict claims.
"""
