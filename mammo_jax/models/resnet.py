"""ResNet18, laid out and named like torchvision's, so that weights for it can be used (He et al., CVPR 2016)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mammo_jax.models.ops.convolution import Conv
from mammo_jax.models.ops.layers import MaskedBatchNorm, relu
from mammo_jax.models.ops.pooling import overlapping_max_pool

KERNEL_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He et al., ICCV 2015, as torchvision
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Features and first stride of the four stages, two blocks each."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around which the input is added.

    Where the shape changes, the input goes through a 1×1 convolution with the same stride. The names are torchvision's
    with "_" for ".".
    """

    features: int
    stride: int = 1
    axis_name: str | None = None
    dtype: jax.typing.DTypeLike | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, mask: jax.Array | None) -> jax.Array:
        """Map [batch, rows, columns, channels] to [batch, rows / stride, columns / stride, features]."""
        y = _conv(self.features, 3, self.stride, self.dtype, "conv1")(x)
        y = relu(MaskedBatchNorm(self.axis_name, name="bn1")(y, train, mask))
        y = _conv(self.features, 3, 1, self.dtype, "conv2")(y)
        y = MaskedBatchNorm(self.axis_name, name="bn2")(y, train, mask)
        if self.stride != 1 or x.shape[-1] != self.features:
            x = _conv(self.features, 1, self.stride, self.dtype, "downsample_0")(x)
            x = MaskedBatchNorm(self.axis_name, name="downsample_1")(x, train, mask)
        return relu(x + y)


class ResNet18(nn.Module):
    """The 18-layer residual network with one logit.

    Attributes
    ----------
    channels : {1, 3}
        Of the first kernel. With 3 the grey image is given three times.
    axis_name : str or None
        The mapped axis of the devices in a data-parallel step.
    dtype : dtype or None
        What is computed in; None takes the wider of images and weights. Batch statistics are never narrower than
        float32.
    """

    channels: int = 1
    axis_name: str | None = None
    dtype: jax.typing.DTypeLike | None = None

    head = ("fc",)
    """The layers that are new where the others come from a pretrained network."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, mask: jax.Array | None = None) -> jax.Array:
        """Logits of the positive class.

        Parameters
        ----------
        images : float [batch, rows, columns, 1]
            Standardised.
        train : bool
            Normalise by the batch; else by the running statistics.
        mask : bool [batch] or None
            False for rows that only fill the batch up.

        Returns
        -------
        float [batch]
        """
        x = images if self.channels == 1 else jnp.repeat(images, self.channels, axis=-1)
        x = _conv(64, 7, 2, self.dtype, "conv1")(x)
        x = relu(overlapping_max_pool(MaskedBatchNorm(self.axis_name, name="bn1")(x, train, mask)))
        for number, (features, stride) in enumerate(STAGES, start=1):
            for block in (0, 1):
                step = stride if block == 0 else 1
                name = f"layer{number}_{block}"
                x = BasicBlock(features, step, self.axis_name, self.dtype, name=name)(x, train, mask)
        x = x.mean((1, 2))
        return nn.Dense(1, name="fc", dtype=self.dtype)(x)[:, 0]


def _conv(features: int, size: int, stride: int, dtype: jax.typing.DTypeLike | None, name: str) -> Conv:
    """Padded on every side by half the kernel, where "SAME" would pad a strided convolution on one side more."""
    return Conv(features, size, stride, size // 2, dtype, KERNEL_INIT, name=name)
