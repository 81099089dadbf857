"""Quantisation as the marker segments QCD and QCC give it: guard bits and step sizes (T.800 A.6.4 and Annex E)."""

import struct
from dataclasses import dataclass

from codec.errors import CodestreamError
from codec.markers import unpack_fields
from codec.subbands import LOG2_GAIN

NO_QUANTIZATION, SCALAR_DERIVED, SCALAR_EXPOUNDED = 0, 1, 2  # Table A.28
MANTISSA_BITS = 11


@dataclass(frozen=True)
class Quantization:
    """The quantisation of all subbands, as writer and reader of codestreams know it.

    Attributes
    ----------
    style : int
        Table A.28. With `SCALAR_DERIVED` only the LL subband's step is given, and the others follow (equation E-5).
    guard_bits : int
    exponents, mantissas : tuple of int
        Of the step sizes, in the order of the codestream; without quantisation the mantissas are 0.
    """

    style: int
    guard_bits: int
    exponents: tuple[int, ...]
    mantissas: tuple[int, ...]

    @classmethod
    def read(cls, body: bytes, offset: int, marker: str) -> "Quantization":
        """Parse and check the fields of a QCD or QCC marker segment from `offset` on."""
        (style,) = unpack_fields("B", body, offset, marker)
        guard_bits, style = style >> 5, style & 31
        if style > SCALAR_EXPOUNDED:
            raise CodestreamError(f"{marker}: quantisation style {style} is not defined")
        if style == NO_QUANTIZATION:
            values = [value << 8 for value in body[offset + 1 :]]
        else:
            count = 1 if style == SCALAR_DERIVED else (len(body) - offset - 1) // 2
            values = list(unpack_fields(f"{count}H", body, offset + 1, marker))
        if not values:
            raise CodestreamError(f"{marker}: no step sizes")
        mantissas = tuple(value & 0x7FF if style else 0 for value in values)
        return cls(style, guard_bits, tuple(value >> MANTISSA_BITS for value in values), mantissas)

    def marker_body(self) -> bytes:
        """Sqcd and SPqcd, the body of the QCD marker segment."""
        first = bytes([self.guard_bits << 5 | self.style])
        if self.style == NO_QUANTIZATION:
            return first + bytes(exponent << 3 for exponent in self.exponents)
        steps = [exponent << MANTISSA_BITS | mantissa for exponent, mantissa in zip(self.exponents, self.mantissas)]
        return first + struct.pack(f">{len(steps)}H", *steps)

    @property
    def reversible(self) -> bool:
        """Whether coefficients are integers without a step size, as the reversible transform gives them (E.2)."""
        return self.style == NO_QUANTIZATION

    def exponent_and_mantissa(self, subband: int, level: int, levels: int) -> tuple[int, int]:
        """Exponent and mantissa of a subband's step size.

        Parameters
        ----------
        subband : int
            Its place in the order of the codestream: LL, then HL, LH, HH from the lowest resolution up.
        level : int
            Its decomposition level, 1 the finest.
        levels : int
            How many levels there are.
        """
        if self.style == SCALAR_DERIVED:
            return max(0, self.exponents[0] - (levels - level)), self.mantissas[0]
        if subband >= len(self.exponents):
            raise CodestreamError(
                f"QCD or QCC gives {len(self.exponents)} step sizes; {levels} levels need {3 * levels + 1}"
            )
        return self.exponents[subband], self.mantissas[subband]

    def step(self, subband: int, orientation: str, level: int, levels: int, precision: int) -> float:
        """Step size of a subband of an image with samples of `precision` bits (equations E-3 and E-4)."""
        exponent, mantissa = self.exponent_and_mantissa(subband, level, levels)
        return (1 + mantissa / 2**MANTISSA_BITS) * 2.0 ** (precision + LOG2_GAIN[orientation] - exponent)

    def magnitude_bits(self, subband: int, level: int, levels: int) -> int:
        """M_b, the number of magnitude bit-planes of a subband (equation E-2)."""
        exponent, _ = self.exponent_and_mantissa(subband, level, levels)
        return self.guard_bits + exponent - 1
