"""Predictions tables with known structure, for the tests of the statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd


def predictions_table(
    losses: Mapping[tuple[str, float], float],
    *,
    patients: int = 360,
    images_per_patient: int = 2,
    folds: int = 5,
    seeds: int = 1,
    separation: float = 2.0,
    seed_noise: float = 0.0,
    model: str = "cnn",
    random_state: int = 0,
) -> pd.DataFrame:
    """Return predictions for each (train ratio, test ratio), with scores of signal + loss × noise.

    A loss of 0 keeps the ranking of the images; the greater the loss, the nearer to chance. `seed_noise` is independent
    for every (cell, seed), like the noise of another training run.
    """
    rng = np.random.default_rng(random_state)
    patient = np.repeat(np.arange(patients), images_per_patient)
    malignant = rng.permutation(patients) < patients // 4
    label = (malignant[patient] & (rng.random(len(patient)) < 0.7)).astype(int)
    label[np.arange(patients)[malignant] * images_per_patient] = 1  # a malignant patient has a malignant image
    signal = separation * label + rng.normal(size=len(patient)) + 0.5 * rng.normal(size=patients)[patient]
    fold = np.empty(patients, int)
    for outcome in (True, False):
        fold[malignant == outcome] = np.arange((malignant == outcome).sum()) % folds
    tables = [
        pd.DataFrame(
            {
                "model": model,
                "train_ratio": train,
                "test_ratio": test,
                "fold": fold[patient],
                "seed": seed,
                "patient_id": [f"patient {index:04d}" for index in patient],
                "image_id": [f"image {index:05d}" for index in range(len(patient))],
                "label": label,
                "score": signal + (loss + seed_noise) * rng.normal(size=len(patient)),
            }
        )
        for (train, test), loss in losses.items()
        for seed in range(seeds)
    ]
    return pd.concat(tables, ignore_index=True)


def transfer_losses(losses: Mapping[float, float]) -> dict[tuple[str, float], float]:
    """Return the losses of a model trained at CR 1 and tested at each ratio."""
    return {("1", ratio): loss for ratio, loss in losses.items()}
