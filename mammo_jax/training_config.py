"""The settings of a training: everything that the weights depend on, besides the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mammo_jax.errors import UserError

KNOWN_MODELS = ("cnn", "resnet18")


class TrainingError(UserError):
    """A training that cannot go on; the message names the model and what to do."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training. The paper does not state them: they are our choice.

    Attributes
    ----------
    model : str
        "cnn", "resnet18", or "package.module:Class" for a Flax module of your own (see `mammo_jax.models`).
    filters : tuple of 3 int
        cnn: number of filters of each convolutional layer.
    dropout : float
        cnn: dropout rate before each hidden fully connected layer.
    pretrained : str
        resnet18: "imagenet" downloads torchvision's weights from the Hugging Face hub; a .safetensors or .pth file is
        read; "none" starts from random weights.
    first_kernel : {"sum", "repeat"}
        resnet18: sum the pretrained first kernel over its three colours, or repeat the grey image three times.
    window : int or None
        Classify sliding windows of this many rows and columns and pool the highest scores to the image's score (see
        `mammo_jax.models.windows`); None classifies the whole image.
    window_step : int
        Pixels from one window to the next.
    epochs : int
        Maximum number of epochs.
    patience : int
        Epochs without a better validation score after which training stops (early stopping).
    validation_parts : int
        The training folds' patients are divided into this many parts; one of them is for validation. With 1 all of them
        are both trained on and validated on: for a network that is to memorise its examples.
    batch_size : int
        Images per step, over all devices.
    accumulate : int
        Number of parts of a batch that are computed one after the other to save memory (gradient accumulation); each
        is normalised by itself.
    optimizer : {"adamw", "sgd"}
        sgd has momentum 0.9.
    learning_rate : float
        Peak learning rate: linear warm-up over the first tenth of the steps, then cosine decay to 0.
    backbone_learning_rate : float or None
        Peak learning rate of all layers but the model's head. None: a tenth of learning_rate if they start from
        ImageNet weights, otherwise the same.
    weight_decay : float
        On kernels only; decoupled with adamw.
    augment : bool
        Flip, rotate and change contrast and brightness of training images.
    compute : {"float32", "bfloat16"}
        Type of convolutions and matrix products; weights and batch statistics stay float32.
    """

    model: str = "cnn"
    filters: tuple[int, int, int] = (8, 16, 32)
    dropout: float = 0.0
    pretrained: str = "imagenet"
    first_kernel: Literal["sum", "repeat"] = "sum"
    window: int | None = None
    window_step: int = 32
    epochs: int = 32
    patience: int = 12
    validation_parts: int = 5
    batch_size: int = 32
    accumulate: int = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 4e-3
    backbone_learning_rate: float | None = None
    weight_decay: float = 1e-2
    augment: bool = True
    compute: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Raise ValueError for invalid settings."""
        if self.model not in KNOWN_MODELS and ":" not in self.model:
            raise ValueError(f"model: {self.model!r} is not among {KNOWN_MODELS}, nor is it package.module:Class")
        counts = (self.epochs, self.patience, self.validation_parts, self.batch_size, self.accumulate)
        if min(*self.filters, *counts) < 1:
            raise ValueError(
                f"filters, epochs, patience, validation_parts, batch_size and accumulate must be at least 1: {self}"
            )
        if self.model != "resnet18" and self.pretrained not in ("imagenet", "none"):
            raise ValueError(f"pretrained: only resnet18 starts from a file, not {self.model}; leave it out")
        if self.window is not None and not 1 <= self.window_step <= self.window:
            raise ValueError(f"window_step: {self.window_step} must be from 1 to window, {self.window}")
        if self.accumulate > self.batch_size:
            raise ValueError(f"accumulate: a batch of {self.batch_size} cannot be divided into {self.accumulate} parts")
        if not (0 <= self.dropout < 1 and self.learning_rate > 0 and self.weight_decay >= 0):
            raise ValueError(f"dropout must be in [0, 1), learning_rate above 0, weight_decay not negative: {self}")
        if self.backbone_learning_rate is not None and self.backbone_learning_rate < 0:
            raise ValueError(f"backbone_learning_rate: {self.backbone_learning_rate} is negative")

    @property
    def starts_pretrained(self) -> bool:
        """Whether the network starts from weights trained on another task."""
        return self.model == "resnet18" and self.pretrained != "none"
