"""What a compression ratio is: uncompressed bytes over the bytes of the whole codestream, headers included."""

import math
from fractions import Fraction
from numbers import Rational, Real

from codec.errors import InvalidRatioError

REFERENCES = ("allocated", "stored")
# Lengths of code-blocks' segments are held in 32 bits with a sign. (Psot, A.4.2, would take twice as much.)
LARGEST_CODESTREAM = 2**31 - 1
# Powers of two that a float holds, and some to spare.
LARGEST_EXPONENT = 1000


def uncompressed_bytes(
    rows: int, columns: int, *, bits_allocated: int, bits_stored: int, reference: str = "allocated"
) -> Fraction:
    """Bytes of the image before compression.

    Parameters
    ----------
    rows, columns : int
        Size of the greyscale image.
    bits_allocated, bits_stored : int
        Bits that a pixel takes in memory (8 or 16), and those of them that carry its value.
    reference : {"allocated", "stored"}
        Which of the two counts.

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
        Unless 0 < `ratio` < infinity and the result is at most `LARGEST_CODESTREAM`.
    """
    target = math.floor(uncompressed / exact_ratio(ratio))
    if target > LARGEST_CODESTREAM:
        raise InvalidRatioError(
            f"ratio {ratio_text(ratio)} means a codestream of more than {LARGEST_CODESTREAM} bytes: the smallest ratio"
            f" for this image is {float(Fraction(uncompressed) / LARGEST_CODESTREAM):.6g}"
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
    """Some six digits of a ratio, or the power of two near it where it is too large or small for a float."""
    return _text(exact_ratio(ratio))


def _text(exact: Fraction) -> str:
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    return f"{float(exact):.6g}" if abs(exponent) <= LARGEST_EXPONENT else f"2^{exponent}"
