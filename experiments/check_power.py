"""Compare the power that `mammo-jax power` predicts with that of simulated studies, judged as `evaluate` judges them.

Every ratio loses half a margin. A trial of 250 studies shares the bootstrap's draws, which moves all of its bounds
together by up to 2 points of power at 50 %, so a comparison to 3 points takes several trials.

Command   python -m experiments.check_power
Cost      an hour of one core; interrupted, it goes on where it was
Result    the table of docs/EVIDENCE.md on power; exits with 1 if a prediction is more than 3 points off
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from experiments.statistics_check.power_scenarios import POWER
from experiments.statistics_check.studies import LESION_VIEWS, VIEWS, WOMAN_VARIANCE, Scenario
from experiments.statistics_check.table import percentage
from experiments.statistics_check.trials import RULE, STUDIES_PER_TRIAL, Trial, safe_studies
from mammo_jax.compression.resumable_csv import ResumableCsv
from mammo_jax.files import write_text
from mammo_jax.jobs.run_job import run_job
from mammo_jax.processes import results_as_completed
from mammo_jax.statistics.evaluation import RESAMPLES
from mammo_jax.statistics.power import Design, power

MARGINS = 0.5
LARGEST_DIFFERENCE = 0.03
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
KEY = ("scenario", "number", "resamples")
HEAD = ("women with a lesion, of all", "AUROC at CR 1", "correlation", "harm", "predicted", "simulated", "difference")


@dataclass(frozen=True)
class CheckConfig:
    """Settings of the comparison.

    Attributes
    ----------
    out : Path
        Folder for the counts (trials.csv) and the table (power.md).
    studies : int
        Of each scenario.
    resamples : int
        Bootstrap resamples of a study.
    workers : int
        Processes.
    """

    out: Path = Path("runs/check-power")
    studies: int = 2000
    resamples: int = RESAMPLES
    workers: int = 1


def predicted(scenario: Scenario) -> float:
    """Predict the power in a scenario."""
    design = Design(
        auroc=scenario.auroc,
        correlation=scenario.correlation,
        views=VIEWS,
        lesion_views=LESION_VIEWS,
        woman_share=WOMAN_VARIANCE,
        positive_share=scenario.positives / scenario.women,
        harm=scenario.harm,
    )
    return power(design, scenario.positives, MARGINS * RULE.margin, RULE)


def simulated(config: CheckConfig) -> tuple[Counter[Scenario], int]:
    """Run the trials that are not in trials.csv yet; return the studies that pass, and the trials of each scenario."""
    numbers = -(-config.studies // STUDIES_PER_TRIAL)
    trials = [Trial(scenario, MARGINS, number, config.resamples) for number in range(numbers) for scenario in POWER]
    wanted = {_key(trial): trial for trial in trials}
    passed: Counter[Scenario] = Counter()
    with ResumableCsv(config.out / "trials.csv", (*KEY, "verdict"), 1) as table:
        for row in table.rows():
            if trial := wanted.pop(tuple(row[name] for name in KEY), None):
                passed[trial.scenario] += int(row["verdict"])
        left = list(wanted.values())
        results = results_as_completed(safe_studies, left, config.workers, environment=ONE_THREAD) if left else ()
        for place, counts in tqdm(results, "studies", len(left), unit_scale=STUDIES_PER_TRIAL):
            table.add([dict(zip(KEY, _key(left[place]))) | {"verdict": counts["verdict"]}])
            passed[left[place].scenario] += counts["verdict"]
    return passed, numbers


def _key(trial: Trial) -> tuple[str, ...]:
    return str(trial.scenario), str(trial.number), str(trial.resamples)


def _parse(flags: list[str]) -> CheckConfig:
    return tyro.cli(CheckConfig, args=flags, description=__doc__)


def check(config: CheckConfig, _flags: Sequence[str]) -> None:
    """Simulate and predict, write the table, and exit with 1 if a prediction is too far off."""
    passed, trials = simulated(config)
    lines, beyond = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)], []
    for scenario in POWER:
        ours, theirs = predicted(scenario), passed[scenario] / (trials * STUDIES_PER_TRIAL)
        women = f"{scenario.positives} of {scenario.women}"
        cells = [women, f"{scenario.auroc:.2f}", f"{scenario.correlation:g}", scenario.harm, f"{100 * ours:.1f}"]
        cells += [percentage(passed[scenario], trials), f"{100 * (ours - theirs):+.1f}".replace("-", "\u2212")]
        lines.append(f"| {' | '.join(cells)} |")
        if abs(ours - theirs) > LARGEST_DIFFERENCE:
            beyond.append(str(scenario))
    text = "\n".join(lines) + "\n"
    write_text(config.out / "power.md", text)
    print(text)
    if beyond:
        raise SystemExit("\n".join(["error: the predicted power is more than 3 points off in:", *beyond]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(check, _parse, arguments, networks=False)


if __name__ == "__main__":
    main()
