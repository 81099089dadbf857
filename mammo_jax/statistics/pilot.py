"""From a study's own predictions to its power: what it was like, what it could have shown, what the next one needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.analysis_levels import at_level
from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.statistics.power import MAX_POSITIVES, POWER, Design, Harm, detectable_loss, needed_positives
from mammo_jax.statistics.prediction_grid import Fold, PredictionGrid, StatisticsError, prediction_grid
from mammo_jax.statistics.rule import Rule

ASSUMED_LOSS = 0.5
"""Of the margin: a ratio that loses so much should pass."""
SEARCH_STUDIES = 1000
"""For the sentence under a verdict, where a few women more or less do not matter."""
HARMS: tuple[Harm, ...] = get_args(Harm)


def estimated_design(grid: PredictionGrid, ratio: float, harm: Harm = "drowning") -> Design:
    """Estimate what a study is like from one model's predictions.

    Scores are ranked within each fold, training seed and class, and taken as normal scores (van der Waerden), so that
    neither their scale nor the loss counts. Their products give the correlation between the ratios, and between the
    images of one woman. All is that of one training: several seeds, whose mean a verdict takes, have more power.

    Parameters
    ----------
    grid : PredictionGrid
    ratio : float
        Its scores are compared with those at CR 1.
    harm : {"fading", "drowning"}

    Raises
    ------
    StatisticsError
        If CR 1 or the ratio is not there, or the AUROC at CR 1 is not between 0.5 and 1.
    """
    missing = [needed for needed in (1.0, ratio) if ("1", needed) not in grid.scores]
    if missing:
        raise StatisticsError(
            f"predictions: none of a model trained at CR 1 and tested at CR {ratio_text(missing[0])}; name a ratio of"
            " the table"
        )
    uncompressed, compressed = grid.scores["1", 1.0], grid.scores["1", ratio]
    products = np.zeros(3)
    together = np.zeros(2)
    areas = []
    for fold, first, second in zip(grid.folds, uncompressed, compressed):
        for ours, theirs in zip(first, second):
            areas.append(auroc_and_auprc(fold.labels, ours, np.ones((len(ours), 1)))[0][0])
            a, b = _normal_scores(fold, ours), _normal_scores(fold, theirs)
            products += a @ b, a @ a, b @ b
            together += _products_within_women(fold, a)
    variance = products[1] / sum(len(fold.labels) * len(grid.seeds) for fold in grid.folds)
    patients = np.concatenate([fold.positive_patients for fold in grid.folds])
    labels = np.concatenate([fold.labels for fold in grid.folds])
    views = max(1, round(len(labels) / len(patients)))
    return Design(
        auroc=float(np.mean(areas)),
        correlation=float(np.clip(products[0] / max(np.sqrt(products[1] * products[2]), 1e-12), 0, 1)),
        views=views,
        lesion_views=min(views, max(1, round(labels.sum() / patients.sum()))),
        woman_share=float(np.clip(together[0] / max(together[1] * variance, 1e-12), 0, 1)),
        positive_share=float(np.clip(patients.mean(), None, 1 - 1e-6)),
        harm=harm,
    )


def _normal_scores(fold: Fold, scores: np.ndarray) -> np.ndarray:
    """Return normal scores by rank within each class, float64 [images]."""
    found = np.zeros(len(scores))
    for members in (fold.labels, ~fold.labels):
        found[members] = ndtri((rankdata(scores[members]) - 0.5) / members.sum())
    return found


def _products_within_women(fold: Fold, scores: np.ndarray) -> tuple[float, int]:
    """Sum the products of two images of one woman and class over all such pairs, and count them."""
    total, pairs = 0.0, 0
    for members in (fold.labels, ~fold.labels):
        images = np.bincount(fold.patients[members])
        sums = np.bincount(fold.patients[members], scores[members])
        total += float((sums**2).sum() - (scores[members] ** 2).sum())
        pairs += int((images * (images - 1)).sum())
    return total, pairs


def pilot_grid(predictions: pd.DataFrame, metrics: Mapping[str, Any]) -> PredictionGrid:
    """Return the predictions that a verdict is about: the primary model's, trained at CR 1, at the primary level."""
    own = predictions[(predictions["model"] == metrics["primary_model"]) & (predictions["train_ratio"] == "1")]
    levels = metrics["analysis_levels"]
    return prediction_grid(at_level(own, levels["primary"], levels["pooling"]))


def representative_ratio(grid: PredictionGrid, margin: float) -> float:
    """Return the ratio whose scores stand for compression: the largest that lost less than the margin, else the lowest.

    The loss is that of the mean AUROC over folds and training seeds, of a model trained at CR 1; 1 without any other.
    """
    areas = {
        test: np.mean([
            auroc_and_auprc(fold.labels, own, np.ones((len(own), 1)))[0][0]
            for fold, scores in zip(grid.folds, folds)
            for own in scores
        ])
        for (train, test), folds in grid.scores.items()
        if train == "1"
    }  # fmt: skip
    ratios = sorted(set(areas) - {1.0})
    small = [ratio for ratio in ratios if 1.0 in areas and areas[ratio] - areas[1.0] > -margin]
    return float(max(small, default=min(ratios, default=1.0)))


def planned(predictions: pd.DataFrame, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find what a study that cannot tell could have shown, and how many patients the next one needs.

    The scores of `representative_ratio` stand for compression.

    Parameters
    ----------
    predictions : DataFrame
        Has passed `mammo_jax.statistics.predictions.check_predictions`.
    metrics : mapping
        What `mammo_jax.statistics.evaluation.evaluate` found in them.

    Returns
    -------
    dict, ready for JSON, or None where there is a verdict, or the model tells no positives from negatives
        ratio, loss: what the next study is to call safe; power; positives: of this study; design; needed, detectable:
        by harm, see `mammo_jax.statistics.power`; None where it is out of reach.
    """
    verdict = metrics["verdict"]
    if verdict["outcome"] != "cannot tell":
        return None
    rule = Rule(metrics["margin"], metrics["alpha"], metrics["minimum_positive_patients"])
    if not 0.5 + rule.margin < verdict["auroc_uncompressed"]["value"] < 1:
        return None
    grid = pilot_grid(predictions, metrics)
    ratio = representative_ratio(grid, rule.margin)
    design = estimated_design(grid, ratio)
    positives = sum(fold.patients_by_class[0] for fold in grid.folds)
    found = {"ratio": ratio, "loss": ASSUMED_LOSS * rule.margin, "power": POWER, "positives": positives}
    return found | {"design": asdict(design)} | by_harm(design, positives, rule, studies=SEARCH_STUDIES)


def by_harm(
    design: Design, positives: int, rule: Rule, *, wanted: float = POWER, studies: int = SEARCH_STUDIES
) -> dict[str, dict[Harm, Any]]:
    """Find for each way to do harm how many positive women half a margin needs, and what so many could have shown."""
    found: dict[str, dict[Harm, Any]] = {"needed": {}, "detectable": {}}
    for harm in HARMS:
        assumed = replace(design, harm=harm)
        loss = ASSUMED_LOSS * rule.margin
        found["needed"][harm] = needed_positives(assumed, loss, rule, wanted=wanted, studies=studies)
        found["detectable"][harm] = detectable_loss(assumed, positives, rule, wanted=wanted, studies=studies)
    return found


def power_sentences(found: Mapping[str, Any]) -> str:
    """Return what `planned` found in plain words."""
    power = f"{100 * found['power']:g} % power"
    needed = {harm: _women(count) for harm, count in found["needed"].items()}
    design = found["design"]
    return (
        f"To call a ratio safe that loses {found['loss']:g} of AUROC, with {power}, a study like this one needs "
        f"{needed['fading']} positive patients if every lesion fades alike, and {needed['drowning']} if some patients'"
        f" lesions vanish whole; this one has {found['positives']}. {_shown(found)} "
        f"(From its own scores: AUROC {design['auroc']:.3f} at CR 1, and a correlation of"
        f" {design['correlation']:.2f} with those at CR {ratio_text(found['ratio'])}.)"
    )


def _shown(found: Mapping[str, Any]) -> str:
    """Return which losses this study could have shown, in a sentence."""
    cases = {"fading": "if lesions fade", "drowning": "if they vanish"}
    shown = {cases[harm]: loss for harm, loss in found["detectable"].items() if loss is not None}
    hidden = [cases[harm] for harm, loss in found["detectable"].items() if loss is None]
    sentences = []
    if shown:
        losses = " and ".join(f"{loss:.3f} {case}" for case, loss in shown.items())
        sentences.append(
            f"The smallest loss that it could have shown, with as much power, is {losses}: a smaller one may be there"
            " unseen."
        )
    if hidden:
        case = f" {hidden[0]}" if shown else ", whether lesions fade or vanish"
        sentences.append(f"It would have shown no loss, however large, with as much power{case}.")
    return " ".join(sentences)


def _women(count: int | None) -> str:
    return f"more than {MAX_POSITIVES}" if count is None else f"about {count}"
