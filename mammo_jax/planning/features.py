"""Whether the networks that a study starts from are there and may be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from mammo_jax.planning.errors import PlanError
from mammo_jax.run_folder import RunFolder
from mammo_jax.training.checkpoints import read_metadata
from mammo_jax.training_config import TrainingConfig

SHARED = ("model", "filters", "first_kernel")
"""Settings that both networks must have in common."""


def check_features(
    features: RunFolder,
    seeds: Iterable[int],
    train_ratios: Iterable[float | str],
    held_out: Sequence[frozenset[str]],
    config: TrainingConfig,
) -> None:
    """Check each network by its record; the weights are not read.

    Parameters
    ----------
    features : RunFolder
        The run of --features-from.
    seeds, train_ratios
        Of the study's trainings.
    held_out : sequence of frozenset of str
        The patients that are tested, of each fold.
    config : TrainingConfig
        Of the study.

    Raises
    ------
    PlanError
        A network is missing, has another architecture, or was trained on a patient that it would be tested with.
    CheckpointError
        The record of one cannot be read.
    """
    for seed, ratio, (fold, patients) in product(seeds, train_ratios, enumerate(held_out)):
        folder = features.model(seed, ratio, fold)
        if not folder.checkpoint.exists():
            raise PlanError(
                f"--features-from: {folder.path} has no finished network; train that run with the same --seeds,"
                " --train-ratios and --folds first"
            )
        record = read_metadata(folder.checkpoint)
        for name in SHARED:
            theirs, ours = record["config"][name], getattr(config, name)
            if theirs != (list(ours) if isinstance(ours, tuple) else ours):
                raise PlanError(f"--features-from: {folder.path} has {name} {theirs}, this study {ours}; make them one")
        if leaked := patients & set(record["training_patients"]):
            raise PlanError(
                f"--features-from: the network in {folder.path} was trained on {len(leaked)} patients of fold {fold};"
                " take a run of other patients"
            )
