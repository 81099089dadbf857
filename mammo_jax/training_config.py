"""How a network is trained: everything that its weights depend on, besides the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training. The paper states none of them: they are our choice.

    Attributes
    ----------
    model : {"cnn"}
    filters : tuple of 3 int
        Filters of the convolutional layers.
    dropout : float
        Part of the features dropped before each hidden fully connected layer.
    epochs : int
        At most.
    patience : int
        Epochs without a better validation score after which training stops.
    validation_parts : int
        The training folds' patients are divided into this many parts; one of them validates.
    batch_size : int
        Images of a step, over all devices.
    learning_rate : float
        Its peak: it rises linearly over the first tenth of the steps, then falls along a cosine to 0.
    weight_decay : float
        Decoupled, on kernels only.
    augment : bool
        Flip, turn and change contrast and brightness of training images.
    """

    model: Literal["cnn"] = "cnn"
    filters: tuple[int, int, int] = (8, 16, 32)
    dropout: float = 0.0
    epochs: int = 32
    patience: int = 12
    validation_parts: int = 5
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    augment: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        whole = (*self.filters, self.epochs, self.patience, self.batch_size)
        if min(whole) < 1 or self.validation_parts < 2:
            raise ValueError(f"filters, epochs, patience and batch_size are at least 1, validation_parts 2: {self}")
        if not (0 <= self.dropout < 1 and self.learning_rate > 0 and self.weight_decay >= 0):
            raise ValueError(f"dropout is in [0, 1), learning_rate above 0, weight_decay not negative: {self}")
