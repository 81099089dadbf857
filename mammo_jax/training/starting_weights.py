"""The initial weights of a training: random, from ImageNet, or from another trained network."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.files import sha256_file
from mammo_jax.models import build_model, head_of, init_model
from mammo_jax.models.pretrained import find_weights, read_weights, with_pretrained
from mammo_jax.training.step import Steps, TrainState
from mammo_jax.training.trained_model import TrainedModel
from mammo_jax.training_config import TrainingConfig, TrainingError


def origin(config: TrainingConfig, features: TrainedModel | None) -> dict[str, str | None]:
    """Return the part of a model's record that identifies its initial weights.

    Raises
    ------
    PretrainedError
        If the pretrained weights cannot be obtained.
    TrainingError
        If a classifier of sliding windows would start from random weights: its batch statistics are not trained.
    """
    if features is not None:
        return {"initial_features": features.record["sha256"], "pretrained_sha256": None}
    if config.window is not None and not config.starts_pretrained:
        raise TrainingError(
            "window: a network for sliding windows has to start from one trained on patches, since training on whole"
            " images leaves its batch statistics unchanged; train one with --unit patch on other patients and give its"
            " run folder as --features-from, or leave --window out"
        )
    weights = find_weights(config)
    return {"initial_features": None, "pretrained_sha256": None if weights is None else _sha256(weights)}


def starting_state(
    config: TrainingConfig, steps: Steps, seed: int, images: np.ndarray, features: TrainedModel | None
) -> TrainState:
    """Return the state before the first step, on the host; `images` [1, rows, columns, 1] only give the shape."""
    if features is not None:
        return jax.device_get(steps.start(features.variables))
    state = steps.initialise(np.uint32(seed), images)
    weights = find_weights(config)
    if weights is not None:
        head = head_of(build_model(config))
        state = steps.start(with_pretrained(jax.device_get(state.variables), read_weights(weights), head))
    return jax.device_get(state)


def check_features(features: TrainedModel, examples: Examples, fold: int, config: TrainingConfig, name: str) -> None:
    """Check that a network can be the start of a training.

    Raises
    ------
    TrainingError
        If it has another architecture, or was trained on patients of the held-out fold.
    """
    if (features.config.model, features.config.filters) != (config.model, config.filters):
        raise TrainingError(
            f"{name}: the initial features come from {features.config.model} with filters {features.config.filters},"
            f" not {config.model} with {config.filters}; train both with the same architecture"
        )
    image = np.zeros((1, *examples.images.shape[-3:]), np.float32)
    expected = jax.eval_shape(partial(init_model, config), jax.random.key(0), image)
    ours, theirs = (flatten_dict(variables, sep="/") for variables in (expected, features.variables))
    for array in sorted(ours.keys() | theirs.keys()):
        shapes = [np.shape(arrays[array]) if array in arrays else "missing" for arrays in (theirs, ours)]
        if shapes[0] != shapes[1]:
            raise TrainingError(
                f"{name}: {array} of the initial features is {shapes[0]}, here it is {shapes[1]}; train both with the"
                " same model settings, first_kernel for instance"
            )
    held_out = set(examples.patient_ids[examples.folds == fold].tolist())
    leaked = held_out & set(features.record["training_patients"])
    if leaked:
        raise TrainingError(
            f"{name}: the network of the initial features was trained on {len(leaked)} patients of the held-out fold;"
            " train it with the same folds, and use the model of the same fold"
        )


@lru_cache(maxsize=1)
def _sha256(path: Path) -> str:
    return sha256_file(path)
