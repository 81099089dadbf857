"""Train one network on the training folds and stop early on validation patients among them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization
from sklearn.model_selection import StratifiedGroupKFold

from mammo_jax.dataset.input_pipeline import Examples, batches, one_ratio_each, steps_per_epoch
from mammo_jax.devices import agree, wait_for_all, writes_files
from mammo_jax.run_folder import ModelFolder
from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.training.checkpoints import Progress, save_checkpoint
from mammo_jax.training.starting_weights import check_features, origin, starting_state
from mammo_jax.training.step import StepInputs, TrainState, build_steps, learning_rate
from mammo_jax.training.trained_model import TrainedModel, check_record, load_model, run_batches, settings_of
from mammo_jax.training_config import TrainingConfig, TrainingError

CHECKPOINT_SECONDS = 20.0  # what an interruption can cost at most
CLOCK_STEPS = 16  # after so many steps the clock is looked at, and at the end of each epoch


@dataclass
class _Course:
    """Where a training stands after a step: all that it needs to go on."""

    state: TrainState
    step: int
    losses: list[float]  # of the epoch that is under way
    best_variables: dict[str, Any]
    history: list[dict[str, float]]

    @property
    def epochs(self) -> int:
        """Finished epochs."""
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
) -> TrainedModel:
    """Train a network on every fold but `fold`, or return it if that was done before.

    The weights of the epoch with the lowest class-balanced log loss on the validation patients are kept. The study
    reports AUROC, but with a few dozen validation patients the AUROC of an early epoch can be high by luck and
    then stop a training too soon; the loss moves more smoothly. Without early stopping the two hardly differ.
    Initial weights, validation patients, order and augmentation follow from (seed, fold) alone, so that models
    of different ratios differ by the ratio and nothing else. With one validation part the network is validated on what
    it is trained with, and those weights are kept that fit it best.

    Parameters
    ----------
    examples : Examples
        Of one ratio or a mixture; those of `fold` are not looked at.
    fold : int
    config : TrainingConfig
    seed : int
    directory : Path
        The model's own folder. It gets "model" when training is finished, "progress" before.
    initial_features : TrainedModel or None
        Start from this network, of the same architecture (Shen et al., Sci Rep 2019;9:12495, start whole-image
        networks from patch networks).
    checkpoint_seconds : float
        Time after which progress is written.

    Raises
    ------
    TrainingError
        If the loss is not finite, there are too few patients, `initial_features` doesn't fit or has seen a held-out
        patient, or windows lack a network that knows patches.
    ModelError, PretrainedError
        If the network cannot be built, or its pretrained weights cannot be had.
    CheckpointError
        If the folder holds a model of other settings or data, or a damaged one.
    """
    training = examples.take(np.flatnonzero(examples.folds != fold))
    name = f"{config.model} trained at ratio {examples.ratio}, fold {fold}, seed {seed}"
    identity = _identity(training, fold, config, seed, initial_features)
    folder = ModelFolder(directory)
    if folder.checkpoint.exists():
        trained = load_model(directory)
        check_record(directory, trained.record, identity)
        return trained
    if initial_features is not None:
        check_features(initial_features, examples, fold, config, name)
    run_seed = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    validating = validation_rows(training, config.validation_parts, run_seed, name)
    run = _Run(training, validating, config, run_seed, initial_features, name)
    patients = sorted(set(training.patient_ids.tolist()))
    del training  # the run has its own copy, and TensorFlow another
    course = run.train(Progress(folder.progress), identity, checkpoint_seconds)
    best = course.history[course.best_epoch - 1]
    record = {
        **identity,
        "best_epoch": course.best_epoch,
        "validation_auroc": best["validation_auroc"],
        "history": course.history,
        "training_patients": patients,
    }
    if writes_files():
        save_checkpoint(folder.checkpoint, course.best_variables, record)
        Progress(folder.progress).remove()
    wait_for_all("model written")
    return load_model(directory)


def validation_rows(training: Examples, parts: int, seed: int, name: str) -> np.ndarray:
    """Choose about 1/parts of the patients, stratified by target, to validate with.

    Returns
    -------
    bool [n]
        True for rows of validation patients; all are where there is one part.

    Raises
    ------
    TrainingError
        If validation or training would lack one of the two targets.
    """
    patients = [len(np.unique(training.patient_ids[training.targets == target])) for target in (0, 1)]
    if min(patients) < parts:
        raise TrainingError(
            f"{name}: {patients[0]} negative and {patients[1]} positive patients outside of the fold, but"
            f" {parts} of each are needed (validation_parts); use more images or fewer folds"
        )
    if parts == 1:
        return np.ones(len(training), bool)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for _, rows in splitter.split(training.targets, training.targets, training.patient_ids):
        chosen = np.isin(np.arange(len(training)), rows)
        if all(len(np.unique(training.targets[part])) == 2 for part in (chosen, ~chosen)):
            return chosen
    raise TrainingError(
        f"{name}: no split of the patients puts both targets into training and validation; use more images"
    )


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
    ):
        if training.images.min() == training.images.max():
            raise TrainingError(f"{name}: all training images are one grey level; look at the dataset's images")
        self.fitting = training if validating.all() else training.take(np.flatnonzero(~validating))
        self.validation = one_ratio_each(training.take(np.flatnonzero(validating)), seed)
        self.config, self.seed, self.features, self.name = config, seed, features, name
        self.weights = class_weights(self.fitting.targets)
        # A network that was trained before is no ImageNet backbone that has to learn at its own, lower rate.
        trained_before = features is not None and config.starts_pretrained
        self.steps = build_steps(replace(config, pretrained="none") if trained_before else config)
        self.epoch_steps = steps_per_epoch(len(self.fitting), config.batch_size)

    def train(self, progress: Progress, identity: dict[str, Any], checkpoint_seconds: float) -> _Course:
        """Train to the end, from the last checkpoint of the same training if there is one."""
        course = self._resumed(progress, identity) or self._fresh()
        state = self.steps.parallel.replicate(course.state)
        saved = time.monotonic()
        losses: list[jax.Array] = []
        for batch in self._batches(course):
            state, loss = self.steps.train(state, self.steps.parallel.spread(batch), self._inputs(course.step))
            losses.append(loss)
            course.step += 1
            ended = course.step % self.epoch_steps == 0
            if not ended and course.step % CLOCK_STEPS:
                continue
            # Only here the host waits for the devices.
            self._note(course, [float(value) for value in self.steps.parallel.first(losses)])
            losses = []
            if ended:
                self._end_epoch(course, state)
            if agree(time.monotonic() - saved >= checkpoint_seconds):
                course.state = self.steps.parallel.first(state)
                self._save(progress, course, identity)
                saved = time.monotonic()
            if ended and self._out_of_patience(course):
                break
        return course

    def _batches(self, course: _Course) -> Iterator[dict[str, np.ndarray]]:
        """Yield the rows of this process, of every batch that is left."""
        if self._out_of_patience(course):
            return iter(())
        size = self.config.batch_size
        left = range(course.step, self.config.epochs * self.epoch_steps)
        return batches(self.fitting, self.weights, size, self.seed, left, self.steps.parallel.rows(size))

    def _inputs(self, step: int) -> StepInputs:
        rate = learning_rate(self.config, step, self.config.epochs * self.epoch_steps)
        return StepInputs(np.float32(rate), np.uint32(self.seed), np.int32(step))

    def _note(self, course: _Course, losses: list[float]) -> None:
        """Keep the losses of the steps before `course.step`, or stop at the first that is not finite."""
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            step = course.step - len(losses) + int(bad[0])
            epoch = 1 + step // self.epoch_steps
            raise TrainingError(
                f"{self.name}: the loss is not finite at step {step} (epoch {epoch}); {self._way_out()}"
            )
        course.losses += losses

    def _end_epoch(self, course: _Course, state: TrainState) -> None:
        """Validate and note the result."""
        course.history.append({"loss": float(np.mean(course.losses)), **self._validate(state)})
        course.losses = []
        if course.best_epoch == course.epochs:
            course.best_variables = self.steps.parallel.first(state.variables)

    def _save(self, progress: Progress, course: _Course, identity: dict[str, Any]) -> None:
        if writes_files():
            record = {**identity, "step": course.step, "losses": course.losses, "history": course.history}
            progress.save(course.step, _arrays(course), record)
        wait_for_all("progress written")

    def _validate(self, state: TrainState) -> dict[str, float]:
        images, targets = self.validation.images, self.validation.targets
        logits = run_batches(self.steps, state.variables, images, self.config.batch_size)
        if not np.isfinite(logits).all():
            raise TrainingError(f"{self.name}: a validation score is not finite; {self._way_out()}")
        auroc = auroc_and_auprc(targets == 1, logits, np.ones((len(targets), 1)))[0][0]
        losses = np.logaddexp(0, np.where(targets == 1, -logits, logits))
        weights = class_weights(targets)
        return {"validation_auroc": float(auroc), "validation_loss": float(np.average(losses, weights=weights))}

    def _way_out(self) -> str:
        return f"lower learning_rate (now {self.config.learning_rate:g}) and run again"

    def _out_of_patience(self, course: _Course) -> bool:
        return bool(course.history) and course.epochs - course.best_epoch >= self.config.patience

    def _fresh(self) -> _Course:
        """Return the start of a training."""
        state = starting_state(self.config, self.steps, self.seed, self.validation.images[:1], self.features)
        return _Course(state, 0, [], state.variables, [])

    def _resumed(self, progress: Progress, identity: dict[str, Any]) -> _Course | None:
        """Return where the same training was left; what another one left is removed."""
        found = progress.load()
        if found is None:
            return None
        arrays, record = found
        if any(record.get(key) != value for key, value in identity.items()):
            wait_for_all("progress read")
            if writes_files():
                progress.remove()
            return None
        state = serialization.from_state_dict(self._fresh().state, arrays["state"])
        return _Course(state, record["step"], record["losses"], arrays["best_variables"], record["history"])


def _arrays(course: _Course) -> dict[str, Any]:
    return {"state": serialization.to_state_dict(course.state), "best_variables": course.best_variables}


def class_weights(targets: np.ndarray) -> np.ndarray:
    """Weights that give both targets the same sum and have mean 1, as float32 [n]."""
    counts = np.bincount(targets, minlength=2)
    return (len(targets) / (2 * counts))[targets].astype(np.float32)


def _identity(
    training: Examples, fold: int, config: TrainingConfig, seed: int, features: TrainedModel | None
) -> dict[str, Any]:
    """What decides the weights: a model is there already if all of this is equal."""
    return {
        **settings_of(config),
        "ratio": training.ratio,
        "fold": fold,
        "seed": seed,
        "training_data": training.fingerprint(),
        **origin(config, features),
    }
