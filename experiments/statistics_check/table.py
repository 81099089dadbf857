"""Counts of the simulation, kept in a file while it runs, and their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scipy.stats import binomtest

from experiments.statistics_check.studies import Scenario
from experiments.statistics_check.training_trials import BCA, READERS
from experiments.statistics_check.trials import OUTCOMES, STUDIES_PER_TRIAL

AT_MARGIN, AT_HALF, AT_NONE = 1.0, 0.5, 0.0
Key = tuple[Scenario, float]
SCENARIO_HEAD = ("women with a lesion, of all", "folds", "AUROC at CR 1", "correlation", "harm")
HEAD = (
    *SCENARIO_HEAD,
    "percentile, 5 %",
    "percentile, 2.5 %",
    "BCa, 5 %",
    "BCa, 2.5 %",
    "**verdict**",
    "verdict at half a margin",
    "verdict without loss",
)
TRAININGS_HEAD = (
    *SCENARIO_HEAD,
    "OR, 5 %",
    "OR, 2.5 %",
    "BCa, 2.5 %",
    "**matched verdict**",
    "transfer verdict",
    "matched at half a margin",
    "OR, 2.5 %, at half a margin",
    "transfer at half a margin",
    "matched without loss",
)


def markdown(scenarios: Sequence[Scenario], safe: dict[Key, Counter[str]], trials: dict[Key, int]) -> str:
    """Return the table of some scenarios: percentages of studies that are called safe, with 95 % intervals.

    Parameters
    ----------
    scenarios : sequence of Scenario
    safe : dict
        For each scenario and loss in margins, the counts of `safe_studies`.
    trials : dict
        How many trials they are from.
    """
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for scenario in scenarios:
        at = {margins: (scenario, margins) for margins in (AT_MARGIN, AT_HALF, AT_NONE)}
        cells = [percentage(safe[at[AT_MARGIN]][name], trials[at[AT_MARGIN]]) for name in reversed(OUTCOMES)]
        cells[-1] = f"**{cells[-1]}**"
        cells += [percentage(safe[at[margins]]["verdict"], trials[at[margins]]) for margins in (AT_HALF, AT_NONE)]
        lines.append(f"| {' | '.join([*_describe(scenario), *cells])} |")
    return "\n".join(lines) + "\n"


def trainings_markdown(scenarios: Sequence[Scenario], safe: dict[Key, Counter[str]], trials: dict[Key, int]) -> str:
    """Return the table of scenarios with several trainings, from the counts of `safe_trainings`; see `markdown`."""
    shown = [(AT_MARGIN, name) for name in (*reversed(READERS), BCA, "matched", "transfer")]
    shown += [(AT_HALF, name) for name in ("matched", READERS[0], "transfer")] + [(AT_NONE, "matched")]
    lines = [f"| {' | '.join(TRAININGS_HEAD)} |", "|" + "---|" * len(TRAININGS_HEAD)]
    for scenario in scenarios:
        cells = [percentage(safe[scenario, margins][name], trials[scenario, margins]) for margins, name in shown]
        cells[shown.index((AT_MARGIN, "matched"))] = f"**{cells[shown.index((AT_MARGIN, 'matched'))]}**"
        lines.append(f"| {' | '.join([*_describe(scenario), *cells])} |")
    return "\n".join(lines) + "\n"


def _describe(scenario: Scenario) -> list[str]:
    harm = str(scenario.harm)
    if scenario.seeds > 1:
        harm += f", {scenario.seeds} seeds"
    if scenario.moving_seeds:
        harm += f" that differ by {scenario.moving_seeds:g}"
    if scenario.moving_sets:
        harm += f", training sets differ by {scenario.moving_sets:g}"
    return [
        f"{scenario.positives} of {scenario.women}",
        str(scenario.folds),
        f"{scenario.auroc:.2f}",
        f"{scenario.correlation:g}",
        harm,
    ]


def percentage(count: int, trials: int) -> str:
    """Return a share of the studies with its 95 % interval (Clopper-Pearson), such as "2.4 (2.1–2.7)"."""
    studies = trials * STUDIES_PER_TRIAL
    if not studies:
        return "–"
    interval = binomtest(count, studies).proportion_ci(0.95, "exact")
    return f"{100 * count / studies:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def upper_limit(count: int, trials: int) -> float:
    """Return the upper end of the 95 % interval of a share of the studies."""
    return float(binomtest(count, trials * STUDIES_PER_TRIAL).proportion_ci(0.95, "exact").high)
