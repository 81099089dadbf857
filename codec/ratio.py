"""The compression ratio: uncompressed bytes over the bytes of the whole codestream, headers included.

Every conversion between bytes and ratios is here. Results are computed exactly and rounded once.
"""

import decimal
import math
from fractions import Fraction
from numbers import Rational, Real

import numpy as np

from codec.errors import InvalidRatioError

REFERENCES = ("allocated", "stored")
# Lengths of codeword segments are signed 32-bit integers. (Psot, A.4.2, would allow twice as much.)
MAX_CODESTREAM_BYTES = 2**31 - 1
# Powers of two that a float can hold, with a margin.
MAX_EXPONENT = 1000


def uncompressed_bytes(
    rows: int, columns: int, *, bits_allocated: int, bits_stored: int, reference: str = "allocated"
) -> Fraction:
    """Bytes of the image before compression.

    Parameters
    ----------
    rows, columns : int
        Size of the greyscale image.
    bits_allocated, bits_stored : int
        Bits of a pixel in memory (8 or 16), and how many of them hold its value.
    reference : {"allocated", "stored"}
        Which of the two the size counts.

    Returns
    -------
    fractions.Fraction
        Exact, as 12-bit pixels need not fill whole bytes.
    """
    if reference not in REFERENCES:
        raise InvalidRatioError(f"reference must be one of {REFERENCES}, not {reference!r}")
    bits = bits_allocated if reference == "allocated" else bits_stored
    return Fraction(rows * columns * bits, 8)


def image_bytes(pixels: np.ndarray, bits_stored: int, reference: str = "allocated") -> Fraction:
    """`uncompressed_bytes` of an array of unsigned integers [rows, columns]."""
    rows, columns = pixels.shape
    return uncompressed_bytes(
        rows, columns, bits_allocated=8 * pixels.itemsize, bits_stored=bits_stored, reference=reference
    )


def target_bytes(uncompressed: Fraction | int, ratio: float) -> int:
    """``floor(uncompressed / ratio)``, computed exactly.

    Raises
    ------
    InvalidRatioError
        Unless 0 < `ratio` < infinity and the result is at most `MAX_CODESTREAM_BYTES`.
    """
    target = math.floor(uncompressed / exact_ratio(ratio))
    if target > MAX_CODESTREAM_BYTES:
        smallest = min_ratio(uncompressed, MAX_CODESTREAM_BYTES)
        raise InvalidRatioError(
            f"ratio {ratio_text(ratio)} means a codestream of more than {MAX_CODESTREAM_BYTES} bytes: the smallest"
            f" ratio for this image is {text_above(smallest)}",
            smallest,
        )
    return target


def shared_target_bytes(uncompressed: Fraction | int, images: int, ratio: float) -> int:
    """Bytes of several images together, each of so many uncompressed bytes: ``floor(images * uncompressed / ratio)``.

    Raises
    ------
    InvalidRatioError
        As `target_bytes` for each image alone.
    """
    target_bytes(uncompressed, ratio)
    return math.floor(images * uncompressed / exact_ratio(ratio))


def ratio_of(uncompressed: Fraction | int, compressed: int) -> float:
    """Compression ratio of a codestream of `compressed` bytes."""
    return float(Fraction(uncompressed) / compressed)


def max_ratio(uncompressed: Fraction | int, min_bytes: int) -> float:
    """Return the largest float ratio whose `target_bytes` are at least `min_bytes`: `ratio_of`, rounded down."""
    exact = Fraction(uncompressed) / min_bytes
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, 0)


def min_ratio(uncompressed: Fraction | int, max_bytes: int) -> float:
    """Return the smallest float ratio whose `target_bytes` are at most `max_bytes`."""
    exact = Fraction(uncompressed) / (max_bytes + 1)  # which itself means one byte too many
    nearest = float(exact)
    return nearest if Fraction(nearest) > exact else math.nextafter(nearest, math.inf)


def text_below(largest: float) -> str:
    """Six digits of a largest ratio, rounded down, so that the ratio in the text can be had too."""
    return _six_digits(largest, decimal.ROUND_FLOOR)


def text_above(smallest: float) -> str:
    """Six digits of a smallest ratio, rounded up."""
    return _six_digits(smallest, decimal.ROUND_CEILING)


def _six_digits(ratio: float, rounding: str) -> str:
    rounded = decimal.Context(prec=6, rounding=rounding).create_decimal(ratio)
    return f"{float(rounded):.6g}"


def ratio_for_target(uncompressed: Fraction | int, target: int) -> float:
    """Return a ratio whose `target_bytes` are `target`, for any size below 2^51 bytes.

    It lies between the ratios of `target` and of one byte more, so that rounding it cannot change the result.
    """
    return float(Fraction(uncompressed) / (target + Fraction(1, 2)))


def stored_ratio(ratio: float, *, bits_allocated: int, bits_stored: int) -> float:
    """Convert a ratio that counts the bits allocated: the same codestream's ratio that counts the bits stored."""
    return float(exact_ratio(ratio) * bits_stored / bits_allocated)


def bits_per_pixel(compressed: int, pixels: int) -> float:
    """Bits of a codestream of `compressed` bytes for each of the image's pixels."""
    return float(Fraction(8 * compressed, pixels))


def exact_ratio(ratio: float) -> Fraction:
    """Give a ratio of any type without rounding it; `InvalidRatioError` unless it is a finite number above 0."""
    exact = None
    if isinstance(ratio, Rational):
        # NumPy's integers are rational too, but calculate with their own few bits.
        exact = Fraction(int(ratio.numerator), int(ratio.denominator))
    elif isinstance(ratio, Real) and math.isfinite(ratio):
        exact = Fraction(float(ratio))
    if exact is None or exact <= 0:
        text = repr(ratio) if exact is None else _text(exact)
        raise InvalidRatioError(f"a compression ratio is a finite number above 0, not {text}")
    return exact


def ratio_text(ratio: float) -> str:
    """Six digits of a ratio, or the nearest power of two where a float cannot hold it."""
    return _text(exact_ratio(ratio))


def _text(exact: Fraction) -> str:
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    return f"{float(exact):.6g}" if abs(exponent) <= MAX_EXPONENT else f"2^{exponent}"
