"""A trained network: loading it, checking its record, and scoring images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mammo_jax.run_subfolders import ModelFolder
from mammo_jax.training.checkpoints import CheckpointError, load_checkpoint
from mammo_jax.training.step import Steps, build_steps
from mammo_jax.training_config import TrainingConfig


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with its settings and its record.

    Attributes
    ----------
    config : TrainingConfig
    variables : dict
        "params" and "batch_stats" as NumPy arrays.
    record : dict
        ratio, fold, seed, best_epoch, validation_auroc, history, training_patients, …
    """

    config: TrainingConfig
    variables: dict[str, Any]
    record: dict[str, Any]


def load_model(directory: Path) -> TrainedModel:
    """Read a finished model from its folder.

    Raises
    ------
    CheckpointError
        If it is missing or damaged.
    """
    variables, record = load_checkpoint(ModelFolder(directory).checkpoint)
    settings = {**record["config"], "filters": tuple(record["config"]["filters"])}
    return TrainedModel(TrainingConfig(**settings), variables, record)


def predict(trained: TrainedModel, images: np.ndarray) -> np.ndarray:
    """Score images with a trained network.

    Parameters
    ----------
    trained : TrainedModel
    images : uint16 [n, rows, columns, 1]

    Returns
    -------
    float64 [n]
        Logits: higher means more positive. Probabilities would have ties at 0 and 1.
    """
    steps = build_steps(trained.config)
    variables = steps.parallel.replicate(trained.variables)
    return run_batches(steps, variables, images, trained.config.batch_size)


def settings_of(config: TrainingConfig) -> dict[str, Any]:
    """Return the part of a model's record with its settings, in the form that JSON returns."""
    return {"config": json.loads(json.dumps(asdict(config)))}


def check_record(directory: Path, record: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare a finished model's record with the expected values.

    Raises
    ------
    CheckpointError
        If a value differs; the message names the first one and what to do.
    """
    different = [key for key, value in expected.items() if record.get(key) != value]
    if different:
        raise CheckpointError(
            f"{directory}: has a model with another {different[0]} ({record.get(different[0])!r}, not"
            f" {expected[different[0]]!r}); choose another run folder, or remove this one to train again"
        )


def run_batches(steps: Steps, variables: Any, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Compute the logits of all images, float64 [n], in batches of one shape; `variables` are replicated."""
    rows = steps.parallel.rows(batch_size)
    logits = []
    for first in range(0, len(images), batch_size):
        batch = images[first : first + batch_size][rows.start : rows.stop]
        missing = len(rows) - len(batch)
        batch = np.pad(batch, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else batch
        logits.append(steps.predict(variables, steps.parallel.spread(batch)))
    gathered = [steps.parallel.gather(values)[:batch_size] for values in logits]
    return np.concatenate(gathered)[: len(images)].astype(np.float64)
