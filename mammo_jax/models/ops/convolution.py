"""Two-dimensional convolution, computed on each kind of device in the way that is fast there.

XLA's own convolution is right for GPU and TPU, which find the best algorithm by themselves, and on CPU it is near
PyTorch's where `mammo_jax.devices` has chosen the library behind it, with exceptions that are taken care of here:
images of one channel, those smaller than the kernel, float64, and 3×3 kernels of many channels.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from mammo_jax.devices import computed_once
from mammo_jax.models.ops import winograd


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
    smallest = min(*x.shape[1:3], *((side + 2 * padding - len(kernel)) // stride + 1 for side in x.shape[1:3]))
    if jax.default_backend() == "cpu" and (smallest < len(kernel) or x.dtype == jnp.float64):
        return _as_product(x, kernel, stride, padding)
    return _convolve(x, kernel, stride, padding)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    return _forward(x, kernel, stride, padding)[0]


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> tuple[jax.Array, tuple]:
    """Return the result, and what the gradients need: both operands, and Winograd's transform of the kernel if any."""
    if _suits_winograd(x, kernel, stride, padding):
        transformed = winograd.transform_kernel(kernel)
        return winograd.convolve(x, transformed), (x, kernel, transformed)
    if x.shape[-1] == 1 and stride == 1 and jax.default_backend() == "cpu":
        return _one_channel(x, kernel, padding), (x, kernel, None)
    return _by_xla(x, kernel, stride, padding), (x, kernel, None)


def _suits_winograd(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> bool:
    """Whether Winograd's convolution is faster on CPU, forward and for the images' gradient: 1.1 to 1.7 times.

    With fewer pixels the kernel's transform takes too long, and with larger images the transformed ones, of four times
    their size, too much memory.
    """
    shape = (*kernel.shape[:2], stride, padding) == (3, 3, 1, 1) and min(kernel.shape[2:]) >= 64
    size = x.size // x.shape[-1] >= 512 and x.size * x.dtype.itemsize <= 1 << 25
    return shape and size and x.dtype == kernel.dtype == jnp.float32 and jax.default_backend() == "cpu"


def _backward(stride: int, padding: int, saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gradients by XLA's convolutions or Winograd's.

    XLA's first put both operands into another order, which is slow where these are computed at the same time, element
    by element in the new order. Winograd's kernel gradient is slower with fewer than 128 channels, whose matrix
    products are long and thin.
    """
    x, kernel, transformed = saved
    x, kernel, gradient = computed_once((x, kernel, gradient))
    if transformed is not None and min(kernel.shape[2:]) >= 128:
        return winograd.image_gradient(gradient, transformed), winograd.kernel_gradient(x, gradient)
    for_x, for_kernel = jax.vjp(lambda x, kernel: _by_xla(x, kernel, stride, padding), x, kernel)[1](gradient)
    return for_x if transformed is None else winograd.image_gradient(gradient, transformed), for_kernel


_convolve.defvjp(_forward, _backward)


def _by_xla(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _one_channel(x: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    """Sum of shifted images, each times its kernel value.

    XLA makes one loop of it, 6 to 18 times as fast as its convolution and 3 to 6 times as fast as PyTorch's, which both
    arrange patches for a matrix product of nearly no depth. Backwards there is depth enough, so XLA's own is taken.
    """
    rows, columns, _, features = kernel.shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    total = jnp.zeros((len(x), high, wide, features), jnp.float32)
    for i in range(rows):
        for j in range(columns):
            shifted = x[:, i : i + high, j : j + wide].astype(jnp.float32)
            total += shifted * kernel[i, j].astype(jnp.float32).reshape(1, 1, 1, -1)
    return total.astype(x.dtype)


def _as_product(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Arrange patches and multiply them with the kernel (im2col).

    XLA on CPU takes plain loops, up to a hundred times as long, for float64, and where a kernel is larger than what it
    slides over, forward or backward (the last stage of a ResNet18 at 64 pixels), because it exchanges the two.
    """
    rows, columns, channels, features = kernel.shape
    dtype, summed_in = x.dtype, jnp.promote_types(x.dtype, jnp.float32)
    x, kernel = x.astype(summed_in), kernel.astype(summed_in)
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    high, wide = (x.shape[1] - rows) // stride + 1, (x.shape[2] - columns) // stride + 1
    shifted = [
        x[:, i : i + (high - 1) * stride + 1 : stride, j : j + (wide - 1) * stride + 1 : stride]
        for i in range(rows)
        for j in range(columns)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(-1, rows * columns * channels)
    product = jnp.matmul(patches, kernel.reshape(-1, features), precision=lax.Precision.HIGHEST)
    return product.reshape(len(x), high, wide, features).astype(dtype)
