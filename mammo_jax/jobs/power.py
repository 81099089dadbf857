"""How many patients a study needs, and the smallest loss that one can show: from assumptions, or from a pilot study.

    mammo-jax power --auroc 0.85 --correlation 0.9
    mammo-jax power --predictions runs/pilot/predictions.parquet --analysis-level image

With --predictions every assumption that is not given is estimated from the table. The power is that of AUROC; harm at
the operating point can still forbid a ratio. Cost: seconds. Writes no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.statistics.analysis_levels import Level, Pooling
from mammo_jax.statistics.pilot import ASSUMED_LOSS, HARMS, estimated_design, pilot_grid, representative_ratio
from mammo_jax.statistics.power import MAX_POSITIVES, POWER, Design, detectable_loss, needed_positives, power
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import read_predictions
from mammo_jax.statistics.rule import ALPHAS, MARGIN, MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.statistics.verdict import confidence

POSITIVES = 100


@dataclass(frozen=True)
class PowerConfig:
    """What is assumed.

    Attributes
    ----------
    predictions : Path or None
        Predictions table of a pilot study, as `evaluate` takes it.
    model : str or None
        predictions: the model; needed where the table has several.
    ratio : float or None
        predictions: the ratio whose scores stand for compression; None takes the largest that lost less than
        the margin, else the lowest.
    analysis_level : str
        predictions: what the verdict will count, as for `evaluate`.
    level_score : str
        predictions: the score of a breast or a woman, the maximum or the mean over its images.
    positives : int or None
        Positive women of the study whose power is given; None takes those of the pilot, or 100.
    loss : float or None
        True loss of AUROC of a ratio that should pass; None takes half the margin.
    wanted : float
        Power that the needed number is for.
    margin, alpha, min_positive_patients
        The verdict's rule, as for `evaluate`.
    auroc : float or None
        At CR 1; without a pilot 0.85.
    correlation : float or None
        Between an image's scores at CR 1 and at the tested ratio, given the class; without a pilot 0.9.
    views, lesion_views : int or None
        Scored images of a woman, and how many are positive if she has a lesion; without a pilot 4 and 2. Both are 1
        where each woman has one score.
    woman_share : float or None
        Share of the scores' variance that the images of one woman have in common; without a pilot 0.3.
    positive_share : float or None
        Share of the study's women that have a lesion; without a pilot one third.
    """

    predictions: Path | None = None
    model: str | None = None
    ratio: float | None = None
    analysis_level: Level = "woman"
    level_score: Pooling = "max"
    positives: int | None = None
    loss: float | None = None
    wanted: float = POWER
    margin: float = MARGIN
    alpha: float = ALPHAS[0]
    min_positive_patients: int = MIN_POSITIVE_PATIENTS
    auroc: float | None = None
    correlation: float | None = None
    views: int | None = None
    lesion_views: int | None = None
    woman_share: float | None = None
    positive_share: float | None = None


def _check(config: PowerConfig) -> None:
    if not 0.05 <= config.wanted <= 0.99:
        raise StatisticsError(f"wanted: {config.wanted:g} is not from 0.05 to 0.99, such as 0.8")
    if config.positives is not None and not 2 <= config.positives <= MAX_POSITIVES:
        raise StatisticsError(f"positives: {config.positives} is not from 2 to {MAX_POSITIVES}")
    if config.predictions is None and (config.model is not None or config.ratio is not None):
        raise StatisticsError("model and ratio name a part of --predictions; give that table too")


def assumptions(config: PowerConfig) -> tuple[Design, int]:
    """Return the design and the number of positive women: as given, else as the pilot has them, else the defaults."""
    design, positives = Design(), POSITIVES
    if config.predictions is not None:
        table = read_predictions(config.predictions)
        names = sorted(table["model"].unique())
        if config.model not in (None, *names) or (config.model is None and len(names) > 1):
            raise StatisticsError(f"model: choose one of the models {names} of {config.predictions}")
        levels = {"primary": config.analysis_level, "pooling": config.level_score}
        grid = pilot_grid(table, {"primary_model": config.model or names[0], "analysis_levels": levels})
        ratio = config.ratio or representative_ratio(grid, config.margin)
        design = estimated_design(grid, ratio)
        positives = sum(fold.patients_by_class[0] for fold in grid.folds)
    given = {field.name: getattr(config, field.name, None) for field in fields(Design)}
    design = replace(design, **{name: value for name, value in given.items() if value is not None})
    return design, config.positives or positives


def describe(design: Design) -> str:
    """Return what is assumed of the women and their scores, in one line."""
    images = "one scored image" if design.views == 1 else f"{design.views} scored images"
    positive = f", {design.lesion_views} of them positive if she has a lesion" if design.views > 1 else ""
    return (
        f"AUROC {design.auroc:.3f} at CR 1; correlation {design.correlation:.2f} between the ratios' scores; {images} a"
        f" woman{positive}; {100 * design.positive_share:.0f} % of the women have one; {100 * design.woman_share:.0f} %"
        " of the variance is the woman's"
    )


def power_table(config: PowerConfig) -> str:
    """Return what is assumed, the number of positive women needed, and what so many can show, as text."""
    _check(config)
    design, positives = assumptions(config)
    rule = Rule(config.margin, config.alpha, config.min_positive_patients)
    loss = ASSUMED_LOSS * rule.margin if config.loss is None else config.loss
    if not 0 <= loss < rule.margin:
        raise StatisticsError(f"loss: {loss:g} is not from 0 to the margin of {rule.margin:g}; such a ratio must fail")
    wanted = f"{100 * config.wanted:g} %"
    rows: dict[str, list[str]] = {
        f"positive women needed for {wanted} power": [],
        f"power with {positives}, if nothing is lost": [],
        f"power with {positives}, if {loss:g} is lost": [],
        f"smallest loss that {positives} show, with {wanted} power": [],
    }
    for harm in HARMS:
        assumed = replace(design, harm=harm)
        needed = needed_positives(assumed, loss, rule, wanted=config.wanted)
        smallest = detectable_loss(assumed, positives, rule, wanted=config.wanted)
        cells = (
            f"> {MAX_POSITIVES}" if needed is None else str(needed),
            f"{100 * power(assumed, positives, 0.0, rule):.0f} %",
            f"{100 * power(assumed, positives, loss, rule):.0f} %",
            "none" if smallest is None else f"{smallest:.3f}",
        )
        for row, cell in zip(rows.values(), cells, strict=True):
            row.append(cell)
    width = max(map(len, rows))
    source = "Assumed" if config.predictions is None else f"From {config.predictions.name}, where not given"
    lines = [f"{source}: {describe(design)}.", f"Rule: margin {rule.margin:g}, {confidence(rule.alpha)} confidence."]
    lines += ["", f"{'':{width}}  {'  '.join(f'{harm:>8}' for harm in HARMS)}"]
    lines += [f"{name:{width}}  {'  '.join(f'{cell:>8}' for cell in cells)}" for name, cells in rows.items()]
    return "\n".join([*lines, "", *NOTES])


NOTES = (
    "fading: every lesion loses some contrast. drowning: some women's lesions vanish whole, the likelier harm.",
    "By AUROC, for one training; harm at the operating point can still forbid a ratio, see docs/EVIDENCE.md.",
)


def _print_table(config: PowerConfig, _flags: Sequence[str]) -> None:
    print(power_table(config))


def _parse(flags: list[str]) -> PowerConfig:
    return read_flags("power", PowerConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(_print_table, _parse, arguments, networks=False)
