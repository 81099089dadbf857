"""Networks that know nothing, whose maps a trained network's must not resemble (Adebayo et al., NeurIPS 2018)."""

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

LEARNT = 0.95
"""AUROC on its own training examples from which a network counts as having learnt their labels."""

EPOCHS_BY_HEART = 2
"""How many times as many epochs as a study's networks those get that learn random labels. The CNN has learnt those of
512 patches after 25 of its 32 epochs."""


def parameter_cascade(
    network: nn.Module, variables: dict[str, Any], images: np.ndarray, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a network's weights with ever more layers drawn anew, from the last layer down to the first.

    Parameters
    ----------
    network : nn.Module
    variables : dict
        Trained "params" and other collections, such as "batch_stats".
    images : float [n, rows, columns, channels]
        Any images of the right shape.
    seed : int
        Of the fresh weights, which are drawn as before training.

    Yields
    ------
    layer : str
        The top-level layer that was drawn anew last; a normalisation goes with the layer before it.
    variables : dict
        After the last layer no trained weight is left.
    """
    init = jax.jit(partial(network.init, **inference_options(network)))
    fresh = jax.device_get(init(jax.random.key(seed), images[:1]))
    mixed = {collection: dict(values) for collection, values in variables.items()}
    for layer, *norms in reversed(layers_in_order(network, variables, images)):
        for collection, values in fresh.items():
            drawn = {name: values[name] for name in (layer, *norms) if name in values}
            mixed = {**mixed, collection: {**mixed[collection], **drawn}}
        yield layer, mixed


def layers_in_order(network: nn.Module, variables: dict[str, Any], images: np.ndarray) -> list[list[str]]:
    """Names of the top-level layers that have weights, in the order in which an image passes them.

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


def by_heart(config: TrainingConfig) -> TrainingConfig:
    """Return settings with which a network learns its examples by heart, whatever their labels.

    Random labels have no rule, so the validation of a study's networks would stop the training near the initial
    weights; then the maps would be those of random weights over again. Adebayo et al. train until the labels are fitted
    (theirs to an accuracy above 95 %). So nothing holds the network back here: it has more epochs, no augmentation, no
    dropout and no weight decay, and it keeps the weights that fit its training examples best.
    """
    epochs = EPOCHS_BY_HEART * config.epochs
    return replace(
        config, epochs=epochs, patience=epochs, validation_parts=1, augment=False, dropout=0.0, weight_decay=0.0
    )


def read_with_permuted_targets(dataset_dirs: list[Path], seed: int, ratio: float) -> Examples:
    """Read the examples of a ratio with their targets dealt out at random: what is learnt from them is no finding."""
    examples = read_examples(dataset_dirs, ratio)
    targets = np.random.default_rng(seed).permutation(examples.targets)
    return replace(examples, targets=targets)
