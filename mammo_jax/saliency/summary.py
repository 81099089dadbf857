"""Summary of the saliency tables with patient-clustered intervals: localisation, drift, sanity checks, faithfulness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.saliency.drift import SIMILARITIES
from mammo_jax.saliency.faithfulness import FRACTIONS, area_under_curve
from mammo_jax.saliency.localisation import MEASURES, MIN_POSITIONS, PRIMARY_MEASURE
from mammo_jax.saliency.methods import CONTROL, METHODS, Method
from mammo_jax.saliency.randomisation import MIN_MEMORISED_AUROC
from mammo_jax.saliency.stage import CASCADE, OTHER_SEED, RANDOM_LABELS, RANDOM_ORDER, TRAINED
from mammo_jax.statistics.bootstrap import Estimate, draw_patients

SCHEMA = "mammo_jax saliency 2"
RANDOM_WEIGHTS = "random_weights"
"""The last step of the cascade: all weights are random."""
MANY_POSITIONS = "many_places"
"""The group of images whose lesion has at least `MIN_POSITIONS` positions, so that chance differs from the value."""
THRESHOLD = 0.0
"""An image with a score above this is classified as positive. Both targets have the same weight in training, so at a
logit of 0 they are equally likely for the network."""


class _Resampler:
    """Bootstrap of means over images: patients are resampled within folds, the same for every mean (paired)."""

    def __init__(self, images: pd.DataFrame, resamples: int, seed: int):
        self.images = images  # one row per image, by image_id
        patients, index = np.unique(images["patient_id"].to_numpy(str), return_inverse=True)
        folds = np.zeros(len(patients), np.int64)
        folds[index] = images["fold"]
        counts = draw_patients(folds, resamples, np.random.default_rng(seed))
        without = index[:, None] != np.arange(len(patients))
        self.weights = np.concatenate([np.ones((len(images), 1)), counts[index], without], axis=1)
        self.resamples = resamples
        self.strata = [folds == fold for fold in np.unique(folds)]

    def mean(self, values: pd.Series, selected: np.ndarray | None = None) -> Estimate | None:
        """Estimate the mean of `values`, by image_id, over the selected images (bool [images]); None without images."""
        aligned = values.reindex(self.images.index).to_numpy(np.float64)
        weights = self.weights if selected is None else self.weights * selected[:, None]
        if not weights[:, 0].any():
            return None
        total = weights.sum(0)
        means = np.divide(aligned @ weights, total, out=np.full(len(total), np.nan), where=total > 0)
        value, replicates, without = float(means[0]), means[1 : 1 + self.resamples], means[1 + self.resamples :]
        without = np.where(np.isfinite(without), without, value)
        left_out = tuple(without[stratum] for stratum in self.strata)
        return Estimate(value, replicates[np.isfinite(replicates)], left_out)


def summarise(
    images: pd.DataFrame,
    faithfulness: pd.DataFrame,
    *,
    primary: Method,
    resamples: int,
    label_aurocs: Sequence[float],
    seed: int = 0,
) -> dict[str, Any]:
    """Compute all results that the report shows about saliency.

    Results are means over all held-out positive images with a marked lesion, each explained by the model that was not
    trained on its fold. Intervals are 95 % BCa intervals of a bootstrap that resamples patients within folds; all
    results have the same resampled patients, so differences are paired.

    Parameters
    ----------
    images, faithfulness : DataFrame
        The tables that `measure_saliency` writes.
    primary : str
        The method that the report's figures show, fixed before the run.
    resamples, seed : int
    label_aurocs : sequence of float
        AUROC of each model trained on permuted labels, on its own training examples with these labels.

    Returns
    -------
    dict, ready for JSON
    """
    table = _with_random_weights(images)
    first = table[(table["model"] == TRAINED) & (table["ratio"] == 1) & (table["method"] == primary)]
    first = first.set_index("image_id").sort_index()
    resampler = _Resampler(first, resamples, seed)
    cells = {
        (str(model), float(str(ratio)), str(method)): cell.set_index("image_id")
        for (model, ratio, method), cell in table[table["model"] != CASCADE].groupby(["model", "ratio", "method"])
    }
    correct = int((first["score"] > THRESHOLD).sum())
    return {
        "schema": SCHEMA,
        "primary": primary,
        "primary_measure": PRIMARY_MEASURE,
        "resamples": resamples,
        "seed": seed,
        "threshold": THRESHOLD,
        "counts": {"images": len(first), "patients": first["patient_id"].nunique(), "correct": correct},
        "positions": _positions(first["positions"]),
        "localization": _localisation(cells, resampler),
        "comparisons": _comparisons(cells, resampler),
        "drift": _drift(cells, resampler),
        "cascade": _cascade(images, resampler),
        "sanity": _sanity(cells, resampler),
        "permuted_labels": {
            "training_aurocs": [float(auroc) for auroc in label_aurocs],
            "least": float(min(label_aurocs)),
            "learnt": min(label_aurocs) >= MIN_MEMORISED_AUROC,
        },
        "completeness": _completeness(cells),
        "faithfulness": _faithfulness(faithfulness, resampler),
    }


Cells = Mapping[tuple[str, float, str], pd.DataFrame]
"""(model, ratio, method) → one row per image."""


def _positions(counts: pd.Series) -> dict[str, Any]:
    """Summarise the numbers of positions of the lesions."""
    return {
        "least": int(counts.min()),
        "median": float(counts.median()),
        "few_below": MIN_POSITIONS,
        "few": int((counts < MIN_POSITIONS).sum()),
    }


def _with_random_weights(images: pd.DataFrame) -> pd.DataFrame:
    """Add the rows of the cascade's last step as those of another model."""
    cascade = images["model"] == CASCADE
    layers = images.loc[cascade, "layer"].unique()
    last = cascade & (images["layer"] == (layers[-1] if len(layers) else ""))
    return pd.concat([images, images[last].assign(model=RANDOM_WEIGHTS)], ignore_index=True)


def _figure(estimate: Estimate) -> dict[str, float]:
    low, high = estimate.interval()
    return {"mean": estimate.value, "low": low, "high": high}


def _localisation(cells: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """List each measure of each cell with its chance level, for the trained model also by groups of images.

    The groups are: classified correctly, classified wrongly, and with at least `MIN_POSITIONS` positions of the lesion.
    """
    rows = []
    for (model, ratio, method), cell in cells.items():
        score = cell["score"].reindex(resampler.images.index).to_numpy()
        groups = {
            "all": None,
            "correct": score > THRESHOLD,
            "wrong": score <= THRESHOLD,
            MANY_POSITIONS: (resampler.images["positions"] >= MIN_POSITIONS).to_numpy(),
        }
        for group, selected in groups.items():
            if group != "all" and model != TRAINED:
                continue
            for measure in MEASURES:
                value = resampler.mean(cell[measure], selected)
                chance = resampler.mean(cell[f"{measure}_chance"], selected)
                if value is None or chance is None:
                    continue
                rows.append(
                    {
                        "model": model, "ratio": ratio, "method": method, "group": group, "measure": measure,
                        "images": len(cell) if selected is None else int(selected.sum()),
                        "value": _figure(value), "chance": _figure(chance), "difference": _figure(value - chance),
                    }
                )  # fmt: skip
    return rows


def _comparisons(cells: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """Compare the trained model's maps at CR 1 with chance, with maps of untrained models, and with the plain image."""
    rows = []
    for method in METHODS:
        own = cells[TRAINED, 1.0, method]
        others = {
            "chance": own.rename(columns={f"{measure}_chance": f"_{measure}" for measure in MEASURES}),
            CONTROL: cells[TRAINED, 1.0, CONTROL],
            RANDOM_WEIGHTS: cells.get((RANDOM_WEIGHTS, 1.0, method)),
            RANDOM_LABELS: cells.get((RANDOM_LABELS, 1.0, method)),
        }
        for against, other in others.items():
            if other is None:
                continue
            for measure in MEASURES:
                column = f"_{measure}" if against == "chance" else measure
                difference = resampler.mean(own[measure] - other[column])
                if difference is None:
                    continue
                figure = _figure(difference)
                conclusion = {"better": figure["low"] > 0, "worse": figure["high"] < 0}
                rows.append({"method": method, "against": against, "measure": measure, **figure, **conclusion})
    return rows


def _drift(cells: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """List the similarity of every cell's maps to the trained model's maps at CR 1."""
    rows = []
    for (model, ratio, method), cell in cells.items():
        for measure in SIMILARITIES:
            mean = resampler.mean(cell[measure])
            if mean is not None:
                rows.append({"model": model, "ratio": ratio, "method": method, "measure": measure, **_figure(mean)})
    return rows


def _cascade(images: pd.DataFrame, resampler: _Resampler) -> list[dict[str, Any]]:
    """List the similarity to the trained model's maps after each layer of the cascade, in its order."""
    cascade = images[images["model"] == CASCADE]
    rows = []
    for (layer, method), cell in cascade.groupby(["layer", "method"], sort=False):
        for measure in SIMILARITIES:
            mean = resampler.mean(cell.set_index("image_id")[measure])
            if mean is not None:
                rows.append({"layer": layer, "method": method, "measure": measure, **_figure(mean)})
    return rows


def _sanity(cells: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """Check for each method whether its maps are more similar to another seed's than to those of untrained models.

    A method passes if the lower limits of both paired intervals of the difference in Spearman's correlation are above
    0. Without a second seed this is unknown, and "passed" is None.
    """
    rows = []
    for method in METHODS:
        floor = cells.get((OTHER_SEED, 1.0, method))
        row: dict[str, Any] = {"method": method, "passed": None, "differences": {}}
        for model in (RANDOM_WEIGHTS, RANDOM_LABELS):
            other = cells.get((model, 1.0, method))
            if floor is None or other is None:
                continue
            difference = resampler.mean(floor["spearman"] - other["spearman"])
            if difference is not None:
                row["differences"][model] = _figure(difference)
        if len(row["differences"]) == 2:
            row["passed"] = all(figure["low"] > 0 for figure in row["differences"].values())
        rows.append(row)
    return rows


def _completeness(cells: Cells) -> list[dict[str, Any]]:
    """Count the trained model's maps outside the completeness tolerance at each ratio, with gaps and steps."""
    rows = []
    for (model, ratio, method), cell in cells.items():
        if model == TRAINED and cell["gap"].notna().all():
            rows.append(
                {
                    "ratio": ratio, "method": method, "images": len(cell), "flagged": int((~cell["complete"]).sum()),
                    "median_gap": float(cell["gap"].abs().median()), "largest_gap": float(cell["gap"].abs().max()),
                    "median_steps": float(cell["steps"].median()), "most_steps": int(cell["steps"].max()),
                }
            )  # fmt: skip
    return rows


def _faithfulness(table: pd.DataFrame, resampler: _Resampler) -> list[dict[str, Any]]:
    """Average the insertion and deletion curves of each order, with their areas and the gain over a random order."""
    areas: dict[tuple[str, str], pd.Series] = {}
    curves: dict[tuple[str, str], list[float]] = {}
    for key, part in table.groupby(["method", "curve"]):
        method, kind = map(str, key)
        wide = part.pivot(index="image_id", columns="fraction", values="probability")
        areas[method, kind] = wide.apply(lambda row: area_under_curve(row.to_numpy()), axis=1)
        curves[method, kind] = wide.mean().tolist()
    rows = []
    for method, kind in curves:
        own, gain = areas[method, kind], areas[method, kind] - areas[RANDOM_ORDER, kind]
        mean, against = resampler.mean(own), resampler.mean(gain)
        if mean is not None and against is not None:
            row = {"method": method, "curve": kind, "fractions": FRACTIONS.tolist(), "points": curves[method, kind]}
            rows.append(row | {"area": _figure(mean), "against_random": _figure(against)})
    return rows
