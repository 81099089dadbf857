"""The study's small network: three convolutional and three fully connected layers."""

from __future__ import annotations

import flax.linen as nn
import jax

from mammo_jax.models.ops.convolution import Conv
from mammo_jax.models.ops.layers import MaskedBatchNorm, RowDropout, relu
from mammo_jax.models.ops.pooling import max_grid, max_pool


class CNN(nn.Module):
    """Three convolutional and three fully connected layers, as in Jo et al. (Sci Rep 2021;11:7924).

    The paper gives the number of layers and nothing more; the rest is our choice. The convolutions are 3×3, each
    followed by batch normalisation, 2×2 max pooling and ReLU. The last feature map is max-pooled to a grid of 4×4.
    So a network trained on patches accepts images of any size and still knows roughly where a pattern lies.

    Attributes
    ----------
    filters : tuple of 3 int
        Number of filters of each convolutional layer.
    dense : tuple of 2 int
        Number of units of each hidden fully connected layer.
    dropout : float
        Dropout rate before each hidden fully connected layer.
    axis_name : str or None
        The mapped axis of the devices in a data-parallel step.
    dtype : dtype or None
        Type of the computation; None takes the promoted type of images and weights. Batch statistics are float32 or
        wider.
    """

    filters: tuple[int, int, int] = (16, 32, 64)
    dense: tuple[int, int] = (128, 32)
    dropout: float = 0.0
    axis_name: str | None = None
    dtype: jax.typing.DTypeLike | None = None

    head = ("Dense_0", "Dense_1", "Dense_2")
    """The layers after the feature extractor."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, mask: jax.Array | None = None) -> jax.Array:
        """Return the logits of the positive class.

        Parameters
        ----------
        images : float [batch, rows, columns, 1]
            Standardised; rows and columns at least 8.
        train : bool
            True: normalise by the batch statistics and apply dropout. False: normalise by the running statistics.
        mask : bool [batch] or None
            False for padding rows.

        Returns
        -------
        float [batch]
        """
        x = images
        for filters in self.filters:
            x = Conv(filters, dtype=self.dtype)(x)
            x = relu(max_pool(MaskedBatchNorm(self.axis_name)(x, train, mask)))
        x = max_grid(x).reshape(x.shape[0], -1)
        for units in self.dense:
            x = RowDropout(self.dropout, self.axis_name)(x, train)
            x = relu(nn.Dense(units, dtype=self.dtype)(x))
        return nn.Dense(1, dtype=self.dtype)(x)[:, 0]
