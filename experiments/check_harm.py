"""Measure by simulation how often harm at the operating point forbids a ratio, and how often AUROC lets it pass.

Command   python -m experiments.check_harm
Cost      ten minutes of one core
Result    the table of docs/EVIDENCE.md on harm
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import tyro

from experiments.statistics_check.harm_trials import CONDITIONS, HarmTrial, passing_studies, shift_that_loses
from experiments.statistics_check.studies import Scenario
from mammo_jax.jobs.run_job import run_job
from mammo_jax.processes import results_as_completed

SCENARIOS = (
    Scenario(210, 70, harm="drowning"),
    Scenario(300, 100),
    Scenario(300, 100, harm="drowning"),
    Scenario(300, 100, auroc=0.97, harm="drowning"),
)
LOST_SENSITIVITY = 0.05
"""Of the studies in which all scores fall and AUROC stays."""
LOSSES = {"none": (0.0, 0.0), "half a margin": (0.5, 0.0), "a margin": (1.0, 0.0)}
SHIFTED = {"none, 5 points of sensitivity": (0.0, shift_that_loses(LOST_SENSITIVITY))}
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class HarmConfig:
    """Settings of the simulation.

    Attributes
    ----------
    studies : int
        Of each row.
    resamples : int
        Bootstrap resamples of a study.
    workers : int
        Processes.
    """

    studies: int = 250
    resamples: int = 1000
    workers: int = 1


def table(config: HarmConfig) -> str:
    """Simulate all scenarios and return a Markdown table: percent of the studies that pass each condition."""
    rows = list(product(SCENARIOS, (LOSSES | SHIFTED).items()))
    trials = [HarmTrial(scenario, *loss, config.studies, config.resamples) for scenario, (_, loss) in rows]
    found = dict(results_as_completed(passing_studies, trials, config.workers, environment=ONE_THREAD))
    header = ("women with a lesion, of all", "AUROC at CR 1", "harm", "loss of AUROC", *CONDITIONS)
    lines = [" | ".join(("", *header, "")).strip(), "|" + "---|" * len(header)]
    for place, (scenario, (name, _)) in enumerate(rows):
        shares = [f"{100 * found[place][condition] / config.studies:.0f}" for condition in CONDITIONS]
        women = f"{scenario.positives} of {scenario.women}"
        lines.append(" | ".join(("", women, f"{scenario.auroc:.2f}", scenario.harm, name, *shares, "")).strip())
    return "\n".join(lines)


def _parse(flags: list[str]) -> HarmConfig:
    return tyro.cli(HarmConfig, args=flags, description=__doc__)


def check(config: HarmConfig, _flags: Sequence[str]) -> None:
    """Simulate, and print the table."""
    print(table(config))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(check, _parse, arguments, networks=False)


if __name__ == "__main__":
    main()
