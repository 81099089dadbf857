"""Which patients of the training folds a network is validated with."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.training_config import TrainingConfig, TrainingError


def training_rows(examples: Examples, fold: int) -> np.ndarray:
    """Return the rows of all folds but one, int64 [n]."""
    return np.flatnonzero(examples.folds != fold)


def run_seed_of(seed: int, fold: int) -> int:
    """Return the seed of one network's training, from that of the grid."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def validation_examples(examples: Examples, fold: int, config: TrainingConfig, seed: int) -> Examples:
    """Return the examples that the network of a fold and a seed of the grid was validated with.

    They chose the epoch, but no weight was fitted to them, unless validation_parts is 1.

    Parameters
    ----------
    examples : Examples
        Of one ratio, all folds.
    fold : int
        The held-out fold.
    config : TrainingConfig
    seed : int
    """
    training = examples.take(training_rows(examples, fold))
    name = f"validation of fold {fold}, seed {seed}"
    validating = validation_rows(training, config.validation_parts, run_seed_of(seed, fold), name)
    return training.take(np.flatnonzero(validating))


def validation_rows(training: Examples, parts: int, seed: int, name: str) -> np.ndarray:
    """Select about 1/parts of the patients, stratified by target, for validation.

    Returns
    -------
    bool [n]
        True for rows of validation patients; with one part, all True.

    Raises
    ------
    TrainingError
        If validation or training would lack one of the two targets.
    """
    patients = [len(np.unique(training.patient_ids[training.targets == target])) for target in (0, 1)]
    if min(patients) < parts:
        raise TrainingError(
            f"{name}: {patients[0]} negative and {patients[1]} positive patients outside of the fold, but"
            f" {parts} of each are needed (validation_parts); use more --folds, fewer --validation-parts or more images"
        )
    if parts == 1:
        return np.ones(len(training), bool)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for _, rows in splitter.split(training.targets, training.targets, training.patient_ids):
        validating = np.isin(np.arange(len(training)), rows)
        if all(len(np.unique(training.targets[part])) == 2 for part in (validating, ~validating)):
            return validating
    raise TrainingError(
        f"{name}: no split of the patients puts both targets into training and validation; use more images"
    )
