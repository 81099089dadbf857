"""Measure by simulation how often the interval of AUPRC contains the AUPRC of the population.

Command   python -m experiments.check_auprc
Cost      about an hour of one core; interrupted, it goes on where it was
Result    the table of docs/EVIDENCE.md on AUPRC; exits with 1 if an interval covers too little or too much
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tyro
from scipy.stats import binomtest
from tqdm import tqdm

from experiments.check_statistics import ONE_THREAD
from experiments.statistics_check.auprc_trials import (
    OUTCOMES,
    STUDIES_PER_TRIAL,
    AuprcTrial,
    covered_studies,
    true_auprc,
)
from experiments.statistics_check.studies import Scenario
from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.files import write_text
from mammo_jax.jobs.run_job import run_job
from mammo_jax.processes import results_as_completed

COVERAGE = (0.93, 0.97)
"""What a nominal 95 % may be; the interval of the simulated share must reach into it."""
SCENARIOS = tuple(
    Scenario(women, positives, folds=folds, auroc=auroc)
    for (positives, women), folds, auroc in product(
        ((12, 60), (12, 24), (20, 100), (20, 34), (60, 300), (60, 100), (100, 500), (100, 166)),
        (1, 5),
        (0.75, 0.85, 0.97),
    )
)
"""From 10 to 30 % of the images are positive."""
KEY = ("scenario", "number", "resamples")
HEAD = (
    "women with a lesion, of all",
    "folds",
    "AUROC",
    "AUPRC of the population",
    "mean over folds",
    "corrected",
    "bootstrap (BCa) covers",
    "too low / too high",
    "**the interval covers**",
    "too low / too high",
)


@dataclass(frozen=True)
class CheckConfig:
    """Settings of the simulation.

    Attributes
    ----------
    out : Path
        Folder for the counts (auprc.csv) and the table (auprc.md).
    studies : int
        Of each scenario.
    resamples : int
        Of the bootstrap that the interval is compared with.
    workers : int
        Processes.
    """

    out: Path = Path("runs/check-statistics")
    studies: int = 2000
    resamples: int = 400
    workers: int = 1


def run(config: CheckConfig) -> dict[Scenario, dict[str, float]]:
    """Run the trials that are not in auprc.csv yet; return the sums of each scenario."""
    numbers = range(-(-config.studies // STUDIES_PER_TRIAL))
    trials = [AuprcTrial(scenario, number, config.resamples) for number in numbers for scenario in SCENARIOS]
    wanted = {_key(trial): trial for trial in trials}
    sums = {scenario: dict.fromkeys(OUTCOMES, 0.0) for scenario in SCENARIOS}

    def add(trial: AuprcTrial, found: Mapping[str, float]) -> None:
        for name in OUTCOMES:
            sums[trial.scenario][name] += found[name]

    with ResumableCsv(config.out / "auprc.csv", (*KEY, *OUTCOMES), 1) as table:
        for row in table.rows():
            if trial := wanted.pop(tuple(row[name] for name in KEY), None):
                add(trial, {name: float(row[name]) for name in OUTCOMES})
        left = list(wanted.values())
        results = results_as_completed(covered_studies, left, config.workers, environment=ONE_THREAD) if left else ()
        for place, found in tqdm(results, "studies", len(left), unit_scale=STUDIES_PER_TRIAL):
            table.add([dict(zip(KEY, _key(left[place]))) | found])
            add(left[place], found)
    return sums


def _key(trial: AuprcTrial) -> tuple[str, ...]:
    return str(trial.scenario), str(trial.number), str(trial.resamples)


def markdown(sums: Mapping[Scenario, Mapping[str, float]]) -> str:
    """Return the table: percent of the studies, with 95 % intervals (Clopper-Pearson)."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for scenario, of in sums.items():
        cells = [f"{scenario.positives} of {scenario.women}", str(scenario.folds), f"{scenario.auroc:.2f}"]
        corrected = f"{of['corrected'] / of['intervals']:.3f}" if of["intervals"] else "–"
        cells += [f"{true_auprc(scenario):.3f}", f"{of['mean'] / of['studies']:.3f}", corrected]
        cells += [*_coverage(of["studies"], of["BCa below"], of["BCa above"])]
        share, sides = _coverage(of["intervals"], of["below"], of["above"])
        lines.append(f"| {' | '.join([*cells, f'**{share}**', sides])} |")
    return "\n".join(lines) + "\n"


def _coverage(studies: float, below: float, above: float) -> tuple[str, str]:
    """Return the share of the intervals with the truth inside, with its interval; and those below and above it."""
    if not studies:
        return "–", "–"
    low, high = covering(studies, below, above)
    share = 1 - (below + above) / studies
    return (
        f"{100 * share:.1f} ({100 * low:.1f}–{100 * high:.1f})",
        f"{100 * below / studies:.1f} / {100 * above / studies:.1f}",
    )


def covering(studies: float, below: float, above: float) -> tuple[float, float]:
    """Return the 95 % interval of the share of the intervals with the truth inside (Clopper-Pearson)."""
    interval = binomtest(round(studies - below - above), round(studies)).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def _parse(flags: list[str]) -> CheckConfig:
    return tyro.cli(CheckConfig, args=flags, description=__doc__)


def check(config: CheckConfig, _flags: Sequence[str]) -> None:
    """Simulate, write the table, and exit with 1 if a share is shown to be outside of `COVERAGE`."""
    sums = run(config)
    text = markdown(sums)
    write_text(config.out / "auprc.md", text)
    print(text)
    beyond = []
    for scenario, of in sums.items():
        if not of["intervals"]:
            continue
        low, high = covering(of["intervals"], of["below"], of["above"])
        if high < COVERAGE[0] or low > COVERAGE[1]:
            beyond.append(str(scenario))
    if beyond:
        raise SystemExit("\n".join(["error: the interval of AUPRC does not cover what it says in:", *beyond]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(check, _parse, arguments, networks=False)


if __name__ == "__main__":
    main()
