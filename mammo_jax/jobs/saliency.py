"""Where the networks look, and what compression changes of it: `mammo-jax saliency`, same flags as study.

Needs a trained study. Trains one model a fold on permuted labels, until it has learnt them, and, where the study has
one training seed, one with another seed, both at CR 1. Interrupted, it goes on where it was.

Writes RUN/saliency/: maps/ (NumPy .npz), images.parquet (every measure of every image), faithfulness.parquet,
summary.json, panels/; and the report anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from mammo_jax.dataset.input_pipeline import Examples, read_examples
from mammo_jax.dataset.parts import DatasetError
from mammo_jax.files import write_json
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.study_run import run_study_job
from mammo_jax.provenance import log_event
from mammo_jax.report import build_report
from mammo_jax.run_subfolders import FoldModels
from mammo_jax.saliency.panels import write_panels
from mammo_jax.saliency.randomisation import memorisation_config, read_with_permuted_targets
from mammo_jax.saliency.stage import OTHER_SEED, RANDOM_LABELS, TRAINED, SaliencyError, SaliencyPlan, measure_saliency
from mammo_jax.saliency.summary import summarise
from mammo_jax.training.checkpoints import read_metadata
from mammo_jax.training.grid import run_grid
from mammo_jax.training_config import TrainingConfig


def measure(config: StudyConfig) -> bool:
    """Run the whole stage; return False where it was done before."""
    folder = config.run.saliency
    if folder.summary.exists():
        return False
    if not config.run.predictions.exists():
        raise DatasetError(f"{config.out}: no trained models; run `mammo-jax study` with the same flags first")
    dataset = config.run.readable_parts()
    _check_marks(config, read_examples(dataset, 1.0, masks=True))
    plan = SaliencyPlan(
        folder=folder,
        read=partial(read_examples, dataset, masks=True),
        ratios=(1.0, *config.ratios),
        folds=config.folds,
        method=config.saliency_method,
        models=_models(config, dataset),
    )
    images = measure_saliency(plan)
    write_panels(folder, images, config.saliency_method)
    faithfulness = pd.read_parquet(folder.faithfulness)
    figures = summarise(
        images,
        faithfulness,
        primary=config.saliency_method,
        resamples=config.resamples,
        label_aurocs=[_training_auroc(plan.models[RANDOM_LABELS], fold) for fold in range(config.folds)],
    )
    write_json(folder.summary, figures)
    log_event(config.run, "saliency", **figures["counts"])
    return True


def _check_marks(config: StudyConfig, examples: Examples) -> None:
    """Refuse, before any model is trained, a study in which no positive image has a lesion mark."""
    if examples.masks is None or not examples.masks[examples.targets == 1].any():
        raise SaliencyError(
            f"{config.out}: no positive image has a lesion mark in it, so there is nothing that a map could be held"
            " against; leave --saliency out"
        )


def _models(config: StudyConfig, dataset: list[Path]) -> dict[str, FoldModels]:
    """Folders of the models trained at CR 1: the study's first seed, another seed, and one on permuted labels."""
    seed = config.seeds[0]
    folders = {TRAINED: config.run.models(seed, 1)}
    if len(config.seeds) > 1:
        folders[OTHER_SEED] = config.run.models(config.seeds[1], 1)
    elif config.features_from is None:  # else there are no features of that seed to start from
        folders[OTHER_SEED] = _train(config, config.training, OTHER_SEED, partial(read_examples, dataset), seed + 1)
    permuted = partial(read_with_permuted_targets, dataset, seed)
    unlike = max(config.seeds) + 2  # no other model's: with the same initial weights maps are alike for that alone
    return folders | {
        RANDOM_LABELS: _train(config, memorisation_config(config.training), RANDOM_LABELS, permuted, unlike)
    }


def _train(
    config: StudyConfig, training: TrainingConfig, name: str, read: Callable[[float], Examples], seed: int
) -> FoldModels:
    """Train one model a fold at CR 1 into RUN/saliency/NAME, from the features of the study's first seed if any."""
    run = config.run.saliency.run(name)
    run_grid(
        read,
        range(config.folds),
        [1.0],
        [1.0],
        [seed],
        training,
        run,
        initial_features=config.features_run,
        features_seed=config.seeds[0],
        workers=config.workers,
    )
    return run.models(seed, 1)


def _training_auroc(models: FoldModels, fold: int) -> float:
    """AUROC of a model that was validated on its own training examples, on those."""
    return float(read_metadata(models.fold(fold).checkpoint)["validation_auroc"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_study_job("saliency", _measure_and_report, arguments, networks=True)


def _measure_and_report(config: StudyConfig) -> None:
    measured = measure(config)
    if config.run.metrics.exists():
        print(f"report: {build_report(config.run) if measured else config.run.report}")
