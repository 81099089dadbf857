"""Sanity checks: maps should differ from those of random weights and permuted labels (Adebayo et al., NeurIPS 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from mammo_jax.dataset.input_pipeline import Examples, read_examples
from mammo_jax.saliency.first_layer import apply_module, inference_options
from mammo_jax.training_config import TrainingConfig

MIN_MEMORISED_AUROC = 0.95
"""A network has memorised its labels if the AUROC on its own training examples is at least this."""

MEMORISATION_EPOCHS = 2
"""Factor of the number of epochs for memorisation. The CNN memorises the labels of 512 patches in 25 of 32 epochs."""


def parameter_cascade(
    network: nn.Module, variables: dict[str, Any], images: np.ndarray, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a network's weights with successively more layers randomised, from the last to the first.

    Parameters
    ----------
    network : nn.Module
    variables : dict
        Trained "params" and other collections, such as "batch_stats".
    images : float [n, rows, columns, channels]
        Any images of the right shape.
    seed : int
        Seed of the random weights, which have the distribution of the initial weights.

    Yields
    ------
    layer : str
        The top-level layer that was randomised last, with the normalisations after it.
    variables : dict
        The weights; after the last layer none of them is trained.
    """
    init = jax.jit(partial(network.init, **inference_options(network)))
    initial = jax.device_get(init(jax.random.key(seed), images[:1]))
    mixed = {collection: dict(values) for collection, values in variables.items()}
    for layer, *norms in reversed(layers_in_order(network, variables, images)):
        for collection, values in initial.items():
            randomised = {name: values[name] for name in (layer, *norms) if name in values}
            mixed = {**mixed, collection: {**mixed[collection], **randomised}}
        yield layer, mixed


def layers_in_order(network: nn.Module, variables: dict[str, Any], images: np.ndarray) -> list[list[str]]:
    """Return the names of the top-level layers with weights, in the order of the forward pass.

    Each entry is a layer with kernels, followed by the normalisations between it and the next one.
    """
    called: dict[str, None] = {}

    def intercept(call: Callable, arguments: tuple, options: dict, context: nn.module.InterceptorContext) -> Any:
        output = call(*arguments, **options)
        if context.module.path:
            called.setdefault(context.module.path[0])
        return output

    with nn.intercept_methods(intercept):
        jax.eval_shape(partial(apply_module, network), variables, images[:1])
    groups: list[list[str]] = []
    for layer in called:
        if layer in variables["params"]:
            paths = jax.tree_util.tree_leaves_with_path(variables["params"][layer])
            if not groups or any("kernel" in jax.tree_util.keystr(path) for path, _ in paths):
                groups.append([])
            groups[-1].append(layer)
    return groups


def memorisation_config(config: TrainingConfig) -> TrainingConfig:
    """Return settings with which a network memorises its examples, whatever their labels.

    Random labels cannot be generalised, so early stopping would end the training near the initial weights, and the maps
    would be those of random weights. Adebayo et al. train until the labels are fitted (theirs to an accuracy above
    95 %). So there is no regularisation here: more epochs, no augmentation, no dropout and no weight decay, and the
    weights that fit the training examples best are selected.
    """
    epochs = MEMORISATION_EPOCHS * config.epochs
    return replace(
        config, epochs=epochs, patience=epochs, validation_parts=1, augment=False, dropout=0.0, weight_decay=0.0
    )


def read_with_permuted_targets(dataset_dirs: list[Path], seed: int, ratio: float) -> Examples:
    """Read the examples of a ratio with randomly permuted targets, which have no relation to the images."""
    examples = read_examples(dataset_dirs, ratio)
    targets = np.random.default_rng(seed).permutation(examples.targets)
    return replace(examples, targets=targets)
