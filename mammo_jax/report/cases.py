"""Which cases the report shows, by a rule that does not depend on how they look, and what it says of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mammo_jax.ratios import ratio_name, ratio_text
from mammo_jax.report.case_pictures import CasePicture, crop_cases, saliency_overlays, stored_pictures
from mammo_jax.report.sections import AUDIT_COLUMNS, data_uri, exact_bytes, read_table
from mammo_jax.run_folder import RunFolder
from mammo_jax.sources.mammogram import LABELS
from mammo_jax.statistics.metrics import primary_model
from mammo_jax.statistics.predictions import read_predictions

MAX_LOST, MAX_KEPT, MAX_FALSE = 4, 2, 2
MAX_BYTES = 3_200_000
"""Of all pictures together, so that the page stays below about 6 MB."""
RULE = (
    "Chosen by rule, from the scores of the first training seed: first positive images that are recalled uncompressed "
    f"and lost at the lowest ratio (up to {MAX_LOST}), then positive images that are recalled at every ratio "
    f"(up to {MAX_KEPT}), then negative images that are recalled uncompressed (up to {MAX_FALSE}); among equals by "
    "image id, one image a patient."
)


@dataclass
class Case:
    """One case.

    Attributes
    ----------
    image_id, kind : str
        `kind` is what the rule found: "lost at CR 500".
    fold : int
    threshold : float or None
    scores : dict of ratio to float
    label : str
        normal, benign or malignant; "" where it is not known.
    pictures : list of CasePicture
    outline : bytes
        The lesion's outline as PNG; empty without a lesion.
    """

    image_id: str
    kind: str
    fold: int = 0
    threshold: float | None = None
    scores: Mapping[float, float] = field(default_factory=dict)
    label: str = ""
    pictures: list[CasePicture] = field(default_factory=list)
    outline: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return len(self.outline) + sum(len(picture.png) + len(picture.saliency) for picture in self.pictures)


def choose_cases(predictions: pd.DataFrame, thresholds: Mapping[int, float]) -> list[Case]:
    """Choose cases by the rule.

    Parameters
    ----------
    predictions : DataFrame
        Of one model and one training seed, trained uncompressed: fold, patient_id, image_id, test_ratio, label, score.
    thresholds : mapping of fold to float
    """
    limits = predictions["fold"].map(thresholds)
    table = predictions.assign(threshold=limits, recalled=predictions["score"] >= limits)
    index = ["image_id", "patient_id", "label", "threshold", "fold"]
    scores = table.pivot_table(index=index, columns="test_ratio", values="score")
    recalled = table.pivot_table(index=index, columns="test_ratio", values="recalled", aggfunc="first").astype(bool)
    if 1.0 not in recalled:
        return []
    rows = recalled[recalled[1.0]].reset_index()
    ratios = [float(ratio) for ratio in recalled.columns.to_numpy(float) if ratio > 1]
    kept = rows[ratios].to_numpy(bool)
    rows["lost_at"] = [ratios[int(np.argmin(row))] if not row.all() else np.inf for row in kept]
    rows = rows.sort_values(["lost_at", "image_id"])
    positive = rows["label"] == 1
    groups = (
        (rows[positive & np.isfinite(rows["lost_at"])], MAX_LOST),
        (rows[positive & ~np.isfinite(rows["lost_at"])], MAX_KEPT),
        (rows[~positive].sort_values("image_id"), MAX_FALSE),
    )
    cases: list[Case] = []
    patients: set[str] = set()
    for group, most in groups:
        fresh = group[~group["patient_id"].isin(patients)].drop_duplicates("patient_id").head(most)
        patients |= set(fresh["patient_id"])
        for row in fresh.to_dict("records"):
            of_image = scores.loc[tuple(row[name] for name in index)]
            found = {float(ratio): float(value) for ratio, value in of_image.items()}
            cases.append(Case(row["image_id"], _kind(row), row["fold"], row["threshold"], found))
    return cases


def _kind(row: Mapping[Any, Any]) -> str:
    if row["label"] != 1:
        return "negative, recalled uncompressed"
    lost = row["lost_at"]
    return f"positive, lost at CR {ratio_text(lost)}" if np.isfinite(lost) else "positive, recalled at every ratio"


def cases_section(run: RunFolder, metrics: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Collect the section's template variables, None without pictures, and the names of example files left out."""
    chosen = _chosen(run, metrics)
    crops, refused = crop_cases(run)
    labels = _labels(run)
    shown, left_out, used = [], 0, 0
    for case in [*chosen, *(Case(image_id, "crop of the full image", pictures=found) for image_id, found in crops)]:
        if not case.pictures:
            continue
        if used + case.size > MAX_BYTES:
            left_out += 1
            continue
        used += case.size
        case.label = case.label or labels.get(case.image_id, "")
        shown.append(case)
    if not shown:
        return None, refused
    audit = _audit(run)
    by_rule = any(case.scores for case in shown)
    entries = [_entry(number, case, audit) for number, case in enumerate(shown)]
    return {"cases": entries, "rule": RULE if by_rule else None, "left_out": left_out}, refused


def _chosen(run: RunFolder, metrics: Mapping[str, Any]) -> list[Case]:
    """Choose cases and read their pictures; none without scores, a threshold or a dataset."""
    model = primary_model(metrics)
    operating, parts = model.get("operating_point"), run.readable_parts()
    if not run.predictions.exists() or not parts or not operating:
        return []
    table = read_predictions(run.predictions)
    own = table[(table["model"] == model["name"]) & (table["train_ratio"] == "1")]
    own = own[own["seed"] == model["seeds"][0]]
    folds = [fold["fold"] for fold in model["counts"]["folds"]]
    cases = choose_cases(own, dict(zip(folds, operating["thresholds"][0])))
    found = stored_pictures(parts, {case.image_id: sorted(case.scores) for case in cases})
    cases = [case for case in cases if case.image_id in found]
    overlays = saliency_overlays(run, {case.image_id: case.fold for case in cases}, found)
    for case in cases:
        record, maps = found[case.image_id], overlays.get(case.image_id, {})
        case.label, case.outline = LABELS[record.label], record.outline
        case.pictures = [CasePicture(ratio, png, maps.get(ratio, b"")) for ratio, png in record.pictures.items()]
    return cases


def _labels(run: RunFolder) -> dict[str, str]:
    images = read_table(run.images, ("patient_id", "label"))
    if images is None or "image_id" not in images:
        return {}
    return dict(zip(images["image_id"].astype(str), images["label"]))


def _audit(run: RunFolder) -> dict[tuple[str, float], dict[str, Any]]:
    audit = read_table(run.audit, AUDIT_COLUMNS)
    rows = [] if audit is None else audit.to_dict("records")
    return {(str(row["image_id"]), float(row["ratio"])): {str(k): v for k, v in row.items()} for row in rows}


def _entry(number: int, case: Case, audit: Mapping[tuple[str, float], dict[str, Any]]) -> dict[str, Any]:
    """Return a case as the template's variables."""
    named = ", ".join(filter(None, [case.label, case.kind]))
    return {
        "number": number,
        "title": f"{case.image_id}: {named}",
        "outline": data_uri(case.outline, "image/png") if case.outline else None,
        "pictures": [
            {
                "ratio": picture.ratio,
                "name": ratio_name(picture.ratio),
                "uri": data_uri(picture.png, "image/png"),
                "saliency": data_uri(picture.saliency, "image/png") if picture.saliency else None,
                "facts": _facts(case, picture.ratio, audit),
            }
            for picture in case.pictures
        ],
    }


def _facts(case: Case, ratio: float, audit: Mapping[tuple[str, float], dict[str, Any]]) -> str:
    """Say a picture's score and bytes in words."""
    texts = []
    if ratio in case.scores and case.threshold is not None:
        score = case.scores[ratio]
        called = f"at or above the threshold of {case.threshold:.3f}: recalled"
        missed = f"below the threshold of {case.threshold:.3f}: not recalled"
        texts.append(f"score {score:.3f}, {called if score >= case.threshold else missed}".replace("-", "\u2212"))
    source = case.image_id if (case.image_id, ratio) in audit else case.image_id.rpartition(".")[0]
    if (source, ratio) in audit:
        texts.append(f"the image's file has {exact_bytes(audit[source, ratio])}")
    return "; ".join(texts)
