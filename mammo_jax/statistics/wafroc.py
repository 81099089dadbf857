"""Weighted AFROC: does a model mark the lesions, above what it marks on images without any?

Chakraborty & Zhai (Med Phys 2016;43:2548) and the package RJafroc: the figure of merit wAFROC is the probability that a
lesion is rated higher than the highest mark on a lesion-free image, each lesion counting by its weight, so that every
image with lesions counts the same. An unmarked lesion and an image without marks have the lowest rating, and ties count
one half. Marks that miss, on images that have lesions, do not count (they do in wAFROC1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.statistics.bootstrap import averaged, drawn_in_fold, drawn_seeds, weightings
from mammo_jax.statistics.marks import SEED, WEIGHT, hit_lesions
from mammo_jax.statistics.prediction_grid import PredictionGrid, StatisticsError, prediction_grid


def wafroc(
    images: np.ndarray, is_lesion: np.ndarray, ratings: np.ndarray, shares: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Compute the figure of merit for each column of weights.

    Parameters
    ----------
    images : int64 [sites]
        The image of each site. A site is a lesion, or a whole image without lesions.
    is_lesion : bool [sites]
    ratings : float [sites]
        Of a lesion: its highest mark; of an image without lesions: its highest mark. −∞ without a mark.
    shares : float [sites]
        Weight of each lesion within its image, 1 in sum; 1 for an image without lesions.
    weights : float [images, columns]
        How often each image counts.

    Returns
    -------
    float64 [columns]
        NaN where images with lesions, or those without, have no weight.
    """
    marked = ratings[ratings > -np.inf]
    lowest = marked.min() - 1 if len(marked) else 0.0
    finite = np.where(ratings > -np.inf, ratings, lowest)
    return auroc_and_auprc(is_lesion, finite, shares[:, None] * weights[images])[0]


def localisation(
    predictions: pd.DataFrame, marks: pd.DataFrame, lesions: pd.DataFrame, *, resamples: int, seed: int
) -> dict[str, Any]:
    """Compute wAFROC at every ratio of the predictions, with its loss from CR 1, for a model trained at CR 1.

    Patients and training seeds are resampled as for the AUROC, the same ones. An image without marks is rated lowest,
    also where a ratio or seed has no mark at all.

    Parameters
    ----------
    predictions : DataFrame
        Of one model; says which images, patients, folds and seeds there are.
    marks, lesions : DataFrame
        As `mammo_jax.statistics.marks` reads them.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    dict, ready for JSON
        lesions; results: for each ratio, CR 1 first: test_ratio, wafroc and change (None at CR 1), each with value, low
        and high; lesions_marked: share of the lesions with a mark; false_marks: marks on an image without lesions.

    Raises
    ------
    StatisticsError
        If marks, lesions and predictions do not belong together.
    """
    table = predictions[predictions["train_ratio"] == "1"]
    if table.empty:
        raise StatisticsError("marks: they are about models trained at CR 1, and the predictions have none")
    grid = prediction_grid(table)
    marks = _checked_marks(marks, table, grid)
    _check_lesions(lesions, table)
    marks = marks.assign(lesion=hit_lesions(marks, lesions))
    members = table.drop_duplicates("image_id").sort_values("image_id")
    ratios = sorted(table["test_ratio"].unique())
    parts: dict[float, list[np.ndarray]] = {ratio: [] for ratio in ratios}
    for position, fold in enumerate(grid.folds):
        counts, _ = drawn_in_fold(fold, position, resamples, seed)
        sites = _sites(members.loc[members["fold"] == fold.number, "image_id"].tolist(), lesions)
        columns = np.concatenate(list(weightings(fold, counts)), axis=1)
        for ratio in ratios:
            rated = [marks[(marks["test_ratio"] == ratio) & (marks[SEED] == number)] for number in grid.seeds]
            parts[ratio].append(np.stack([_of_sites(sites, _ratings(sites, own), columns) for own in rated]))
    draws = drawn_seeds(len(grid.seeds), resamples, seed)
    figures = {ratio: averaged(grid.folds, parts[ratio], draws) for ratio in ratios}
    clear = len(members) - members["label"].sum()
    results = [
        {
            "test_ratio": float(ratio),
            "wafroc": figures[ratio].as_json(),
            "change": None if ratio == 1 else (figures[ratio] - figures[1.0]).as_json(),
            **_counts(marks[marks["test_ratio"] == ratio], lesions, int(clear), len(grid.seeds)),
        }
        for ratio in ratios
    ]
    return {"lesions": len(lesions), "results": results}


def _checked_marks(marks: pd.DataFrame, table: pd.DataFrame, grid: PredictionGrid) -> pd.DataFrame:
    """Return the marks with a seed; raise StatisticsError where they and the predictions do not fit."""
    if SEED not in marks:
        if len(grid.seeds) > 1:
            raise StatisticsError("marks: column 'seed' is missing, and the predictions have several seeds")
        marks = marks.assign(**{SEED: grid.seeds[0]})
    if unknown := sorted(set(marks["image_id"]) - set(table["image_id"])):
        raise StatisticsError(f"marks: image_id {unknown[0]!r} is not among the predictions")
    if unknown := sorted(set(marks["test_ratio"]) - set(table["test_ratio"])):
        raise StatisticsError(f"marks: test_ratio {ratio_text(unknown[0])} is not among the predictions")
    if 1.0 not in set(marks["test_ratio"]):
        raise StatisticsError("marks: there are none with test_ratio 1, which the others are compared with")
    if unknown := sorted(set(marks[SEED]) - set(grid.seeds)):
        raise StatisticsError(f"marks: seed {unknown[0]:g} is not among the predictions, which have {list(grid.seeds)}")
    return marks


def _check_lesions(lesions: pd.DataFrame, table: pd.DataFrame) -> None:
    """Raise StatisticsError unless exactly the positive images have lesions."""
    images = table.drop_duplicates("image_id").set_index("image_id")["label"]
    if unknown := sorted(set(lesions["image_id"]) - set(images.index)):
        raise StatisticsError(f"lesions: image_id {unknown[0]!r} is not among the predictions")
    marked = images.index.isin(set(lesions["image_id"]))
    wrong = images.index[marked != (images == 1)]
    if len(wrong):
        has = "label 1 and no lesion" if images[wrong[0]] == 1 else "label 0 and a lesion"
        raise StatisticsError(f"lesions: image_id {wrong[0]!r} has {has}; every positive image needs its lesions")


def _sites(images: list[str], lesions: pd.DataFrame) -> pd.DataFrame:
    """List the lesions and the lesion-free images of a fold: image, image_id, lesion (−1 for an image), share."""
    order = {image: position for position, image in enumerate(images)}
    own = lesions.assign(lesion=np.arange(len(lesions)))[lesions["image_id"].isin(order)]
    weight = own[WEIGHT] if WEIGHT in own else pd.Series(1.0, own.index)
    share = weight / weight.groupby(own["image_id"]).transform("sum")
    found = pd.DataFrame({"image_id": own["image_id"], "lesion": own["lesion"], "share": share})
    clear = [image for image in images if image not in set(own["image_id"])]
    sites = pd.concat([found, pd.DataFrame({"image_id": clear, "lesion": -1, "share": 1.0})], ignore_index=True)
    return sites.assign(image=sites["image_id"].map(order))


def _ratings(sites: pd.DataFrame, marks: pd.DataFrame) -> np.ndarray:
    """Return the highest rating of each site, −∞ without a mark; misses on images with lesions hit no site."""
    highest = marks.groupby(["image_id", "lesion"])["rating"].max()
    keys = pd.MultiIndex.from_frame(sites[["image_id", "lesion"]])
    return highest.reindex(keys).fillna(-np.inf).to_numpy(float)


def _of_sites(sites: pd.DataFrame, ratings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    is_lesion = sites["lesion"].to_numpy() >= 0
    return wafroc(sites["image"].to_numpy(), is_lesion, ratings, sites["share"].to_numpy(), weights)


def _counts(marks: pd.DataFrame, lesions: pd.DataFrame, clear: int, seeds: int) -> dict[str, float]:
    hit = marks[marks["lesion"] >= 0].drop_duplicates([SEED, "lesion"])
    false = ~marks["image_id"].isin(set(lesions["image_id"]))
    return {
        "lesions_marked": len(hit) / (len(lesions) * seeds),
        "false_marks": float(false.sum()) / (clear * seeds),
    }
