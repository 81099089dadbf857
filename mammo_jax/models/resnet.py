"""ResNet18 with torchvision's layout and names, so that its weights can be loaded (He et al., CVPR 2016)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mammo_jax.models.ops.convolution import Conv
from mammo_jax.models.ops.layers import MaskedBatchNorm, relu
from mammo_jax.models.ops.pooling import overlapping_max_pool

KERNEL_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He et al., ICCV 2015, as torchvision
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Number of features and first stride of each of the four stages, which have two blocks each."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut connection.

    If the shape changes, the shortcut is a 1×1 convolution with the same stride. The names are torchvision's, with "_"
    for ".".
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
        Input channels of the first kernel. With 3 the grey image is repeated three times.
    axis_name : str or None
        The mapped axis of the devices in a data-parallel step.
    dtype : dtype or None
        Type of the computation; None takes the promoted type of images and weights. Batch statistics are float32 or
        wider.
    """

    channels: int = 1
    axis_name: str | None = None
    dtype: jax.typing.DTypeLike | None = None

    head = ("fc",)
    """The layers that are initialised randomly when the others come from a pretrained network."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, mask: jax.Array | None = None) -> jax.Array:
        """Return the logits of the positive class.

        Parameters
        ----------
        images : float [batch, rows, columns, 1]
            Standardised.
        train : bool
            True: normalise by the batch statistics. False: by the running statistics.
        mask : bool [batch] or None
            False for padding rows.

        Returns
        -------
        float [batch]
        """
        x = images if self.channels == 1 else jnp.repeat(images, self.channels, axis=-1)
        x = _conv(64, 7, 2, self.dtype, "conv1")(x)
        x = relu(overlapping_max_pool(MaskedBatchNorm(self.axis_name, name="bn1")(x, train, mask)))
        for number, (features, stride) in enumerate(STAGES, start=1):
            for block in (0, 1):
                block_stride = stride if block == 0 else 1
                name = f"layer{number}_{block}"
                x = BasicBlock(features, block_stride, self.axis_name, self.dtype, name=name)(x, train, mask)
        x = x.mean((1, 2))
        return nn.Dense(1, name="fc", dtype=self.dtype)(x)[:, 0]


def _conv(features: int, size: int, stride: int, dtype: jax.typing.DTypeLike | None, name: str) -> Conv:
    """Build a convolution padded by half the kernel on every side; "SAME" pads strided ones more on one side."""
    return Conv(features, size, stride, size // 2, dtype, KERNEL_INIT, name=name)
