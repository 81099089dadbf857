"""The one quantisation of writer and reader against the equations of Annex E and its own marker segment."""

import pytest

from codec.errors import CodestreamError
from codec.quantization import NO_QUANTIZATION, SCALAR_DERIVED, SCALAR_EXPOUNDED, Quantization

LEVELS = 2
QUANTIZATIONS = {
    "none": Quantization(NO_QUANTIZATION, 2, (8, 9, 9, 10, 9, 9, 10), (0,) * 7),
    "derived": Quantization(SCALAR_DERIVED, 1, (13,), (1953,)),
    "expounded": Quantization(SCALAR_EXPOUNDED, 3, (14, 13, 13, 12, 12, 12, 31), (0, 1, 2, 3, 1024, 2046, 2047)),
}


@pytest.mark.parametrize("style", QUANTIZATIONS)
def test_what_is_written_is_read_back(style):
    quantization = QUANTIZATIONS[style]
    assert Quantization.read(b"\7" + quantization.marker_body(), 1, "QCC") == quantization


def test_steps_and_bit_planes_are_those_of_the_equations():
    # E-3: 2^(R_b - exponent) (1 + mantissa / 2^11), R_b by Table E.1; E-2: G + exponent - 1; E-5 for derived steps.
    expounded, derived, none = (QUANTIZATIONS[style] for style in ("expounded", "derived", "none"))
    assert expounded.step(4, "HL", 1, LEVELS, 8) == 2.0 ** (8 + 1 - 12) * 1.5
    assert expounded.step(0, "LL", 2, LEVELS, 8) == 2.0 ** (8 - 14)
    assert expounded.magnitude_bits(6, 1, LEVELS) == 3 + 31 - 1
    assert derived.step(6, "HH", 1, LEVELS, 8) == 2.0 ** (8 + 2 - 12) * (1 + 1953 / 2048)
    assert derived.magnitude_bits(6, 1, LEVELS) == 1 + 12 - 1
    assert derived.exponent_and_mantissa(15, 1, 32) == (0, 1953)
    assert none.step(3, "HH", 2, LEVELS, 8) == 1
    assert [each.reversible for each in (expounded, derived, none)] == [False, False, True]


def test_a_subband_without_a_step_is_named():
    with pytest.raises(CodestreamError, match="gives 7 step sizes; 3 levels need 10"):
        QUANTIZATIONS["expounded"].step(9, "HH", 1, 3, 8)
