"""Training in PyTorch with the same steps as `mammo_jax.training.step` and `mammo_jax.training.loop` in JAX."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import torch
from torch.nn import functional

from experiments.torch_parity.models import TorchCNN, TorchResNet18
from experiments.torch_parity.parity import RATES, Case, Optimizer, Trajectory, case_batches, network_input
from mammo_jax.dataset.input_pipeline import Examples, batches, steps_per_epoch
from mammo_jax.models.pretrained import to_torch
from mammo_jax.training.augmentation import augment
from mammo_jax.training.loop import class_weights
from mammo_jax.training.starting_weights import starting_state
from mammo_jax.training.step import build_steps, learning_rate, standardise
from mammo_jax.training.validation import run_seed_of, training_rows, validation_rows
from mammo_jax.training_config import TrainingConfig

Dtype = np.dtype | type


def torch_model(config: TrainingConfig, variables: dict[str, Any], dtype: Dtype = np.float32) -> torch.nn.Module:
    """Build the same network in PyTorch, with these weights and running statistics."""
    model: torch.nn.Module = TorchCNN(config.filters) if config.model == "cnn" else TorchResNet18()
    state = {name: torch.from_numpy(np.array(value)) for name, value in to_torch(variables).items()}
    missing, unexpected = model.to(_torch_dtype(dtype)).load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"PyTorch's {config.model}: missing weights {missing}, unexpected ones {unexpected}")
    return model


def torch_state(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return a model's weights and running statistics."""
    state = model.state_dict()
    return {name: value.numpy().copy() for name, value in state.items() if not name.endswith("num_batches_tracked")}


def as_torch(images: np.ndarray, dtype: Dtype = np.float32) -> torch.Tensor:
    """Convert images [batch, rows, columns, 1] to a tensor [batch, 1, rows, columns]."""
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(_torch_dtype(dtype))


def torch_loss(
    model: torch.nn.Module, images: torch.Tensor, batch: dict[str, np.ndarray], dtype: Dtype
) -> torch.Tensor:
    """Compute the weighted mean of the log loss of a training batch."""
    model.train()
    target, weight = (torch.from_numpy(batch[name]).to(_torch_dtype(dtype)) for name in ("target", "weight"))
    losses = functional.binary_cross_entropy_with_logits(model(images), target, reduction="none")
    return (weight * losses).sum() / weight.sum()


def torch_optimizer(model: torch.nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return PyTorch's AdamW or SGD, with weight decay for kernels only."""
    kernels = [value for value in model.parameters() if value.ndim > 1]
    vectors = [value for value in model.parameters() if value.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    return torch.optim.AdamW(groups, lr=1.0)


def optimizer_step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> None:
    """Update the weights with this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def torch_trajectory(case: Case, optimizer: Optimizer, variables: dict[str, Any], dtype: Dtype) -> Trajectory:
    """Compute the result of `experiments.torch_parity.parity.jax_trajectory` with PyTorch."""
    model = torch_model(case.config, variables, dtype)
    descent = torch_optimizer(model, TrainingConfig(optimizer=optimizer, weight_decay=case.config.weight_decay))
    trajectory = Trajectory()
    for batch in case_batches(case):
        loss = torch_loss(model, as_torch(network_input(batch["image"], dtype), dtype), batch, dtype)
        trajectory.losses.append(float(loss.detach()))
        optimizer_step(descent, loss, RATES[optimizer])
    trajectory.state = torch_state(model)
    return trajectory


def train_in_torch(examples: Examples, fold: int, config: TrainingConfig, seed: int) -> np.ndarray:
    """Train on the other folds and score the held-out one, with the data, order, rates and stopping of `train_model`.

    Initial weights and augmented images come from JAX, so that only the framework differs.

    Returns
    -------
    float64 [images of the fold]
    """
    training = examples.take(training_rows(examples, fold))
    run_seed = run_seed_of(seed, fold)
    validating = validation_rows(training, config.validation_parts, run_seed, "torch")
    fitting, validation = (training.take(np.flatnonzero(rows)) for rows in (~validating, validating))
    start = starting_state(config, build_steps(config), run_seed, validation.images[:1], None)
    model = torch_model(config, start.variables)
    descent = torch_optimizer(model, config)
    per_epoch = steps_per_epoch(len(fitting), config.batch_size)
    total = config.epochs * per_epoch
    best, best_epoch, best_state = np.inf, 0, model.state_dict()
    feed = batches(fitting, class_weights(fitting.targets), config.batch_size, run_seed, range(total))
    for step, batch in enumerate(feed):
        is_real = batch["weight"] > 0
        rows = {name: values[is_real] for name, values in batch.items()}
        images = as_torch(_augmented(batch["image"], run_seed, step, config)[is_real])
        optimizer_step(descent, torch_loss(model, images, rows, np.float32), learning_rate(config, step, total))
        if (step + 1) % per_epoch == 0:
            epoch = (step + 1) // per_epoch
            loss = _validation_loss(torch_scores(model, validation.images), validation.targets)
            if loss < best:
                best, best_epoch = loss, epoch
                best_state = {name: value.clone() for name, value in model.state_dict().items()}
            if epoch - best_epoch >= config.patience:
                break
    model.load_state_dict(best_state)
    return torch_scores(model, examples.images[examples.folds == fold])


def torch_scores(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Compute the logits of images [n, rows, columns, 1], float64 [n]."""
    model.eval()
    with torch.no_grad():
        parts = [model(as_torch(network_input(images[first : first + 64]))) for first in range(0, len(images), 64)]
    return torch.cat(parts).double().numpy()


def _augmented(images: np.ndarray, seed: int, step: int, config: TrainingConfig) -> np.ndarray:
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(np.uint32(seed)), step), 0)
    standard = standardise(jax.numpy.asarray(images))
    return np.asarray(augment(standard, jax.random.split(key)[0]) if config.augment else standard)


def _validation_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    losses = np.logaddexp(0, np.where(targets == 1, -logits, logits))
    return float(np.average(losses, weights=class_weights(targets)))


def _torch_dtype(dtype: Dtype) -> torch.dtype:
    return torch.float64 if dtype == np.float64 else torch.float32
