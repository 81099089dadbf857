"""The matched verdict's bounds: each ratio has networks of its own, so it is about trainings, not about one network.

Training runs are the readers of a multi-reader study. A ratio has to pass two bounds. That of Obuchowski & Rockette
knows how trainings and patients vary, but takes the estimate to be distributed symmetrically: where lesions vanish
whole it errs twice as often as it says. BCa, over patients and training seeds, corrects the skewness, but knows nothing
of how uncertain the variation of few seeds is. Simulation shows the error rate of each, and of both (docs/EVIDENCE.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.bootstrap import Estimate, Estimates
from mammo_jax.statistics.clustered_covariance import patient_sums
from mammo_jax.statistics.obuchowski_rockette import ReaderAreas
from mammo_jax.statistics.prediction_grid import Cell, PredictionGrid, StatisticsError
from mammo_jax.statistics.verdict import MIN_MATCHED_SEEDS, Bounded


@dataclass(frozen=True)
class LowerOfTwo:
    """An estimate with the lower one of two one-sided bounds."""

    bootstrap: Estimate
    readers: Bounded

    @property
    def value(self) -> float:
        """The estimate, which both have in common."""
        return self.bootstrap.value

    def lower_bound(self, alpha: float) -> float:
        """Return the lower one of the bounds of BCa and of Obuchowski & Rockette."""
        return min(self.bootstrap.lower_bound(alpha), self.readers.lower_bound(alpha))


@dataclass(frozen=True)
class MatchedArea(LowerOfTwo):
    """The AUROC of a ratio's own networks.

    Attributes
    ----------
    bootstrap : Estimate
    readers : ReaderAreas
        One reader a training seed.
    """

    readers: ReaderAreas

    def __sub__(self, other: MatchedArea) -> LowerOfTwo:
        """Return the difference between two ratios, for the same patients and training seeds."""
        return LowerOfTwo(self.bootstrap - other.bootstrap, self.readers - other.readers)


def check_seeds_differ(grid: PredictionGrid) -> None:
    """Raise StatisticsError if the scores of two training seeds are the same in every ratio, fold and image.

    Copies of one training would look as if trainings did not vary. Equal scores at some ratios are no copies: a model
    may have few distinct scores.
    """
    first: dict[bytes, int] = {}
    for index, seed in enumerate(grid.seeds):
        scores = b"".join((part[index] + 0.0).tobytes() for parts in grid.scores.values() for part in parts)
        other = first.setdefault(scores, seed)
        if other != seed:
            raise StatisticsError(
                f"column seed: seeds {other} and {seed} have the same score in every row, so they are copies of one "
                f"training; leave the rows of seed {seed} out, or train it anew"
            )


def matched_areas(
    grid: PredictionGrid, cells: Mapping[Cell, Estimates]
) -> dict[float, Estimate] | dict[float, MatchedArea]:
    """Return the AUROC of every ratio that networks were both trained and tested at.

    Parameters
    ----------
    grid : PredictionGrid
    cells : mapping of Cell to Estimates
        Of the same grid.

    Returns
    -------
    dict of test ratio to MatchedArea
        With too few seeds for a matched verdict, to the bootstrap's estimate alone.
    """
    bootstrap = {test: cell.auroc for (train, test), cell in cells.items() if train == ratio_text(test)}
    if len(grid.seeds) < MIN_MATCHED_SEEDS:
        return bootstrap
    return {ratio: MatchedArea(area, _readers(grid, ratio)) for ratio, area in bootstrap.items()}


def _readers(grid: PredictionGrid, ratio: float) -> ReaderAreas:
    scores = grid.scores[ratio_text(ratio), ratio]
    return ReaderAreas(tuple(patient_sums(fold, part) for fold, part in zip(grid.folds, scores, strict=True)))


def reader_comparisons(areas: Mapping[float, Estimate | MatchedArea]) -> list[dict[str, Any]]:
    """Return the analysis of Obuchowski & Rockette of every ratio against CR 1.

    Returns
    -------
    list of dict, ready for JSON
        In rising order of the ratio, which each has; the fields of `Comparison`, degrees_of_freedom None if infinite;
        low, high: the two-sided 95 % interval. Empty with too few seeds, or without CR 1.
    """
    readers = {ratio: area.readers for ratio, area in sorted(areas.items()) if isinstance(area, MatchedArea)}
    reference = readers.pop(1.0, None)
    if reference is None:
        return []
    rows = []
    for ratio, area in readers.items():
        comparison = area - reference
        low, high = comparison.interval()
        rows.append({"ratio": ratio, **asdict(comparison), "low": low, "high": high})
        if rows[-1]["degrees_of_freedom"] == float("inf"):
            rows[-1]["degrees_of_freedom"] = None
    return rows
