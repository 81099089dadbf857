"""The compression ratio: uncompressed bytes over the bytes of the whole codestream, headers included."""

import math
from fractions import Fraction
from numbers import Rational, Real

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


def target_bytes(uncompressed: Fraction | int, ratio: float) -> int:
    """``floor(uncompressed / ratio)``, computed exactly.

    Raises
    ------
    InvalidRatioError
        Unless 0 < `ratio` < infinity and the result is at most `MAX_CODESTREAM_BYTES`.
    """
    target = math.floor(uncompressed / exact_ratio(ratio))
    if target > MAX_CODESTREAM_BYTES:
        raise InvalidRatioError(
            f"ratio {ratio_text(ratio)} means a codestream of more than {MAX_CODESTREAM_BYTES} bytes: the smallest"
            f" ratio for this image is {float(Fraction(uncompressed) / MAX_CODESTREAM_BYTES):.6g}"
        )
    return target


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
