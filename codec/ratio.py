"""What a compression ratio is: uncompressed bytes over the bytes of the whole codestream, headers included."""

import math
from fractions import Fraction
from numbers import Rational, Real

from codec.errors import InvalidRatioError

REFERENCES = ("allocated", "stored")


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
    """``floor(uncompressed / ratio)``, computed exactly; `InvalidRatioError` unless 0 < `ratio` < infinity."""
    if not isinstance(ratio, Real) or not math.isfinite(ratio) or ratio <= 0:
        raise InvalidRatioError(f"a compression ratio is a finite number above 0, not {ratio!r}")
    return math.floor(uncompressed / Fraction(ratio if isinstance(ratio, Rational) else float(ratio)))
