"""The same networks in PyTorch, for the checks and the benchmark that compare the two frameworks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mammo_jax.models.pretrained import to_torch
from mammo_jax.models.resnet import STAGES

GRID = 4


class TorchCNN(nn.Module):
    """The CNN of `mammo_jax.models.cnn`; its layers have Flax's names, with "Conv.0" for "Conv_0"."""

    def __init__(self, filters: Sequence[int] = (16, 32, 64), dense: Sequence[int] = (128, 32)):
        super().__init__()
        inputs = (1, *filters[:-1])
        self.Conv = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in zip(inputs, filters))
        self.MaskedBatchNorm = nn.ModuleList(nn.BatchNorm2d(o) for o in filters)
        units = (GRID * GRID * filters[-1], *dense, 1)
        self.Dense = nn.ModuleList(nn.Linear(i, o) for i, o in zip(units, units[1:]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits [batch] of images [batch, 1, rows, columns] whose sides are multiples of 32."""
        x = images
        for conv, norm in zip(self.Conv, self.MaskedBatchNorm):
            x = functional.max_pool2d(functional.relu(norm(conv(x))), 2)
        x = functional.max_pool2d(x, (x.shape[2] // GRID, x.shape[3] // GRID))
        x = x.permute(0, 2, 3, 1).flatten(1)  # Flax flattens with the channels last
        for dense in self.Dense[:-1]:
            x = functional.relu(dense(x))
        return self.Dense[-1](x)[:, 0]


class TorchBlock(nn.Module):
    """torchvision's basic block, with torchvision's names."""

    def __init__(self, channels: int, features: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, features, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != features:
            conv = nn.Conv2d(channels, features, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [batch, channels, rows, columns] to [batch, features, rows / stride, columns / stride]."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.downsample(x) + self.bn2(self.conv2(y)))


class TorchResNet18(nn.Module):
    """torchvision's ResNet18 with one input channel and one logit, with torchvision's names."""

    def __init__(self, channels: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (features, stride) in enumerate(STAGES, start=1):
            blocks = nn.Sequential(TorchBlock(inputs, features, stride), TorchBlock(features, features, 1))
            setattr(self, f"layer{number}", blocks)
            inputs = features
        self.fc = nn.Linear(inputs, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits [batch] of images [batch, channels, rows, columns]."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        for number in range(1, len(STAGES) + 1):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))[:, 0]


def transformers_resnet18(variables: dict[str, Any]) -> nn.Module:
    """Return Hugging Face's ResNet-18 with our weights, in float64 and evaluation mode."""
    import transformers

    config = transformers.ResNetConfig(
        num_channels=1,
        embedding_size=64,
        hidden_sizes=[features for features, _ in STAGES],
        depths=[2, 2, 2, 2],
        layer_type="basic",
    )
    config.num_labels = 1  # which the signature above leaves out
    model = transformers.ResNetForImageClassification(config).double().eval()
    own = model.state_dict()
    ours = {_transformers_name(name): torch.from_numpy(np.array(value)) for name, value in to_torch(variables).items()}
    if missing := {name for name in own if not name.endswith("num_batches_tracked")} ^ ours.keys():
        raise RuntimeError(f"the layer names of transformers' ResNet have changed: {sorted(missing)[:3]}")
    model.load_state_dict(ours, strict=False)
    return model


def _transformers_name(name: str) -> str:
    """Convert torchvision's name of an array to that in transformers' ResNet."""
    module, leaf = name.rsplit(".", 1)
    parts = {"conv": "convolution", "bn": "normalization"}
    if module == "fc":
        return f"classifier.1.{leaf}"
    if module in ("conv1", "bn1"):
        return f"resnet.embedder.embedder.{parts[module[:-1]]}.{leaf}"
    stage, block, layer, *rest = module.split(".")
    prefix = f"resnet.encoder.stages.{int(stage[-1]) - 1}.layers.{block}"
    if layer == "downsample":
        return f"{prefix}.shortcut.{'convolution' if rest == ['0'] else 'normalization'}.{leaf}"
    return f"{prefix}.layer.{int(layer[-1]) - 1}.{parts[layer[:-1]]}.{leaf}"
