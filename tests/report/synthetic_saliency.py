"""Synthetic saliency results of a run: tables, from which `summarise` computes a summary, and panels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from synthetic_run import png

from mammo_jax.ratios import LADDER, ratio_text
from mammo_jax.saliency.faithfulness import FRACTIONS
from mammo_jax.saliency.localisation import MEASURES
from mammo_jax.saliency.methods import CONTROL, METHODS
from mammo_jax.saliency.stage import CASCADE, OTHER_SEED, RANDOM_LABELS, RANDOM_ORDER, TRAINED
from mammo_jax.saliency.summary import summarise

PRIMARY = "ig_blurred"
FEW_IMAGES = 6
"""Number of images whose lesion has few positions; for them no map differs from chance."""
LAYERS = ("Dense_0", "Conv_0")


def image_table(images: int = 24, floor: bool = True) -> pd.DataFrame:
    """Return a table in which the trained model localises best, and Grad-CAM's maps do not depend on the model."""
    cells = [(TRAINED, "", ratio, method) for ratio in (1.0, *LADDER) for method in (PRIMARY, "grad_cam", CONTROL)]
    cells += [(TRAINED, "", 1.0, method) for method in METHODS if method not in (PRIMARY, "grad_cam")]
    models = [(RANDOM_LABELS, ""), *((CASCADE, layer) for layer in LAYERS), *([(OTHER_SEED, "")] if floor else [])]
    cells += [(model, layer, 1.0, method) for model, layer in models for method in METHODS]
    rows = []
    for model, layer, ratio, method in cells:
        rng = np.random.default_rng(len(rows))
        skill = {TRAINED: 0.4 / (1 + ratio / 3000), OTHER_SEED: 0.4}.get(model, 0.0) * (method != CONTROL)
        control = 0.7 if method == "grad_cam" else 0.1
        similarity = {TRAINED: 1 / (1 + (ratio - 1) / 3000), OTHER_SEED: 0.7}.get(model, control)
        for image in range(images):
            noise = rng.normal(0, 0.05, 1 + len(MEASURES))
            row = {
                "model": model, "layer": layer, "ratio": ratio, "fold": image // 2 % 3, "method": method,
                "image_id": f"image {image:02}", "patient_id": f"patient {image // 2:02}",
                "score": image % 4 - 0.5 - ratio / 5000, "positions": 12 if image < FEW_IMAGES else 150, "steps": 64,
                "gap": np.nan if method in ("grad_cam", CONTROL) else 1e-3, "complete": image > 0 or method != PRIMARY,
                "spearman": similarity - abs(noise[0]) * (similarity < 1), "ssim": similarity,
            }  # fmt: skip
            for measure, extra in zip(MEASURES, noise[1:]):
                # The plain image is as good by AUPRC and better by the IoU at Otsu's threshold.
                gain = {"average_precision": 0.4, "iou_otsu": 0.8}.get(measure, 0) * (method == CONTROL)
                value = 0.3 if image < FEW_IMAGES else 0.3 + skill + gain + extra
                row |= {measure: value, f"{measure}_chance": 0.3}
            rows.append(row)
    return pd.DataFrame(rows)


def faithfulness_table(images: int = 24) -> pd.DataFrame:
    rows = []
    for method in (*METHODS, CONTROL, RANDOM_ORDER):
        for image in range(images):
            for curve in ("insertion", "deletion"):
                for fraction in FRACTIONS:
                    probability = fraction ** (1.0 if method == RANDOM_ORDER else 0.5)
                    rows.append(
                        {
                            "image_id": f"image {image:02}", "patient_id": f"patient {image // 2:02}",
                            "fold": image // 2 % 3, "method": method, "curve": curve, "fraction": fraction,
                            "probability": probability if curve == "insertion" else 1 - probability,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def write_saliency(run: Path, floor: bool = True, label_auroc: float = 0.99) -> dict:
    folder = run / "saliency"
    (folder / "panels").mkdir(parents=True)
    summary = summarise(
        image_table(floor=floor),
        faithfulness_table(),
        primary=PRIMARY,
        resamples=200,
        label_aurocs=[1.0, label_auroc, 1.0],
    )
    (folder / "summary.json").write_text(json.dumps(summary))
    for ratio in (1.0, *LADDER):
        (folder / "panels" / f"image 01_{ratio_text(ratio)}.png").write_bytes(png(40))
    return summary
