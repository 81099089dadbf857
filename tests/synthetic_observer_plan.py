"""A small study for the observers: a bright disk in noise that fades as the ratio rises, and tables of its files."""

from dataclasses import replace

import numpy as np
import pandas as pd

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.observer.stage import ObserverPlan

SIZE, SIDE = 16, 64.0
CONTRASTS = {1.0: 3.0, 15.0: 2.8, 1000.0: 0.4}


def examples(ratio: float = 1.0, *, patients: int = 80, patches: int = 4, folds: int = 4, seed: int = 0) -> Examples:
    """Return patches of patients of whom every second has one positive patch; an image has two patches."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), patches)
    place = np.tile(np.arange(patches), patients)
    targets = ((patient % 2 == 1) & (place == 0)).astype(np.int64)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disk = (rows**2 + columns**2 < 9).astype(float)
    noise = random.normal(size=(len(patient), SIZE, SIZE))
    images = 30000 + 1500 * (noise + CONTRASTS[ratio] * targets[:, None, None] * disk)
    return Examples(
        ratio=f"{ratio:g}",
        images=images.clip(0, 65535).astype(np.uint16)[..., None],
        targets=targets,
        labels=2 * targets,
        folds=(patient // 2 % folds).astype(np.int64),
        image_ids=np.array([f"image{p:03}-{k // 2}.site{k % 2}" for p, k in zip(patient, place)]),
        patient_ids=np.array([f"patient{p:03}" for p in patient]),
        masks=np.zeros((len(patient), SIZE, SIZE, 1), np.uint8),
        breasts=np.full((len(patient), SIZE, SIZE, 1), 255, np.uint8),
    )


def tables(table: Examples, *, leak: float = 0.0, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return audit.csv and images.csv; with a leak the PSNR of an image with a positive patch is lower."""
    random = np.random.default_rng(seed)
    image = pd.Series(table.targets).groupby([name.rpartition(".")[0] for name in table.image_ids]).max()
    audit = [
        {
            "image_id": name,
            "ratio": ratio,
            "codestream_bytes": int(20000 / ratio),
            "padding_bytes": 0,
            "psnr": 50 - np.log(ratio) - leak * target + random.normal(),
            "psnr_breast": np.inf if ratio == 15 else 40 + random.normal(),
            "bits_per_breast_pixel": 8 * int(20000 / ratio) / (5000 + 7 * position),
        }
        for ratio in CONTRASTS
        if ratio > 1
        for position, (name, target) in enumerate(image.items())
    ]
    size = {"rows": 100, "columns": 100, "bits_allocated": 16, "pixel_pitch": 0.25}
    return pd.DataFrame(audit), pd.DataFrame({"image_id": image.index, **size})


def plan(*, leak: float = 0.0, **changes) -> ObserverPlan:
    """Return the plan of the study."""
    audit, images = tables(examples(), leak=leak)
    whole = ObserverPlan(
        name="a run",
        read=examples,
        ratios=tuple(CONTRASTS),
        sides=pd.Series(SIDE, index=images["image_id"]),
        audit=audit,
        images=images,
    )
    return replace(whole, **changes)
