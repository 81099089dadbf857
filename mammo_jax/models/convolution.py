"""Two-dimensional convolution, computed on each kind of device in the way that is fast there.

XLA's own convolution is right for GPU and TPU, which find the best algorithm by themselves. On CPU its forward pass and
its gradient for the images are as fast as PyTorch's, with two exceptions that are taken care of here: the gradient for
the kernel of large images, and images of one channel.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

LARGE_IMAGE = 1000
"""Output pixels from which an image gets its kernel gradient by itself: XLA gathers a row of patches as long as the
batch has pixels, and a long one falls out of the CPU's cache."""


class Conv(nn.Module):
    """Convolution without bias, which the batch normalisation after it would take away.

    Attributes
    ----------
    features : int
        Output channels.
    size : int
        Side of the square kernel.
    stride : int
    padding : int
        Zeros on every side.
    dtype : dtype or None
        What is computed in; None takes the wider of input and kernel.
    kernel_init : callable
        Initialiser of the kernel [size, size, channels, features].
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: int = 1
    dtype: jax.typing.DTypeLike | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve `x` [batch, rows, columns, channels]."""
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        return convolve(x, kernel, self.stride, self.padding)


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 0) -> jax.Array:
    """Cross-correlate images with a kernel, which is what networks call a convolution.

    Parameters
    ----------
    x : float [batch, rows, columns, channels]
    kernel : float [rows, columns, channels, features]
        Of the same type.
    stride : int
    padding : int
        Zeros on every side.

    Returns
    -------
    float [batch, rows, columns, features]
    """
    if jax.default_backend() == "cpu":
        return _on_cpu(x, kernel, stride, padding)
    return _by_xla(x, kernel, stride, padding)


def _by_xla(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _on_cpu(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    if x.shape[-1] == 1 and stride == 1:
        return _one_channel(x, kernel, padding)
    return _by_xla(x, kernel, stride, padding)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> tuple[jax.Array, tuple]:
    return _on_cpu(x, kernel, stride, padding), (x, kernel)


def _backward(stride: int, padding: int, saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    (for_x,) = jax.linear_transpose(lambda x: _by_xla(x, kernel, stride, padding), x)(gradient)
    at_once = 1 if gradient.shape[1] * gradient.shape[2] >= LARGE_IMAGE else len(x)
    for_kernel = jnp.zeros_like(kernel)
    for first in range(0, len(x), at_once):
        part = slice(first, first + at_once)
        transposed = jax.linear_transpose(lambda kernel, x=x[part]: _by_xla(x, kernel, stride, padding), kernel)
        for_kernel += transposed(gradient[part])[0]
    return for_x, for_kernel


_on_cpu.defvjp(_forward, _backward)


def _one_channel(x: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    """Sum of shifted images, each times its kernel value: XLA makes one loop of it, without matrix products."""
    rows, columns, _, features = kernel.shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    total = jnp.zeros((len(x), high, wide, features), x.dtype)
    for i in range(rows):
        for j in range(columns):
            total += x[:, i : i + high, j : j + wide] * kernel[i, j].reshape(1, 1, 1, -1)
    return total
