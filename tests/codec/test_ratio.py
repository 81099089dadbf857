import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import InvalidRatioError
from codec.ratio import (
    bits_per_pixel,
    image_bytes,
    max_ratio,
    min_ratio,
    ratio_for_target,
    ratio_of,
    stored_ratio,
    target_bytes,
    text_above,
    text_below,
    uncompressed_bytes,
)


def test_references_count_allocated_or_stored_bits():
    assert uncompressed_bytes(10, 7, bits_allocated=16, bits_stored=12) == 140
    assert uncompressed_bytes(10, 7, bits_allocated=16, bits_stored=12, reference="stored") == 105
    assert uncompressed_bytes(1, 3, bits_allocated=16, bits_stored=12, reference="stored") == Fraction(9, 2)
    with pytest.raises(InvalidRatioError, match="reference"):
        uncompressed_bytes(1, 1, bits_allocated=8, bits_stored=8, reference="both")


def test_bytes_of_an_array():
    pixels = np.zeros((10, 7), np.uint16)
    assert image_bytes(pixels, 12) == 140
    assert image_bytes(pixels, 12, "stored") == 105
    assert image_bytes(pixels.astype(np.uint8), 5) == 70


@given(st.integers(1, 10**9), st.floats(0.5, 1e6))
def test_target_is_the_floor_of_the_exact_quotient(size, ratio):
    target = target_bytes(size, ratio)
    assert target * Fraction(ratio) <= size < (target + 1) * Fraction(ratio)


def test_exact_where_floats_would_round():
    assert target_bytes(49, 49) == 1
    assert target_bytes(2**60, 2**30) == 2**30
    assert target_bytes(2**60 - 1, 2**30) == 2**30 - 1
    assert target_bytes(1024 * 1024, np.float32(11000)) == 95


def test_no_more_bytes_than_lengths_can_say():
    assert target_bytes(2**31 - 1, 1) == 2**31 - 1
    with pytest.raises(InvalidRatioError, match="more than 2147483647 bytes"):
        target_bytes(2**31, 1)


@pytest.mark.parametrize("ratio", [0, -1, Fraction(-(10**5000)), math.nan, math.inf, -math.inf, "15", None, 1j])
def test_bad_ratios_are_named(ratio):
    with pytest.raises(InvalidRatioError, match="ratio"):
        target_bytes(100, ratio)


def test_ratios_of_a_codestream():
    assert ratio_of(140, 7) == 20
    assert ratio_of(Fraction(9, 2), 3) == 1.5
    assert ratio_of(2**60 + 2**7, 2**60) == 1
    assert stored_ratio(20, bits_allocated=16, bits_stored=12) == 15
    assert bits_per_pixel(7, 70) == 0.8


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_largest_ratio_still_leaves_the_bytes_and_the_next_does_not(size, least):
    ratio = max_ratio(size, least)
    assert target_bytes(size, ratio) >= least
    assert target_bytes(size, math.nextafter(ratio, math.inf)) < least


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_smallest_ratio_leaves_no_more_bytes_and_the_next_does(size, most):
    ratio = min_ratio(size, most)
    assert target_bytes(size, ratio) <= most
    assert target_bytes(size, math.nextafter(ratio, 0)) > most


@given(st.floats(1e-300, 1e300))
def test_texts_of_limits_are_on_the_side_that_can_be_had(ratio):
    below, above = float(text_below(ratio)), float(text_above(ratio))
    assert 0.99998 * ratio <= below <= ratio <= above <= 1.00002 * ratio


def test_texts_of_limits_have_six_digits_at_most():
    assert text_below(1234567.8) == "1.23456e+06"
    assert text_above(1234567.8) == "1.23457e+06"
    assert text_below(20.0) == text_above(20.0) == "20"
    assert (text_below(0.1), text_above(0.1)) == ("0.1", "0.100001")  # the float is a little more than a tenth


@given(st.integers(1, 2**35), st.integers(1, 2**31 - 1))
def test_a_ratio_for_every_target(size, target):
    assert target_bytes(size, ratio_for_target(size, target)) == target


@given(st.integers(1, 10**6), st.integers(1, 16), st.floats(0.5, 1e6))
def test_both_references_mean_one_codestream(pixels, bits, ratio):
    allocated = uncompressed_bytes(1, pixels, bits_allocated=16, bits_stored=bits)
    stored = uncompressed_bytes(1, pixels, bits_allocated=16, bits_stored=bits, reference="stored")
    assert allocated / Fraction(ratio) == pytest.approx(
        stored / Fraction(stored_ratio(ratio, bits_allocated=16, bits_stored=bits))
    )
