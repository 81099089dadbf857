"""All comparisons of the check against PyTorch, and PyTorch's results that it stores for the tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import torch

from experiments.torch_parity.models import transformers_resnet18
from experiments.torch_parity.parity import (
    CASES,
    Case,
    Optimizer,
    Row,
    case_batches,
    case_variables,
    compare_arrays,
    digest,
    jax_gradients,
    jax_logits,
    jax_trajectory,
    network_input,
)
from experiments.torch_parity.saliency import BOUNDS, attributions, captum_attributions, make_pairs
from experiments.torch_parity.training import (
    as_torch,
    optimizer_step,
    torch_loss,
    torch_model,
    torch_state,
    torch_trajectory,
    train_in_torch,
)
from mammo_jax.dataset.input_pipeline import Examples, read_examples
from mammo_jax.dataset.units import UnitConfig
from mammo_jax.files import write_json
from mammo_jax.jobs.config import PhantomConfig, StudyConfig
from mammo_jax.jobs.prepare import prepare
from mammo_jax.models import build_model
from mammo_jax.models.pretrained import with_pretrained
from mammo_jax.statistics.bootstrap import estimates
from mammo_jax.statistics.prediction_grid import prediction_grid
from mammo_jax.training.loop import train_model
from mammo_jax.training.trained_model import predict
from mammo_jax.training_config import TrainingConfig

REFERENCES = Path("tests/experiments/references")
EXACT, SINGLE = 1e-9, 1e-4
"""Absolute limit in float64, and limit in float32 relative to the scale."""
PATH_POINTS = 50


def torch_logits(case: Case, dtype: type) -> np.ndarray:
    """Compute the result of `parity.jax_logits` with PyTorch."""
    model = torch_model(case.config, case_variables(case, dtype), dtype).eval()
    with torch.no_grad():
        return model(as_torch(network_input(next(case_batches(case))["image"], dtype), dtype)).numpy()


def torch_gradients(case: Case, dtype: type) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Compute the result of `parity.jax_gradients` with PyTorch's backward pass."""
    model = torch_model(case.config, case_variables(case, dtype), dtype)
    batch = next(case_batches(case))
    torch_loss(model, as_torch(network_input(batch["image"], dtype), dtype), batch, dtype).backward()
    gradients = {name: value.grad.numpy() for name, value in model.named_parameters() if value.grad is not None}
    return gradients, {name: value for name, value in torch_state(model).items() if "running" in name}


def network_rows(case: Case) -> Iterator[Row]:
    """Yield all comparisons of one network."""
    for dtype, limit in ((np.float64, EXACT), (np.float32, SINGLE)):
        name = f"{case.name}, {np.dtype(dtype).name}"
        exact = limit if dtype == np.float64 else None
        of_scale = dtype == np.float32
        yield compare_arrays(
            f"{name}: logits", jax_logits(case, dtype), torch_logits(case, dtype), limit, of_scale=of_scale
        )
        (gradients, stats), theirs = jax_gradients(case, dtype), torch_gradients(case, dtype)
        yield compare_arrays(f"{name}: gradients of the first step", gradients, theirs[0], exact)
        yield compare_arrays(f"{name}: batch-norm statistics after it", stats, theirs[1], limit, of_scale=of_scale)
        optimizers: tuple[Optimizer, ...] = ("sgd", "adamw")
        for optimizer in optimizers:
            ours = jax_trajectory(case, optimizer, dtype)
            reference = torch_trajectory(case, optimizer, case_variables(case, dtype), dtype)
            yield compare_arrays(f"{name}: losses of 20 steps of {optimizer}", ours.losses, reference.losses, exact)
            yield compare_arrays(f"{name}: parameters and statistics after them", ours.state, reference.state, exact)
    yield pretrained_round_trip(case)


def pretrained_round_trip(case: Case) -> Row:
    """Load weights trained in PyTorch into Flax, like pretrained weights, and compare the logits."""
    variables, images = case_variables(case, np.float64), network_input(next(case_batches(case))["image"], np.float64)
    model = torch_model(case.config, variables, np.float64)
    descent = torch.optim.SGD(model.parameters(), lr=1.0)
    for batch in case_batches(case, 3):
        optimizer_step(
            descent,
            torch_loss(model, as_torch(network_input(batch["image"], np.float64), np.float64), batch, np.float64),
            1e-2,
        )
    trained = with_pretrained(variables, torch_state(model), ())
    with torch.no_grad():
        theirs = model.eval()(as_torch(images, np.float64)).numpy()
    return compare_arrays(
        f"{case.name}, float64: logits of weights carried back", _logits_of(case, trained), theirs, EXACT
    )


def _logits_of(case: Case, variables: dict[str, Any]) -> np.ndarray:
    with jax.enable_x64(True):
        images = network_input(next(case_batches(case))["image"], np.float64)
        return np.asarray(build_model(case.config).apply(variables, images))


def third_party_rows() -> Iterator[Row]:
    """Yield the comparison with Hugging Face's ResNet-18, an independent implementation."""
    case = CASES["resnet18"]
    model = transformers_resnet18(case_variables(case, np.float64))
    with torch.no_grad():
        theirs = (
            model(as_torch(network_input(next(case_batches(case))["image"], np.float64), np.float64))
            .logits[:, 0]
            .numpy()
        )
    yield compare_arrays("resnet18, float64: logits of transformers' own", jax_logits(case, np.float64), theirs, EXACT)


def saliency_rows() -> Iterator[Row]:
    """Yield comparisons of integrated gradients with captum's, as in `check_saliency`, on smaller images.

    In float32 a path point may fall on either side of a ReLU's kink; with few points each has a large weight.
    """
    random = np.random.default_rng(0)
    images = random.normal(size=(2, 64, 64, 1)).astype(np.float32)
    baselines = random.normal(-2, 0.1, images.shape).astype(np.float32)
    for pair in make_pairs(images, (16, 32, 64)):
        for dtype, bound in BOUNDS.items():
            with jax.enable_x64(dtype is np.float64):
                typed = (images.astype(dtype), baselines.astype(dtype))
                ours, theirs = (
                    attributions(pair, *typed, PATH_POINTS),
                    captum_attributions(pair, *typed, PATH_POINTS, 10),
                )
            name = f"{pair.name.lower()}, {dtype.__name__}: integrated gradients, compared with captum's"
            yield compare_arrays(name, ours, theirs, bound, of_scale=True)


def auroc_rows(images: int, folds: int, epochs: int) -> Iterator[Row]:
    """Train in both frameworks on the same folds of phantom patches and compare the AUROC of the held-out images."""
    settings = TrainingConfig(epochs=epochs)
    scores: dict[str, list[np.ndarray]] = {"jax": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        examples = _phantom_patches(images, folds, Path(folder))
        for fold in range(folds):
            trained = train_model(examples, fold, settings, 0, Path(folder) / str(fold))
            scores["jax"].append(predict(trained, examples.images[examples.folds == fold]))
            scores["torch"].append(train_in_torch(examples, fold, settings, 0))
    ours, theirs = (_bootstrap(examples, scores[name]) for name in ("jax", "torch"))
    low, high = (theirs - ours).interval()
    what = f"cnn trained: AUROC JAX {ours.value:.3f}, PyTorch {theirs.value:.3f}; 95 % of the difference {low:+.3f} …"
    yield Row(f"{what} {high:+.3f}", abs(theirs.value - ours.value), 1.0, None)


def _phantom_patches(images: int, folds: int, folder: Path) -> Examples:
    study = StudyConfig(
        out=folder / "run",
        ratios=(15.0,),
        folds=folds,
        phantom=PhantomConfig(images=images, rows=832, columns=640, phantom_pitch=0.28),
        units=UnitConfig(target="lesion"),
    )
    prepare(study)
    return read_examples(study.run.readable_parts(), 1.0)


def _bootstrap(examples: Examples, scores: list[np.ndarray]) -> Any:
    """Estimate the fold-averaged AUROC; both frameworks have the same resampled patients, so differences are paired."""
    tables = []
    for fold, fold_scores in enumerate(scores):
        held_out = examples.take(np.flatnonzero(examples.folds == fold))
        columns = {"patient_id": held_out.patient_ids, "image_id": held_out.image_ids, "label": held_out.targets}
        constant = {"train_ratio": "1", "test_ratio": 1.0, "fold": fold, "seed": 0}
        tables.append(pd.DataFrame({**columns, "score": fold_scores, **constant}))
    cells, _ = estimates(prediction_grid(pd.concat(tables, ignore_index=True)), 2000, 0)
    return cells["1", 1.0].auroc


def write_references() -> None:
    """Write PyTorch's results of every case, in float64."""
    for case in CASES.values():
        variables = case_variables(case, np.float64)
        gradients, statistics = torch_gradients(case, np.float64)
        results: dict[str, Any] = {
            "logits": torch_logits(case, np.float64).tolist(),
            "gradients": digest(gradients),
            "statistics": digest(statistics),
        }
        optimizers: tuple[Optimizer, ...] = ("sgd", "adamw")
        for optimizer in optimizers:
            trajectory = torch_trajectory(case, optimizer, variables, np.float64)
            results[optimizer] = {"losses": trajectory.losses, "state": digest(trajectory.state)}
        write_json(REFERENCES / f"{case.name}.json", {"torch": torch.__version__, **results})
