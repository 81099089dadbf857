"""Encoding an image to codestreams of exact lengths."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codec import ratio as compression_ratio
from codec.decoding.decoder import decode
from codec.decoding.inverse_transform import is_narrow
from codec.encoding.coded_image import CodedImage
from codec.encoding.codestream_writer import FIXED_BYTES, write_main_header, write_tile_header
from codec.encoding.decomposition import decomposition_levels
from codec.encoding.level_trials import LevelTrials
from codec.encoding.packet_division import count_packets
from codec.encoding.packet_writer import codewords_of, write_packets
from codec.encoding.padding import NO_BLOCK
from codec.encoding.quantizer import subband_steps
from codec.encoding.rate_control import Allocation
from codec.encoding.reconstruction import reconstruct
from codec.errors import InvalidImageError, UnreachableRatioError
from codec.markers import EOC
from codec.subbands import subband_shapes
from codec.workers import Workers


@dataclass(frozen=True)
class Encoded:
    """One codestream, with its ratio and lengths.

    Attributes
    ----------
    codestream : bytes
        A raw JPEG 2000 codestream, `target_bytes` long.
    ratio : float
        The requested compression ratio.
    rows, columns, bits_allocated, bits_stored : int
        Of the image.
    target_bytes : int
        ``floor(uncompressed bytes / ratio)``.
    header_bytes : int
        Marker segments and packet headers.
    padding_bytes : int
        Filler, only where all coded data are used.
    reconstruction : numpy.ndarray or None
        The decoded pixels, of the input's dtype in the machine's byte order (`codec.decode` gives uint8 wherever
        `bits_stored` is at most 8); only from `encode_ladder`.
    """

    codestream: bytes
    ratio: float
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    target_bytes: int
    header_bytes: int
    padding_bytes: int
    reconstruction: np.ndarray | None = None

    def __repr__(self) -> str:
        return (
            f"Encoded({len(self.codestream)} bytes, ratio {compression_ratio.ratio_text(self.ratio)}, {self.rows} ×"
            f" {self.columns} pixels of {self.bits_stored} bits in {self.bits_allocated}, {self.padding_bytes} bytes"
            f" of padding)"
        )

    @property
    def body_bytes(self) -> int:
        """Bytes of codeword segments."""
        return self.target_bytes - self.header_bytes - self.padding_bytes

    @property
    def ratio_allocated(self) -> float:
        """Actual compression ratio, counting the bits allocated."""
        return self._ratio("allocated")

    @property
    def ratio_stored(self) -> float:
        """Actual compression ratio, counting the bits stored."""
        return self._ratio("stored")

    def _ratio(self, reference: str) -> float:
        uncompressed = compression_ratio.uncompressed_bytes(
            self.rows,
            self.columns,
            bits_allocated=self.bits_allocated,
            bits_stored=self.bits_stored,
            reference=reference,
        )
        return compression_ratio.ratio_of(uncompressed, len(self.codestream))


def encode(
    pixels: np.ndarray,
    ratio: float,
    *,
    bits_stored: int | None = None,
    reference: str = "allocated",
    threads: int = 1,
) -> Encoded:
    """Compress an image to exactly ``floor(uncompressed bytes / ratio)`` bytes.

    `codec.decode` returns uint8 where `bits_stored` is at most 8, whatever the input's dtype.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 or uint16, of any byte order, [rows, columns].
    ratio : float
        Compression ratio, any finite number above 0.
    bits_stored : int, optional
        Bits of a pixel that hold its value, 1 to 16; by default all that are allocated.
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed size counts.
    threads : int
        How many threads code blocks at the same time.

    Raises
    ------
    InvalidImageError
        Pixels that are not a greyscale image, or need more than `bits_stored` bits.
    InvalidRatioError
        A `ratio` that is not a finite number above 0, or means 2 GiB or more; an unknown `reference`.
    UnreachableRatioError
        Even a codestream with empty packets would be longer.
    OptionError
        `threads` below 1.
    """
    return next(_encode_all(pixels, [ratio], bits_stored, reference, threads, False))


def encode_ladder(
    pixels: np.ndarray,
    ratios: Iterable[float],
    *,
    bits_stored: int | None = None,
    reference: str = "allocated",
    threads: int = 1,
) -> Iterator[Encoded]:
    """Compress an image to several ratios with one transform and one run of block coding.

    Parameters and errors are those of `encode`, for all ratios before any work is done.

    Yields
    ------
    Encoded
        One for each of `ratios`, in their order, with its `reconstruction`.
    """
    return _encode_all(pixels, list(ratios), bits_stored, reference, threads, True)


def _encode_all(
    pixels: np.ndarray,
    ratios: list[float],
    bits_stored: int | None,
    reference: str,
    threads: int,
    reconstructed: bool,
) -> Iterator[Encoded]:
    """Check the request, and return the iterator that does the work."""
    workers = Workers(threads)
    pixels, bits = checked_image(pixels, bits_stored)
    uncompressed = compression_ratio.image_bytes(pixels, bits, reference)
    targets = [compression_ratio.target_bytes(uncompressed, ratio) for ratio in ratios]
    smallest = smallest_codestream(pixels.shape, bits)
    for ratio, target in zip(ratios, targets):
        if target < smallest:
            raise unreachable(ratio, target, smallest, uncompressed, pixels.shape)

    def work() -> Iterator[Encoded]:
        if not targets:
            return
        with workers:
            trials = LevelTrials(pixels, bits, max(targets) - FIXED_BYTES, workers)
            if reconstructed:
                trials.drop_fractions()
            for ratio, target in zip(ratios, targets):
                yield _encoded(*trials.best(target - FIXED_BYTES), ratio, target, reconstructed, workers)

    return work()


def smallest_codestream(shape: tuple[int, ...], bits: int) -> int:
    """Bytes of a codestream of an image of this shape whose packets are empty."""
    rows, columns = shape
    return FIXED_BYTES + count_packets(subband_shapes(rows, columns, decomposition_levels(rows, columns, bits)))


def unreachable(
    ratio: float, target: int, smallest: int, uncompressed: Fraction, shape: tuple[int, ...]
) -> UnreachableRatioError:
    """The error that `target` bytes are fewer than the `smallest` codestream has; it names that one's ratio."""
    largest = compression_ratio.max_ratio(uncompressed, smallest)
    return UnreachableRatioError(
        f"ratio {compression_ratio.ratio_text(ratio)} leaves {target} bytes for an image of {shape[0]} × {shape[1]}"
        f" pixels, but its headers alone are {smallest}: the largest ratio that it can have is"
        f" {compression_ratio.text_below(largest)}",
        largest,
    )


def checked_image(pixels: np.ndarray, bits_stored: int | None) -> tuple[np.ndarray, int]:
    """Check that `pixels` can be coded with `bits_stored`; return both, the pixels in the machine's byte order.

    Raises
    ------
    InvalidImageError
        They cannot be coded.
    """
    native = pixels.dtype.newbyteorder("=") if isinstance(pixels, np.ndarray) else None
    if native not in (np.uint8, np.uint16):
        kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise InvalidImageError(f"pixels must be a numpy array of uint8 or uint16, not {kind}")
    if pixels.ndim != 2 or pixels.size == 0:
        raise InvalidImageError(f"pixels must have the shape (rows, columns), not {pixels.shape}")
    allocated = 8 * pixels.itemsize
    bits = allocated if bits_stored is None else bits_stored
    if not isinstance(bits, int | np.integer) or not 1 <= bits <= allocated:
        raise InvalidImageError(f"bits_stored must be a whole number from 1 to {allocated}, not {bits!r}")
    bits = int(bits)  # NumPy's own integers overflow
    largest = int(pixels.max())
    if largest >> bits:
        raise InvalidImageError(f"a pixel has the value {largest}, which needs more than bits_stored={bits}")
    return pixels.astype(native, copy=False), bits


def _encoded(
    image: CodedImage, allocation: Allocation, ratio: float, target: int, reconstructed: bool, workers: Workers
) -> Encoded:
    """Assemble the codestream of `target` bytes."""
    packet_bytes = target - FIXED_BYTES
    body = np.empty(packet_bytes, np.uint8)
    write_packets(allocation.plan, codewords_of(image.blocks), allocation.filling.blank, body)
    codestream = (
        write_main_header(image.shape, image.bits_stored, image.levels, image.quantization)
        + write_tile_header(packet_bytes)
        + body.tobytes()
        + EOC.to_bytes(2)
    )
    return Encoded(
        codestream=codestream,
        ratio=ratio,
        rows=image.shape[0],
        columns=image.shape[1],
        bits_allocated=8 * image.dtype.itemsize,
        bits_stored=image.bits_stored,
        target_bytes=target,
        header_bytes=FIXED_BYTES + allocation.header_bytes,
        padding_bytes=allocation.filling.padding,
        reconstruction=_reconstruction(image, allocation, codestream, workers) if reconstructed else None,
    )


def _reconstruction(image: CodedImage, allocation: Allocation, codestream: bytes, workers: Workers) -> np.ndarray:
    # What a truncated pass gives is known only from decoding it, and narrow images are synthesised transposed there.
    if allocation.filling.truncated != NO_BLOCK or is_narrow(image.shape):
        return decode(codestream, max_pixels=image.shape[0] * image.shape[1]).astype(image.dtype, copy=False)
    pixels = np.empty(image.shape, image.dtype)
    reconstruct(
        image.blocks,
        subband_steps(image.quantization, image.bits_stored, image.levels),
        allocation.whole_passes,
        pixels,
        image.bits_stored,
        workers,
    )
    return pixels
