"""Weights that others trained: found, read, renamed from PyTorch's names and layout to ours, and back."""

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
"""Flax's name of an array, in PyTorch."""


class PretrainedError(UserError):
    """Weights that cannot be had or do not fit; the message names the file and the ways out."""


WAYS_OUT = (
    f"give --pretrained FILE, either {HUB_FILE} from https://huggingface.co/{HUB_REPOSITORY} or torchvision's"
    " resnet18-*.pth; or start from random weights with --pretrained none"
)


def find_weights(config: TrainingConfig) -> Path | None:
    """Return the file of the pretrained weights that a configuration asks for, None where it asks for none.

    Raises
    ------
    PretrainedError
        If the file is not there, or the hub cannot be reached.
    """
    if not config.starts_pretrained:
        return None
    if config.pretrained != "imagenet":
        path = Path(config.pretrained)
        if not path.is_file():
            raise PretrainedError(f"pretrained: {path} is no file; {WAYS_OUT}")
        return path
    return _from_hub()


@lru_cache(maxsize=1)
def _from_hub() -> Path:
    """Return the hub's file; the hub is asked once in a process."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise PretrainedError(
            f"pretrained: ImageNet weights come from the Hugging Face hub, whose client is not installed; pip install"
            f" 'mammo-jax[hub]', or {WAYS_OUT}"
        ) from error
    try:
        return Path(huggingface_hub.hf_hub_download(HUB_REPOSITORY, HUB_FILE, revision=HUB_REVISION))
    except Exception as error:  # the client raises its own errors, those of two HTTP libraries, and OSError
        reason = str(error).strip().splitlines()
        raise PretrainedError(
            f"pretrained: {HUB_REPOSITORY} cannot be fetched ({reason[0] if reason else type(error).__name__});"
            f" {WAYS_OUT}"
        ) from error


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays from a .safetensors file, or from a .pth file where PyTorch is installed.

    Raises
    ------
    PretrainedError
        If the file is not readable, or is a .pth that holds more than tensors.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError, KeyError) as error:
            raise PretrainedError(f"{path}: not a readable safetensors file ({error}); {WAYS_OUT}") from error
    if path.suffix not in (".pth", ".pt"):
        raise PretrainedError(f"{path}: weights are read from .safetensors or .pth files; {WAYS_OUT}")
    try:
        import torch
    except ImportError as error:
        raise PretrainedError(
            f"{path}: reading a .pth file takes PyTorch; pip install 'mammo-jax[torch]', or {WAYS_OUT}"
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items()}
    except Exception as error:  # pickle, zip and torch each raise their own
        raise PretrainedError(f"{path}: not a readable state dict ({str(error)[:200]}); {WAYS_OUT}") from error


def with_pretrained(variables: dict[str, Any], state: Mapping[str, np.ndarray], head: tuple[str, ...]) -> Any:
    """Put pretrained arrays in the place of fresh ones; the head stays fresh.

    A first kernel of three colours is summed where ours has one channel: a grey image has three equal colours, so the
    sum gives what the three would.

    Parameters
    ----------
    variables : dict
        "params" and "batch_stats" of a fresh network.
    state : mapping of str to array
        In PyTorch's names and layout, as `read_weights` gives it.
    head : tuple of str
        Layers that are not taken over.

    Raises
    ------
    PretrainedError
        Naming the first array that is missing or has another shape.
    """
    filled = {}
    for path, fresh in flatten_dict(variables).items():
        if path[1] in head:
            filled[path] = fresh
            continue
        name = torch_name(path)
        if name not in state:
            raise PretrainedError(f"pretrained: the weights lack {name!r}; {WAYS_OUT}")
        value = _to_flax_layout(np.asarray(state[name]))
        if name == FIRST_KERNEL and value.ndim == 4 and value.shape[2] == 3 and fresh.shape[2] == 1:
            value = value.sum(2, keepdims=True)
        if value.shape != fresh.shape:
            raise PretrainedError(f"pretrained: {name!r} has shape {value.shape}, not {fresh.shape}; {WAYS_OUT}")
        filled[path] = value.astype(fresh.dtype)
    return unflatten_dict(filled)


def to_torch(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return a network's arrays in PyTorch's names and layout, for `load_state_dict(strict=False)`."""
    flat = flatten_dict(variables)
    return {torch_name(path): _to_torch_layout(np.asarray(value)) for path, value in flat.items()}


def torch_name(path: tuple[str, ...]) -> str:
    """Name of an array in PyTorch: ("params", "layer1_0", "conv1", "kernel") is "layer1.0.conv1.weight"."""
    collection, *modules, leaf = path
    return ".".join([*(re.sub(r"_(\d+)$", r".\1", module) for module in modules), LEAVES[collection, leaf]])


def _to_torch_layout(value: np.ndarray) -> np.ndarray:
    """[rows, columns, in, out] to [out, in, rows, columns], [in, out] to [out, in]."""
    return value.transpose((3, 2, 0, 1)) if value.ndim == 4 else value.T


def _to_flax_layout(value: np.ndarray) -> np.ndarray:
    return value.transpose((2, 3, 1, 0)) if value.ndim == 4 else value.T
