"""The scenarios in which the predicted power is compared with the simulated one."""

from __future__ import annotations

from experiments.statistics_check.studies import Harm, Scenario

DROWNING: Harm = "drowning"

POWER = (
    Scenario(200, 60, auroc=0.75),
    Scenario(200, 60, auroc=0.75, correlation=0.5, harm=DROWNING),
    Scenario(210, 70, harm=DROWNING),
    Scenario(240, 80),
    Scenario(300, 100),
    Scenario(300, 100, correlation=0.5),
    Scenario(300, 100, auroc=0.97),
    Scenario(300, 100, harm=DROWNING),
    Scenario(300, 100, auroc=0.97, harm=DROWNING),
    Scenario(300, 100, auroc=0.97, correlation=0.5, harm=DROWNING),
    Scenario(400, 152, harm=DROWNING),
    Scenario(500, 200, auroc=0.75, correlation=0.5),
    Scenario(500, 200, auroc=0.75, harm=DROWNING),
    Scenario(500, 200, correlation=0.5, harm=DROWNING),
)
