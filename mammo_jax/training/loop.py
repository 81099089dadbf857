"""The training loop: one network on the training folds, with early stopping on validation patients among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization

from mammo_jax.dataset.input_pipeline import Examples, batches, one_ratio_each, steps_per_epoch
from mammo_jax.devices import agree, wait_for_all, writes_files
from mammo_jax.run_subfolders import ModelFolder
from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.training.checkpoints import ProgressCheckpoints, save_checkpoint
from mammo_jax.training.starting_weights import check_features, origin, starting_state
from mammo_jax.training.step import StepInputs, TrainState, build_steps, learning_rate
from mammo_jax.training.trained_model import TrainedModel, check_record, load_model, run_batches, settings_of
from mammo_jax.training.validation import run_seed_of, training_rows, validation_rows
from mammo_jax.training_config import TrainingConfig, TrainingError

CHECKPOINT_SECONDS = 20.0  # time between checkpoints: the most that an interruption can cost
CLOCK_STEPS = 16  # the time is checked after so many steps, and at the end of each epoch


@dataclass
class _TrainingProgress:
    """The state of a training after a step: all that is needed to resume it; `ProgressCheckpoints` stores it."""

    state: TrainState
    step: int
    losses: list[float]  # of the current epoch
    best_variables: dict[str, Any]
    history: list[dict[str, float]]

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, counted from 1."""
        losses = [epoch["validation_loss"] for epoch in self.history]
        return 1 + losses.index(min(losses))


def train_model(
    examples: Examples,
    fold: int,
    config: TrainingConfig,
    seed: int,
    directory: Path,
    *,
    initial_features: TrainedModel | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_epoch: Callable[..., None] | None = None,
) -> TrainedModel:
    """Train a network on every fold except `fold`, or load it if it is already trained.

    The weights of the epoch with the lowest class-balanced log loss on the validation patients are selected. The study
    reports AUROC, but with a few dozen validation patients the AUROC of an early epoch can be high by chance and then
    stop a training too early; the loss changes more smoothly. Without early stopping the two hardly differ. Initial
    weights, validation patients, order and augmentation depend only on (seed, fold), so that models of different ratios
    differ only by the ratio. With one validation part the network is validated on its training examples, and the
    weights that fit them best are selected.

    Parameters
    ----------
    examples : Examples
        Of one ratio or a mixture; those of `fold` are not used.
    fold : int
    config : TrainingConfig
    seed : int
    directory : Path
        The model's own folder: "progress" during the training, "model" when it is finished.
    initial_features : TrainedModel or None
        Start from this network, of the same architecture (Shen et al., Sci Rep 2019;9:12495, start whole-image
        networks from patch networks).
    checkpoint_seconds : float
        Time between checkpoints.
    on_epoch : callable, optional
        Is told of the end of every epoch, by the keywords epoch (from 1), loss, validation_auroc and validation_loss.

    Raises
    ------
    TrainingError
        If the loss is not finite, there are too few patients, `initial_features` has other shapes or was trained on a
        held-out patient, or a classifier of sliding windows does not start from a patch network.
    ModelError, PretrainedError
        If the network cannot be built, or its pretrained weights cannot be obtained.
    CheckpointError
        If the folder has a model with other settings or data, or a damaged one.
    """
    training = examples.take(training_rows(examples, fold))
    name = f"{config.model} trained at ratio {examples.ratio}, fold {fold}, seed {seed}"
    identity = _identity(training, fold, config, seed, initial_features)
    folder = ModelFolder(directory)
    if folder.checkpoint.exists():
        trained = load_model(directory)
        check_record(directory, trained.record, identity)
        return trained
    if initial_features is not None:
        check_features(initial_features, examples, fold, config, name)
    run_seed = run_seed_of(seed, fold)
    validating = validation_rows(training, config.validation_parts, run_seed, name)
    run = _Run(training, validating, config, run_seed, initial_features, name, on_epoch)
    patients = sorted(set(training.patient_ids.tolist()))
    del training  # the run has its own copy, and TensorFlow another one
    progress = run.train(ProgressCheckpoints(folder.progress), identity, checkpoint_seconds)
    best = progress.history[progress.best_epoch - 1]
    record = {
        **identity,
        "best_epoch": progress.best_epoch,
        "validation_auroc": best["validation_auroc"],
        "history": progress.history,
        "training_patients": patients,
    }
    if writes_files():
        save_checkpoint(folder.checkpoint, progress.best_variables, record)
        ProgressCheckpoints(folder.progress).remove()
    wait_for_all("model written")
    return load_model(directory)


class _Run:
    """One training: its data, steps and settings."""

    def __init__(
        self,
        training: Examples,
        validating: np.ndarray,
        config: TrainingConfig,
        seed: int,
        features: TrainedModel | None,
        name: str,
        on_epoch: Callable[..., None] | None = None,
    ):
        if training.images.min() == training.images.max():
            raise TrainingError(f"{name}: all training images have one grey level; check the dataset's images")
        self.fitting = training if validating.all() else training.take(np.flatnonzero(~validating))
        self.validation = one_ratio_each(training.take(np.flatnonzero(validating)), seed)
        self.config, self.seed, self.features, self.name = config, seed, features, name
        self.on_epoch = on_epoch
        self.weights = class_weights(self.fitting.targets)
        # Features from another training are no ImageNet backbone, so they need no lower learning rate.
        starts_from_features = features is not None and config.starts_pretrained
        self.steps = build_steps(replace(config, pretrained="none") if starts_from_features else config)
        self.epoch_steps = steps_per_epoch(len(self.fitting), config.batch_size)

    def train(
        self, checkpoints: ProgressCheckpoints, identity: dict[str, Any], checkpoint_seconds: float
    ) -> _TrainingProgress:
        """Train to the end, from the last checkpoint of the same training if there is one."""
        progress = self._resume(checkpoints, identity) or self._start()
        state = self.steps.parallel.replicate(progress.state)
        saved = time.monotonic()
        losses: list[jax.Array] = []
        for batch in self._batches(progress):
            state, loss = self.steps.train(state, self.steps.parallel.spread(batch), self._inputs(progress.step))
            losses.append(loss)
            progress.step += 1
            ends_epoch = progress.step % self.epoch_steps == 0
            if not ends_epoch and progress.step % CLOCK_STEPS:
                continue
            # The host waits for the devices only here.
            self._add_losses(progress, [float(value) for value in self.steps.parallel.first(losses)])
            losses = []
            if ends_epoch:
                self._end_epoch(progress, state)
            if agree(time.monotonic() - saved >= checkpoint_seconds):
                progress.state = self.steps.parallel.first(state)
                self._save(checkpoints, progress, identity)
                saved = time.monotonic()
            if ends_epoch and self._stops_early(progress):
                break
        return progress

    def _batches(self, progress: _TrainingProgress) -> Iterator[dict[str, np.ndarray]]:
        """Yield this process's rows of every remaining batch."""
        if self._stops_early(progress):
            return iter(())
        size = self.config.batch_size
        remaining = range(progress.step, self.config.epochs * self.epoch_steps)
        return batches(self.fitting, self.weights, size, self.seed, remaining, self.steps.parallel.rows(size))

    def _inputs(self, step: int) -> StepInputs:
        rate = learning_rate(self.config, step, self.config.epochs * self.epoch_steps)
        return StepInputs(np.float32(rate), np.uint32(self.seed), np.int32(step))

    def _add_losses(self, progress: _TrainingProgress, losses: list[float]) -> None:
        """Store the losses of the last steps; TrainingError at the first that is not finite."""
        not_finite = np.flatnonzero(~np.isfinite(losses))
        if not_finite.size:
            step = progress.step - len(losses) + int(not_finite[0])
            epoch = 1 + step // self.epoch_steps
            raise TrainingError(f"{self.name}: the loss is not finite at step {step} (epoch {epoch}); {self._remedy()}")
        progress.losses += losses

    def _end_epoch(self, progress: _TrainingProgress, state: TrainState) -> None:
        """Validate, and store the result."""
        progress.history.append({"loss": float(np.mean(progress.losses)), **self._validate(state)})
        progress.losses = []
        if self.on_epoch is not None and writes_files():
            self.on_epoch(epoch=progress.epochs, **progress.history[-1])
        if progress.best_epoch == progress.epochs:
            progress.best_variables = self.steps.parallel.first(state.variables)

    def _save(self, checkpoints: ProgressCheckpoints, progress: _TrainingProgress, identity: dict[str, Any]) -> None:
        if writes_files():
            record = {**identity, "step": progress.step, "losses": progress.losses, "history": progress.history}
            checkpoints.save(progress.step, _arrays(progress), record)
        wait_for_all("progress written")

    def _validate(self, state: TrainState) -> dict[str, float]:
        images, targets = self.validation.images, self.validation.targets
        logits = run_batches(self.steps, state.variables, images, self.config.batch_size)
        if not np.isfinite(logits).all():
            raise TrainingError(f"{self.name}: a validation score is not finite; {self._remedy()}")
        auroc = auroc_and_auprc(targets == 1, logits, np.ones((len(targets), 1)))[0][0]
        losses = np.logaddexp(0, np.where(targets == 1, -logits, logits))
        weights = class_weights(targets)
        return {"validation_auroc": float(auroc), "validation_loss": float(np.average(losses, weights=weights))}

    def _remedy(self) -> str:
        return f"lower learning_rate (now {self.config.learning_rate:g}) and run again"

    def _stops_early(self, progress: _TrainingProgress) -> bool:
        return bool(progress.history) and progress.epochs - progress.best_epoch >= self.config.patience

    def _start(self) -> _TrainingProgress:
        """Return the progress before the first step."""
        state = starting_state(self.config, self.steps, self.seed, self.validation.images[:1], self.features)
        return _TrainingProgress(state, 0, [], state.variables, [])

    def _resume(self, checkpoints: ProgressCheckpoints, identity: dict[str, Any]) -> _TrainingProgress | None:
        """Return the stored progress of the same training, or None; that of another training is removed."""
        checkpoint = checkpoints.load()
        if checkpoint is None:
            return None
        arrays, record = checkpoint
        if any(record.get(key) != value for key, value in identity.items()):
            wait_for_all("progress read")
            if writes_files():
                checkpoints.remove()
            return None
        state = serialization.from_state_dict(self._start().state, arrays["state"])
        return _TrainingProgress(state, record["step"], record["losses"], arrays["best_variables"], record["history"])


def _arrays(progress: _TrainingProgress) -> dict[str, Any]:
    return {"state": serialization.to_state_dict(progress.state), "best_variables": progress.best_variables}


def class_weights(targets: np.ndarray) -> np.ndarray:
    """Return weights with the same sum for both targets and mean 1, float32 [n]."""
    counts = np.bincount(targets, minlength=2)
    return (len(targets) / (2 * counts))[targets].astype(np.float32)


def _identity(
    training: Examples, fold: int, config: TrainingConfig, seed: int, features: TrainedModel | None
) -> dict[str, Any]:
    """Return everything that the weights depend on: a stored model is the same training if all of this is equal."""
    return {
        **settings_of(config),
        "ratio": training.ratio,
        "fold": fold,
        "seed": seed,
        "training_data": training.fingerprint(),
        **origin(config, features),
    }
