"""The small network of the study: three convolutional and three fully connected layers."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mammo_jax.models.layers import MaskedBatchNorm, RowDropout, max_pool


class CNN(nn.Module):
    """Three convolutional and three fully connected layers, as in Jo et al. (Sci Rep 2021;11:7924).

    The paper gives the number of layers and nothing more; the rest is our choice. The first convolution is 5×5 with
    stride 2, the others 3×3; each is followed by batch normalisation and ReLU, the first two by 2×2 max pooling. The
    maximum and the mean over all places join the two halves, so that a network trained on patches also takes whole
    images of any size: the maximum tells that a pattern is there wherever it lies.

    Attributes
    ----------
    filters : tuple of 3 int
        Filters of the convolutional layers.
    dense : tuple of 2 int
        Units of the hidden fully connected layers.
    dropout : float
        Rate before each hidden fully connected layer.
    axis_name : str or None
        The mapped axis of the devices in a data-parallel step.
    """

    filters: tuple[int, int, int] = (16, 32, 64)
    dense: tuple[int, int] = (64, 32)
    dropout: float = 0.0
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, mask: jax.Array | None = None) -> jax.Array:
        """Logits of the positive class.

        Parameters
        ----------
        images : float32 [batch, rows, columns, 1]
            Standardised; rows and columns at least 8.
        train : bool
            Normalise by the batch and drop features; else by the running statistics.
        mask : bool [batch] or None
            False for rows that only fill the batch up.

        Returns
        -------
        float32 [batch]
        """
        x = nn.Conv(self.filters[0], (5, 5), strides=2, use_bias=False)(images)
        x = max_pool(nn.relu(MaskedBatchNorm(self.axis_name)(x, train, mask)))
        x = nn.Conv(self.filters[1], (3, 3), use_bias=False)(x)
        x = max_pool(nn.relu(MaskedBatchNorm(self.axis_name)(x, train, mask)))
        x = nn.Conv(self.filters[2], (3, 3), use_bias=False)(x)
        x = nn.relu(MaskedBatchNorm(self.axis_name)(x, train, mask))
        x = jnp.concatenate([x.max((1, 2)), x.mean((1, 2))], axis=-1)
        for units in self.dense:
            x = nn.relu(nn.Dense(units)(RowDropout(self.dropout, self.axis_name)(x, train)))
        return nn.Dense(1)(x)[:, 0]
