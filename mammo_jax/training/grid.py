"""Every model of a study: seeds × trained ratios × folds, trained and tested on the held-out fold, one folder each.

What is finished is recognised and never done again. On CPU the models are spread over processes of one core each:
networks this small gain little from a second core, two of them gain nearly all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from mammo_jax.dataset.input_pipeline import Examples, mix
from mammo_jax.devices import wait_for_all, writes_files
from mammo_jax.processes import available_cores, results_as_completed
from mammo_jax.progress import progress
from mammo_jax.provenance import log_epoch, log_event
from mammo_jax.ratios import MIXED, ratio_text
from mammo_jax.run_folder import RunFolder
from mammo_jax.run_subfolders import ModelFolder
from mammo_jax.runtime import set_up_training_worker, worker_environment
from mammo_jax.statistics.predictions import BREAST, merge_predictions, read_predictions, write_predictions
from mammo_jax.training.checkpoints import read_metadata
from mammo_jax.training.loop import CHECKPOINT_SECONDS, TrainingError, train_model
from mammo_jax.training.starting_weights import origin
from mammo_jax.training.trained_model import TrainedModel, check_record, load_model, predict, settings_of
from mammo_jax.training.validation import validation_examples
from mammo_jax.training_config import TrainingConfig

MAX_WORKERS = 8  # each takes 1.2 GB with TensorFlow and JAX loaded, with a ResNet18 2 GB
CACHE_BYTES = 1 << 30  # examples that a process keeps in memory between models


@dataclass(frozen=True)
class ModelTask:
    """One model: what it is trained on and what it is tested on."""

    seed: int
    train_ratio: float | str
    fold: int
    test_ratios: tuple[float, ...]

    def folder(self, run: RunFolder) -> ModelFolder:
        """Where the model and its predictions lie."""
        return run.model(self.seed, self.train_ratio, self.fold)

    @property
    def names(self) -> dict[str, Any]:
        """What names the model in the logs."""
        return {"train_ratio": ratio_text(self.train_ratio), "fold": self.fold, "seed": self.seed}


def run_grid(
    read_examples_by_ratio: Callable[[float], Examples],
    folds: Sequence[int],
    train_ratios: Sequence[float | str],
    test_ratios: Sequence[float],
    seeds: Sequence[int],
    config: TrainingConfig,
    run: RunFolder,
    *,
    initial_features: RunFolder | None = None,
    features_seed: int | None = None,
    transfer_matrix: bool = True,
    workers: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> pd.DataFrame:
    """Train and test every model that is missing, then merge all predictions into the run's table.

    Models trained at CR 1 also score the patients that they were validated with, for the threshold of the operating
    point; these scores come into validation.parquet, if there are validation patients.

    Every model is tested on every ratio, one split after the other. Without the transfer matrix only those trained at
    CR 1 and on the mixture are, and the others on their own ratio.

    Parameters
    ----------
    read_examples_by_ratio : callable
        Ratio → Examples; picklable, for it is called in the workers.
    folds : sequence of int
    train_ratios : sequence of float or "mixed"
        "mixed" trains on all test ratios: each epoch sees each example at one of them.
    test_ratios : sequence of float
    seeds : sequence of int
    config : TrainingConfig
    run : RunFolder
        Gets the models, a line in its log for each, and a line in its training log for each epoch.
    initial_features : RunFolder or None
        Another grid with the same folds; each model starts from the one there with the same seed,
        ratio and fold.
    features_seed : int or None
        Start all models from the networks of this seed instead.
    transfer_matrix : bool
    workers : int or None
        Processes. None: one for each core on CPU (at most 8), otherwise this process alone, with all its devices.
    checkpoint_seconds : float
        Time after which an unfinished model is written.

    Returns
    -------
    DataFrame
        The predictions table.

    Raises
    ------
    TrainingError, ModelError, PretrainedError, CheckpointError, DatasetError, PredictionsError, WorkerError
        From the first model that fails; finished models stay.
    """
    everywhere = train_ratios if transfer_matrix else (1, MIXED)
    tasks = [
        ModelTask(seed, ratio, fold, tuple(test_ratios) if ratio in everywhere else (float(ratio),))
        for seed, ratio, fold in product(seeds, train_ratios, folds)
    ]
    missing = [task for task in tasks if not _is_finished(task, run, config)]
    if missing and initial_features is None:
        origin(config, None)  # stops now where there is none, and fetches weights once instead of in every process
    mixed = tuple(test_ratios)
    runner = _Runner(read_examples_by_ratio, mixed, config, run, initial_features, features_seed, checkpoint_seconds)
    with progress("training", len(tasks), "model", len(tasks) - len(missing)) as bar:
        for line in _run_all(runner, missing, workers):
            if writes_files():
                log_event(run, "model", **line)
            bar.set_postfix_str(f"last validation AUROC {line['validation_auroc']:.3f}", refresh=False)
            bar.update()
    if writes_files():
        merge_predictions([task.folder(run).predictions for task in tasks], run.predictions)
        if scored := [task.folder(run).validation for task in tasks if _scores_validation(task, config)]:
            merge_predictions(scored, run.validation, validation=True)
    wait_for_all("predictions merged")
    return read_predictions(run.predictions)


def _is_finished(task: ModelTask, run: RunFolder, config: TrainingConfig) -> bool:
    """Whether the model is there, with these settings, and its predictions for exactly these test ratios."""
    folder = task.folder(run)
    if not folder.checkpoint.exists():
        return False
    wanted = {**settings_of(config), "ratio": ratio_text(task.train_ratio), "fold": task.fold, "seed": task.seed}
    check_record(folder.path, read_metadata(folder.checkpoint), wanted)
    if not folder.predictions.exists() or (_scores_validation(task, config) and not folder.validation.exists()):
        return False
    tested = pq.read_table(folder.predictions, columns=["test_ratio"])["test_ratio"].to_pylist()
    return set(tested) == set(task.test_ratios)


def _scores_validation(task: ModelTask, config: TrainingConfig) -> bool:
    return task.train_ratio == 1 and config.validation_parts > 1


@dataclass
class _Runner:
    """Trains and tests one model after the other in one process."""

    read: Callable[[float], Examples]
    mixed: tuple[float, ...]
    config: TrainingConfig
    run_folder: RunFolder
    initial_features: RunFolder | None
    features_seed: int | None
    checkpoint_seconds: float

    def __post_init__(self) -> None:
        self.cache: dict[float | str, Examples] = {}

    def run(self, task: ModelTask) -> dict[str, Any]:
        """Train the model unless it exists, predict its held-out fold, and return its line for the log."""
        start = time.monotonic()
        folder = task.folder(self.run_folder)
        trained = train_model(
            self.examples(task.train_ratio),
            task.fold,
            self.config,
            task.seed,
            folder.path,
            initial_features=self._features(task),
            checkpoint_seconds=self.checkpoint_seconds,
            on_epoch=partial(log_epoch, self.run_folder, **task.names),
        )
        tables = [self._predictions(trained, task, ratio) for ratio in task.test_ratios]
        validation = self._validation(trained, task) if _scores_validation(task, self.config) else None
        if writes_files():
            write_predictions(folder.predictions, pd.concat(tables, ignore_index=True))
            if validation is not None:
                write_predictions(folder.validation, validation, validation=True)
        return {
            "model": self.config.model,
            **task.names,
            "epochs": len(trained.record["history"]),
            "best_epoch": trained.record["best_epoch"],
            "validation_auroc": trained.record["validation_auroc"],
            "initial_features": trained.record["initial_features"],
            "pretrained_sha256": trained.record["pretrained_sha256"],
            "seconds": round(time.monotonic() - start, 2),
        }

    def examples(self, ratio: float | str) -> Examples:
        """Return a ratio's examples, from the cache if possible; the oldest are dropped when the cache is full."""
        if ratio not in self.cache:
            self.cache[ratio] = mix(map(self.read, self.mixed)) if isinstance(ratio, str) else self.read(ratio)
            while len(self.cache) > 1 and sum(cached.images.nbytes for cached in self.cache.values()) > CACHE_BYTES:
                del self.cache[next(iter(self.cache))]
        return self.cache[ratio]

    def _features(self, task: ModelTask) -> TrainedModel | None:
        if self.initial_features is None:
            return None
        seed = task.seed if self.features_seed is None else self.features_seed
        return load_model(replace(task, seed=seed).folder(self.initial_features).path)

    def _predictions(self, trained: TrainedModel, task: ModelTask, ratio: float) -> pd.DataFrame:
        examples = self.examples(ratio)
        held_out = examples.take(np.flatnonzero(examples.folds == task.fold))
        if not len(held_out):
            raise TrainingError(f"fold {task.fold} is empty at ratio {ratio_text(ratio)}; use fewer folds")
        leaked = set(held_out.patient_ids.tolist()) & set(trained.record["training_patients"])
        if leaked:
            raise TrainingError(
                f"{len(leaked)} patients of fold {task.fold} at ratio {ratio_text(ratio)} are in another fold at ratio"
                f" {ratio_text(task.train_ratio)}; prepare all ratios in one run"
            )
        return self._scores(trained, task, ratio, held_out)

    def _validation(self, trained: TrainedModel, task: ModelTask) -> pd.DataFrame:
        examples = validation_examples(self.examples(1.0), task.fold, self.config, task.seed)
        return self._scores(trained, task, 1.0, examples)

    def _scores(self, trained: TrainedModel, task: ModelTask, ratio: float, examples: Examples) -> pd.DataFrame:
        table = {
            "model": self.config.model,
            "train_ratio": ratio_text(task.train_ratio),
            "test_ratio": ratio,
            "fold": task.fold,
            "seed": task.seed,
            "patient_id": examples.patient_ids,
            "image_id": examples.image_ids,
            "label": examples.targets,
            "score": predict(trained, examples.images),
        }
        known = examples.lateralities is not None
        return pd.DataFrame(table | {BREAST: examples.lateralities} if known else table)


def _run_all(runner: _Runner, tasks: list[ModelTask], workers: int | None) -> Iterator[dict[str, Any]]:
    """Run the tasks here or in processes, yielding a log line for each as it ends."""
    if not tasks:
        return
    together = jax.process_count() > 1  # then all processes share each model
    workers = 1 if together else min(len(tasks), default_workers() if workers is None else workers)
    if workers <= 1:
        yield from map(runner.run, tasks)
        return
    results = results_as_completed(
        runner.run, tasks, workers, set_up=set_up_training_worker, environment=worker_environment()
    )
    yield from (line for _, line in results)


def default_workers() -> int:
    """Return how many processes train at a time, where nothing else is asked for."""
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return 1  # the devices share each batch instead
    return min(MAX_WORKERS, available_cores())
