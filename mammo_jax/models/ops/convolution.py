"""Two-dimensional convolution with the fastest algorithm for each kind of device.

On GPU and TPU that is XLA's own convolution, which selects an algorithm by itself. On CPU XLA's is about as fast as
PyTorch's once `mammo_jax.devices` has chosen the library behind it, with exceptions that are handled here: images with
one channel, images smaller than the kernel, float64, and 3×3 kernels with many channels.
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
    """Convolution without bias, which the batch normalisation after it would remove.

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
        Type of the computation; None takes the promoted type of input and kernel.
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
    """Cross-correlate images with a kernel, which neural networks call a convolution.

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
        return _im2col(x, kernel, stride, padding)
    return _convolve(x, kernel, stride, padding)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    return _forward(x, kernel, stride, padding)[0]


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> tuple[jax.Array, tuple]:
    """Return the result and the gradient's residuals: both operands, and the kernel's Winograd transform if used."""
    if _suits_winograd(x, kernel, stride, padding):
        transformed = winograd.transform_kernel(kernel)
        return winograd.convolve(x, transformed), (x, kernel, transformed)
    if x.shape[-1] == 1 and stride == 1 and jax.default_backend() == "cpu":
        return _shifted_images(x, kernel, padding), (x, kernel, None)
    return _by_xla(x, kernel, stride, padding), (x, kernel, None)


def _suits_winograd(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> bool:
    """Return whether Winograd's convolution is faster on CPU: 1.1 to 1.7 times, forward and for the images' gradient.

    With fewer pixels the kernel's transform takes too long. With larger images the transformed images, four times as
    large, take too much memory.
    """
    shape = (*kernel.shape[:2], stride, padding) == (3, 3, 1, 1) and min(kernel.shape[2:]) >= 64
    size = x.size // x.shape[-1] >= 512 and x.size * x.dtype.itemsize <= 1 << 25
    return shape and size and x.dtype == kernel.dtype == jnp.float32 and jax.default_backend() == "cpu"


def _backward(stride: int, padding: int, residuals: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute the gradients with XLA's convolutions or Winograd's.

    XLA's convolutions first transpose both operands. That is slow if XLA fuses it with their computation, which is then
    done element by element in the transposed order; `computed_once` keeps the two apart. Winograd's kernel gradient is
    slower with fewer than 128 channels, because its matrix products are then long and thin.
    """
    x, kernel, transformed = residuals
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


def _shifted_images(x: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    """Convolve images with one channel: a sum of shifted images, each times its kernel value.

    XLA fuses it into one loop, 6 to 18 times as fast as its convolution and 3 to 6 times as fast as PyTorch's. These
    two use a matrix product whose inner dimension is very small. In the gradient the inner dimension is large, so XLA's
    own convolution is used there.
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


def _im2col(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Convolve with one matrix product of image patches and kernel (im2col).

    XLA on CPU uses plain loops, up to a hundred times slower, for float64, and also if the kernel is larger than the
    image, forward or backward (the last stage of a ResNet18 at 64 pixels), because it then exchanges the two.
    """
    rows, columns, channels, features = kernel.shape
    dtype, sum_dtype = x.dtype, jnp.promote_types(x.dtype, jnp.float32)
    x, kernel = x.astype(sum_dtype), kernel.astype(sum_dtype)
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
