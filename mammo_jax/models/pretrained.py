"""Pretrained weights: download or find, read, and convert between PyTorch's names and layout and Flax's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mammo_jax.errors import UserError
from mammo_jax.training_config import TrainingConfig

HUB_REPOSITORY = "timm/resnet18.tv_in1k"
HUB_REVISION = "bbd144b3e5565108aad885f145491d11bc6ce807"
HUB_FILE = "model.safetensors"
FIRST_KERNEL = "conv1.weight"

LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
"""PyTorch's name for each kind of Flax variable."""


class PretrainedError(UserError):
    """Weights that cannot be had or do not fit; the message names the file and what to do."""


HOW_TO_GET_WEIGHTS = (
    f"give --pretrained FILE, either {HUB_FILE} from https://huggingface.co/{HUB_REPOSITORY} or torchvision's"
    " resnet18-*.pth; or start from random weights with --pretrained none"
)


def find_weights(config: TrainingConfig) -> Path | None:
    """Return the file of the pretrained weights that a configuration asks for, or None if it asks for none.

    Raises
    ------
    PretrainedError
        If the file does not exist, or the Hugging Face hub cannot be reached.
    """
    if not config.starts_pretrained:
        return None
    if config.pretrained != "imagenet":
        path = Path(config.pretrained)
        if not path.is_file():
            raise PretrainedError(f"pretrained: {path} is not a file; {HOW_TO_GET_WEIGHTS}")
        return path
    return _from_hub()


@lru_cache(maxsize=1)
def _from_hub() -> Path:
    """Return the hub's file; the hub is queried once per process."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise PretrainedError(
            f"pretrained: ImageNet weights come from the Hugging Face hub, whose client is not installed; pip install"
            f" 'mammo-jax[hub]', or {HOW_TO_GET_WEIGHTS}"
        ) from error
    try:
        return Path(huggingface_hub.hf_hub_download(HUB_REPOSITORY, HUB_FILE, revision=HUB_REVISION))
    except Exception as error:  # the client raises its own errors, those of two HTTP libraries, and OSError
        reason = str(error).strip().splitlines()
        raise PretrainedError(
            f"pretrained: {HUB_REPOSITORY} cannot be fetched ({reason[0] if reason else type(error).__name__});"
            f" {HOW_TO_GET_WEIGHTS}"
        ) from error


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays from a .safetensors file, or from a .pth file where PyTorch is installed.

    Raises
    ------
    PretrainedError
        If the file is not readable, or is a .pth file that contains more than tensors.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError, KeyError) as error:
            raise PretrainedError(f"{path}: not a readable safetensors file ({error}); {HOW_TO_GET_WEIGHTS}") from error
    if path.suffix not in (".pth", ".pt"):
        raise PretrainedError(f"{path}: weights are read from .safetensors or .pth files; {HOW_TO_GET_WEIGHTS}")
    try:
        import torch
    except ImportError as error:
        raise PretrainedError(
            f"{path}: reading a .pth file needs PyTorch; pip install 'mammo-jax[torch]', or {HOW_TO_GET_WEIGHTS}"
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items()}
    except Exception as error:  # pickle, zipfile and torch each raise their own errors
        raise PretrainedError(
            f"{path}: not a readable state dict ({str(error)[:200]}); {HOW_TO_GET_WEIGHTS}"
        ) from error


def with_pretrained(variables: dict[str, Any], state: Mapping[str, np.ndarray], head: tuple[str, ...]) -> Any:
    """Replace the initial values of a network by pretrained ones, except those of its head.

    A first kernel of three colours is summed where ours has one channel: a grey image has three equal colours, so the
    result is the same.

    Parameters
    ----------
    variables : dict
        "params" and "batch_stats" of an initialised network.
    state : mapping of str to array
        With PyTorch's names and layout, as `read_weights` returns it.
    head : tuple of str
        Layers that keep their initial values.

    Raises
    ------
    PretrainedError
        If an array is missing or has another shape; the message names the first one.
    """
    loaded = {}
    for path, initial in flatten_dict(variables).items():
        if path[1] in head:
            loaded[path] = initial
            continue
        name = torch_name(path)
        if name not in state:
            raise PretrainedError(f"pretrained: the weights lack {name!r}; {HOW_TO_GET_WEIGHTS}")
        value = _to_flax_layout(np.asarray(state[name]))
        if name == FIRST_KERNEL and value.ndim == 4 and value.shape[2] == 3 and initial.shape[2] == 1:
            value = value.sum(2, keepdims=True)
        if value.shape != initial.shape:
            raise PretrainedError(
                f"pretrained: {name!r} has shape {value.shape}, not {initial.shape}; {HOW_TO_GET_WEIGHTS}"
            )
        loaded[path] = value.astype(initial.dtype)
    return unflatten_dict(loaded)


def to_torch(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return a network's arrays with PyTorch's names and layout, for `load_state_dict(strict=False)`."""
    flat = flatten_dict(variables)
    return {torch_name(path): _to_torch_layout(np.asarray(value)) for path, value in flat.items()}


def torch_name(path: tuple[str, ...]) -> str:
    """Return PyTorch's name of an array: ("params", "layer1_0", "conv1", "kernel") is "layer1.0.conv1.weight"."""
    collection, *modules, leaf = path
    return ".".join([*(re.sub(r"_(\d+)$", r".\1", module) for module in modules), LEAVES[collection, leaf]])


def _to_torch_layout(value: np.ndarray) -> np.ndarray:
    """Transpose [rows, columns, in, out] to [out, in, rows, columns], and [in, out] to [out, in]."""
    return value.transpose((3, 2, 0, 1)) if value.ndim == 4 else value.T


def _to_flax_layout(value: np.ndarray) -> np.ndarray:
    return value.transpose((2, 3, 1, 0)) if value.ndim == 4 else value.T
