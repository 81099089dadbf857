"""From the table of images to figures with patient-clustered intervals: localisation, drift, sanity, faithfulness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.saliency.drift import SIMILARITIES
from mammo_jax.saliency.faithfulness import FRACTIONS, area
from mammo_jax.saliency.localisation import FEW_PLACES, MEASURES, PRIMARY_MEASURE
from mammo_jax.saliency.methods import CONTROL, METHODS, Method
from mammo_jax.saliency.randomisation import LEARNT
from mammo_jax.saliency.stage import CASCADE, OTHER_SEED, RANDOM_LABELS, RANDOM_ORDER, TRAINED
from mammo_jax.statistics.bootstrap import Estimate, draw_patients

SCHEMA = "mammo_jax saliency 2"
RANDOM_WEIGHTS = "random_weights"
"""The last step of the cascade: no trained weight is left."""
MANY_PLACES = "many_places"
"""The images whose lesion has at least `FEW_PLACES` places: those that chance can be told for."""
THRESHOLD = 0.0
"""Score from which an image counts as called positive. Both targets weigh the same in training, so a logit of 0 is
where the network finds them equally likely."""


class _Resampler:
    """Means over images whose patients are resampled within folds; the same ones in every figure, so all are paired."""

    def __init__(self, images: pd.DataFrame, resamples: int, seed: int):
        self.images = images  # one row an image, by image_id
        patients, index = np.unique(images["patient_id"].to_numpy(str), return_inverse=True)
        folds = np.zeros(len(patients), np.int64)
        folds[index] = images["fold"]
        counts = draw_patients(folds, resamples, np.random.default_rng(seed))
        self.weights = np.concatenate([np.ones((len(images), 1)), counts[index]], axis=1)

    def mean(self, values: pd.Series, chosen: np.ndarray | None = None) -> Estimate | None:
        """Mean of `values`, indexed by image_id, over the chosen images (bool [images]); None where there are none."""
        aligned = values.reindex(self.images.index).to_numpy(np.float64)
        weights = self.weights if chosen is None else self.weights * chosen[:, None]
        if not weights[:, 0].any():
            return None
        total = weights.sum(0)
        means = np.divide(aligned @ weights, total, out=np.full(len(total), np.nan), where=total > 0)
        replicates = means[1:]
        return Estimate(float(means[0]), replicates[np.isfinite(replicates)])


def summarise(
    images: pd.DataFrame,
    faithfulness: pd.DataFrame,
    *,
    primary: Method,
    resamples: int,
    label_aurocs: Sequence[float],
    seed: int = 0,
) -> dict[str, Any]:
    """Compute everything that the report says about saliency.

    Figures are means over all held-out positive images with a marked lesion, each seen by the model that did not train
    on its fold. Intervals are 95 % percentiles of a bootstrap that resamples patients within folds; all figures see the
    same resampled patients, so differences are paired.

    Parameters
    ----------
    images, faithfulness : DataFrame
        As `measure_saliency` writes them.
    primary : str
        The method that the report's figures show, fixed before the run.
    resamples, seed : int
    label_aurocs : sequence of float
        Of each model trained on permuted labels, on its own training examples with these labels.

    Returns
    -------
    dict, ready for JSON
    """
    table = _with_random_weights(images)
    first = table[(table["model"] == TRAINED) & (table["ratio"] == 1) & (table["method"] == primary)]
    first = first.set_index("image_id").sort_index()
    resampler = _Resampler(first, resamples, seed)
    found = {
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
        "positions": {
            "least": int(first["positions"].min()),
            "median": float(first["positions"].median()),
            "few_below": FEW_PLACES,
            "few": int((first["positions"] < FEW_PLACES).sum()),
        },
        "localization": _localization(found, resampler),
        "comparisons": _comparisons(found, resampler),
        "drift": _drift(found, resampler),
        "cascade": _cascade(images, resampler),
        "sanity": _sanity(found, resampler),
        "permuted_labels": {
            "training_aurocs": [float(auroc) for auroc in label_aurocs],
            "least": float(min(label_aurocs)),
            "learnt": min(label_aurocs) >= LEARNT,
        },
        "completeness": _completeness(found),
        "faithfulness": _faithfulness(faithfulness, resampler),
    }


Cells = Mapping[tuple[str, float, str], pd.DataFrame]


def _with_random_weights(images: pd.DataFrame) -> pd.DataFrame:
    """Name the rows of the cascade's last step."""
    cascade = images["model"] == CASCADE
    layers = images.loc[cascade, "layer"].unique()
    last = cascade & (images["layer"] == (layers[-1] if len(layers) else ""))
    return pd.concat([images, images[last].assign(model=RANDOM_WEIGHTS)], ignore_index=True)


def _figure(estimate: Estimate) -> dict[str, float]:
    low, high = estimate.interval()
    return {"mean": estimate.value, "low": low, "high": high}


def _localization(found: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """Each measure of each cell with its chance level; the trained model also for groups of the images.

    These are the ones called rightly, called wrongly, and with at least `FEW_PLACES` places for the lesion.
    """
    rows = []
    for (model, ratio, method), cell in found.items():
        score = cell["score"].reindex(resampler.images.index).to_numpy()
        groups = {
            "all": None,
            "correct": score > THRESHOLD,
            "wrong": score <= THRESHOLD,
            MANY_PLACES: (resampler.images["positions"] >= FEW_PLACES).to_numpy(),
        }
        for group, chosen in groups.items():
            if group != "all" and model != TRAINED:
                continue
            for measure in MEASURES:
                value = resampler.mean(cell[measure], chosen)
                chance = resampler.mean(cell[f"{measure}_chance"], chosen)
                if value is None or chance is None:
                    continue
                rows.append(
                    {
                        "model": model, "ratio": ratio, "method": method, "group": group, "measure": measure,
                        "images": len(cell) if chosen is None else int(chosen.sum()),
                        "value": _figure(value), "chance": _figure(chance), "difference": _figure(value - chance),
                    }
                )  # fmt: skip
    return rows


def _comparisons(found: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """At CR 1: the trained model's maps less chance, less maps that know nothing, and less the plain image."""
    rows = []
    for method in METHODS:
        own = found[TRAINED, 1.0, method]
        others = {
            "chance": own.rename(columns={f"{measure}_chance": f"_{measure}" for measure in MEASURES}),
            CONTROL: found[TRAINED, 1.0, CONTROL],
            RANDOM_WEIGHTS: found.get((RANDOM_WEIGHTS, 1.0, method)),
            RANDOM_LABELS: found.get((RANDOM_LABELS, 1.0, method)),
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
                found_to_be = {"better": figure["low"] > 0, "worse": figure["high"] < 0}
                rows.append({"method": method, "against": against, "measure": measure, **figure, **found_to_be})
    return rows


def _drift(found: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """Similarity of every cell's maps to the trained model's maps at CR 1."""
    rows = []
    for (model, ratio, method), cell in found.items():
        for measure in SIMILARITIES:
            mean = resampler.mean(cell[measure])
            if mean is not None:
                rows.append({"model": model, "ratio": ratio, "method": method, "measure": measure, **_figure(mean)})
    return rows


def _cascade(images: pd.DataFrame, resampler: _Resampler) -> list[dict[str, Any]]:
    """Similarity to the trained model's maps after each layer of the cascade, in its order."""
    cascade = images[images["model"] == CASCADE]
    rows = []
    for (layer, method), cell in cascade.groupby(["layer", "method"], sort=False):
        for measure in SIMILARITIES:
            mean = resampler.mean(cell.set_index("image_id")[measure])
            if mean is not None:
                rows.append({"layer": layer, "method": method, "measure": measure, **_figure(mean)})
    return rows


def _sanity(found: Cells, resampler: _Resampler) -> list[dict[str, Any]]:
    """Whether a method's maps resemble another seed's more than those of networks that know nothing, for each method.

    A method passes if, in Spearman's correlation, the lower end of both paired intervals lies above 0; without a second
    seed nothing can be said, and "passed" is None.
    """
    rows = []
    for method in METHODS:
        floor = found.get((OTHER_SEED, 1.0, method))
        row: dict[str, Any] = {"method": method, "passed": None, "differences": {}}
        for model in (RANDOM_WEIGHTS, RANDOM_LABELS):
            other = found.get((model, 1.0, method))
            if floor is None or other is None:
                continue
            difference = resampler.mean(floor["spearman"] - other["spearman"])
            if difference is not None:
                row["differences"][model] = _figure(difference)
        if len(row["differences"]) == 2:
            row["passed"] = all(figure["low"] > 0 for figure in row["differences"].values())
        rows.append(row)
    return rows


def _completeness(found: Cells) -> list[dict[str, Any]]:
    """How many maps of the trained model miss the completeness tolerance at each ratio, and by how much at most."""
    rows = []
    for (model, ratio, method), cell in found.items():
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
    """Mean insertion and deletion curves of each order, their areas, and the areas less those of a random order."""
    areas: dict[tuple[str, str], pd.Series] = {}
    curves: dict[tuple[str, str], list[float]] = {}
    for key, part in table.groupby(["method", "curve"]):
        method, kind = map(str, key)
        wide = part.pivot(index="image_id", columns="fraction", values="probability")
        areas[method, kind] = wide.apply(lambda row: area(row.to_numpy()), axis=1)
        curves[method, kind] = wide.mean().tolist()
    rows = []
    for method, kind in curves:
        own, gain = areas[method, kind], areas[method, kind] - areas[RANDOM_ORDER, kind]
        mean, against = resampler.mean(own), resampler.mean(gain)
        if mean is not None and against is not None:
            row = {"method": method, "curve": kind, "fractions": FRACTIONS.tolist(), "points": curves[method, kind]}
            rows.append(row | {"area": _figure(mean), "against_random": _figure(against)})
    return rows
