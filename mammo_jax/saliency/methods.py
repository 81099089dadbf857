"""The saliency methods that a study compares, by name, and the plain image as a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from flax import linen as nn

from mammo_jax.saliency.baselines import Baseline, baselines_for, network_inputs
from mammo_jax.saliency.grad_cam import grad_cam
from mammo_jax.saliency.integrated_gradients import Attributions, integrated_gradients
from mammo_jax.saliency.smoothgrad import smoothgrad_integrated_gradients

Method = Literal["ig_black", "ig_blurred", "ig_mean", "smoothgrad_ig", "grad_cam"]
METHODS: tuple[Method, ...] = get_args(Method)
CONTROL = "intensity"
TITLES = {
    "ig_black": "integrated gradients from black",
    "ig_blurred": "integrated gradients from the blurred image",
    "ig_mean": "integrated gradients from the mean training image",
    "smoothgrad_ig": "SmoothGrad over integrated gradients from the blurred image",
    "grad_cam": "Grad-CAM",
    CONTROL: "plain intensity (no network)",
}


@dataclass(frozen=True)
class Maps:
    """Maps of one method.

    Attributes
    ----------
    maps : float32 [n, rows, columns]
    gaps : float64 [n]
        Completeness gaps; NaN for a method without the completeness property.
    steps : int64 [n]
        Number of path points; 0 for a method without a path.
    complete : bool [n]
        Whether the gap is within the tolerance; True for a method without the completeness property.
    """

    maps: np.ndarray
    gaps: np.ndarray
    steps: np.ndarray
    complete: np.ndarray


def compute_maps(
    method: str, network: nn.Module, variables: dict[str, Any], images: np.ndarray, mean_image: np.ndarray
) -> Maps:
    """Compute the maps of one method.

    Parameters
    ----------
    method : str
        One of `METHODS`, or `CONTROL`: the standardised image itself, a map of brightness without any network.
    network, variables
        ``network.apply(variables, images) -> logits``.
    images : uint16 [n, rows, columns, 1]
        Grey levels of records.
    mean_image : float [rows, columns, 1]
        Mean of the training images in grey levels.
    """
    inputs = network_inputs(images)
    if method == CONTROL:
        return _without_path(inputs[..., 0])
    if method == "grad_cam":
        return _without_path(grad_cam(network, variables, inputs))
    if method == "smoothgrad_ig":
        baselines = baselines_for(images, "blurred")
        return _with_path(smoothgrad_integrated_gradients(network, variables, inputs, baselines))
    baselines = baselines_for(images, cast(Baseline, method.removeprefix("ig_")), mean_image)
    return _with_path(integrated_gradients(network, variables, inputs, baselines))


def _with_path(attributions: Attributions) -> Maps:
    return Maps(attributions.maps, attributions.gaps.astype(np.float64), attributions.steps, attributions.complete)


def _without_path(maps: np.ndarray) -> Maps:
    count = len(maps)
    return Maps(maps, np.full(count, np.nan), np.zeros(count, np.int64), np.ones(count, bool))
