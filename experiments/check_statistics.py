"""Measure by simulation how often the verdict calls a ratio safe that loses a whole margin, and how often one that is.

Studies of 32 to 400 women with a known loss of AUROC are judged by the functions that `evaluate` uses. A loss of
exactly one margin must not be called safe more often than alpha says; half a margin should be.

Command   python -m experiments.check_statistics
Cost      two and a half hours of one core; interrupted, it goes on where it was
Result    the tables of docs/EVIDENCE.md; exits with 1 if the verdict exceeds its level
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from experiments.statistics_check.scenarios import ENOUGH, FEW, TRAININGS, WOMEN
from experiments.statistics_check.studies import Scenario
from experiments.statistics_check.table import (
    AT_HALF,
    AT_MARGIN,
    AT_NONE,
    Key,
    markdown,
    trainings_markdown,
    upper_limit,
)
from experiments.statistics_check.training_trials import TRAINING_OUTCOMES, safe_trainings
from experiments.statistics_check.trials import OUTCOMES, STUDIES_PER_TRIAL, Trial, safe_studies
from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.files import write_text
from mammo_jax.jobs.run_job import run_job
from mammo_jax.processes import available_cores, results_as_completed
from mammo_jax.statistics.evaluation import RESAMPLES

LARGEST_RATE = 0.035
"""What the upper end of a rate's interval may be, for a nominal 2.5 %."""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
KEY = ("scenario", "margins", "number", "resamples")


@dataclass(frozen=True)
class CheckConfig:
    """Settings of the simulation.

    Attributes
    ----------
    out : Path
        Folder for the counts (trials.csv, trainings.csv) and the tables (evidence.md).
    at_margin : int
        Studies of each scenario that lose exactly one margin.
    elsewhere : int
        Studies of each scenario that lose half of it, and none.
    resamples : int
        Bootstrap resamples of a study.
    workers : int or None
        Processes; None takes every core.
    """

    out: Path = Path("runs/check-statistics")
    at_margin: int = 10_000
    elsewhere: int = 1_000
    resamples: int = RESAMPLES
    workers: int | None = None


@dataclass(frozen=True)
class Part:
    """Scenarios whose studies are judged in the same way.

    Attributes
    ----------
    scenarios : tuple of Scenario
    judge : callable
        From a trial to the counts of its outcomes.
    outcomes : tuple of str
    table : str
        Name of the file for the counts.
    """

    scenarios: tuple[Scenario, ...]
    judge: Callable[[Trial], Counter[str]]
    outcomes: tuple[str, ...]
    table: str


def trials(part: Part, config: CheckConfig) -> list[Trial]:
    """List the trials of a part; those of one number come together, so that an unfinished table is even."""
    counts = {AT_MARGIN: config.at_margin, AT_HALF: config.elsewhere, AT_NONE: config.elsewhere}
    needed = {margins: -(-studies // STUDIES_PER_TRIAL) for margins, studies in counts.items()}
    return [
        Trial(scenario, margins, number, config.resamples)
        for number in range(max(needed.values()))
        for scenario in part.scenarios
        for margins, numbers in needed.items()
        if number < numbers
    ]


def run(part: Part, config: CheckConfig) -> tuple[dict[Key, Counter[str]], dict[Key, int]]:
    """Run the trials that are not in the part's table yet; return the counts of all, and how many trials they are."""
    wanted = {_key(trial): trial for trial in trials(part, config)}
    safe: dict[Key, Counter[str]] = {(trial.scenario, trial.margins): Counter() for trial in wanted.values()}
    done: dict[Key, int] = dict.fromkeys(safe, 0)

    def add(trial: Trial, counts: Counter[str]) -> None:
        safe[trial.scenario, trial.margins] += counts
        done[trial.scenario, trial.margins] += 1

    with ResumableCsv(config.out / part.table, (*KEY, *part.outcomes), 1) as table:
        for row in table.rows():
            if trial := wanted.pop(tuple(row[name] for name in KEY), None):
                add(trial, Counter({name: int(row[name]) for name in part.outcomes}))
        left = list(wanted.values())
        workers = config.workers or available_cores()
        results = results_as_completed(part.judge, left, workers, environment=ONE_THREAD) if left else ()
        for place, counts in tqdm(results, "studies", len(left), unit_scale=STUDIES_PER_TRIAL, smoothing=0.02):
            table.add([dict(zip(KEY, _key(left[place]))) | {name: counts[name] for name in part.outcomes}])
            add(left[place], counts)
    return safe, done


def _key(trial: Trial) -> tuple[str, ...]:
    return str(trial.scenario), f"{trial.margins:g}", str(trial.number), str(trial.resamples)


def _parse(flags: list[str]) -> CheckConfig:
    return tyro.cli(CheckConfig, args=flags, description=__doc__)


def check(config: CheckConfig, _flags: Sequence[str]) -> None:
    """Simulate, write the tables, and exit with 1 if the verdict exceeds its level where it is given."""
    models = Part((*FEW, *ENOUGH, *WOMEN), safe_studies, OUTCOMES, "trials.csv")
    trainings = Part(TRAININGS, safe_trainings, TRAINING_OUTCOMES, "trainings.csv")
    safe, done = run(models, config)
    safe_at_trainings, done_trainings = run(trainings, config)
    tables = {
        "Fewer than 60 women with a lesion": markdown(FEW, safe, done),
        "60 or more": markdown(ENOUGH, safe, done),
        "60 or more, one score a woman": markdown(WOMEN, safe, done),
        "Several trainings": trainings_markdown(TRAININGS, safe_at_trainings, done_trainings),
    }
    text = "\n".join(f"### {title}\n\n{table}" for title, table in tables.items())
    write_text(config.out / "evidence.md", text)
    print(text)
    claimed = [scenario for scenario in TRAININGS if not scenario.moving_sets]
    beyond = _beyond((*FEW, *ENOUGH, *WOMEN), safe, done, "verdict")
    beyond += _beyond(claimed, safe_at_trainings, done_trainings, "matched")
    if beyond:
        raise SystemExit("\n".join(["error: the verdict exceeds its level in:", *map(str, beyond)]))


def _beyond(
    scenarios: Sequence[Scenario], safe: dict[Key, Counter[str]], done: dict[Key, int], verdict: str
) -> list[Scenario]:
    keys = [(scenario, AT_MARGIN) for scenario in scenarios]
    return [key[0] for key in keys if upper_limit(safe[key][verdict], done[key]) > LARGEST_RATE]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(check, _parse, arguments, networks=False)


if __name__ == "__main__":
    main()
