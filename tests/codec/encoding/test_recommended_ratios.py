"""The ratio that an error recommends works, whether it is taken from the attribute or read in the message."""

import math
import re
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import picture
from test_encoder import bit_depths, images

import codec
from codec.errors import InvalidRatioError, LayerError, UnreachableRatioError
from codec.ratio import MAX_CODESTREAM_BYTES, target_bytes, uncompressed_bytes

# Several ratios near each other: a layer then has too few bytes.
normal_ratios = st.builds(
    lambda first, factors: [first * factor for factor in factors],
    st.floats(-1.5, 4.5).map(lambda exponent: 10**exponent),
    st.lists(st.floats(-4, 1).map(lambda exponent: 1 + 10**exponent), min_size=1, max_size=4),
)
tiny_ratios = st.lists(st.floats(-300, -7).map(lambda exponent: 10**exponent), min_size=1, max_size=2)


def ladder(pixels, ratios, bits):
    """All codestreams; with ratios that mean 2 GiB only the check of the request, which comes before any work."""
    iterator = codec.encode_ladder(pixels, ratios, bits_stored=bits)
    return None if min(ratios) < 1e-3 else list(iterator)


def layers(pixels, ratios, bits):
    return codec.encode_layers(pixels, ratios, bits_stored=bits)


def lossless_layers(pixels, ratios, bits):
    return codec.encode_layers(pixels, ratios, bits_stored=bits, lossless=True)


def recommended(error, by_message):
    """The ratio that the error recommends; None where it says to leave one out."""
    match = re.search(r"the (?:largest|smallest) ratio .* is (\S+)$", str(error))
    attribute = error.smallest_ratio if isinstance(error, InvalidRatioError) else error.largest_ratio
    assert (match is None) == (attribute is None)
    if match is None:
        return None
    assert float(match[1]) == pytest.approx(attribute, rel=1e-5)
    return float(match[1]) if by_message else attribute


def followed(ratios, error, by_message):
    """The ratios after the error's advice."""
    limit = recommended(error, by_message)
    if isinstance(error, InvalidRatioError):
        changed = [max(ratio, limit) for ratio in ratios]
    elif isinstance(error, UnreachableRatioError):
        changed = [min(ratio, limit) for ratio in ratios]
    elif limit is None:
        changed = [ratio for ratio in ratios if ratio != error.ratio]
        if ratios.count(error.ratio) > 1:
            changed.append(error.ratio)
    else:
        assert limit < error.ratio
        changed = [limit if ratio == error.ratio else ratio for ratio in ratios]
    assert changed != ratios
    return changed if isinstance(error, InvalidRatioError) else sorted(set(changed))  # no layer twice


requests = st.one_of(
    st.tuples(
        st.just(ladder), st.one_of(normal_ratios, tiny_ratios, st.builds(list.__add__, normal_ratios, tiny_ratios))
    ),
    st.tuples(st.sampled_from([layers, lossless_layers]), normal_ratios),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(images, bit_depths, requests, st.booleans())
def test_following_the_advice_of_errors_ends_in_success(pixels, bits, asked, by_message):
    call, ratios = asked
    allowed = 2 * len(ratios)  # each ratio is replaced once at most, and left out once at most
    while True:
        try:
            result = call(pixels, ratios, bits)
            break
        except (InvalidRatioError, UnreachableRatioError, LayerError) as error:
            ratios = followed(ratios, error, by_message)
            allowed -= 1
        assert allowed >= 0
    assert ratios or call is lossless_layers
    if result is not None:
        sizes = [each.target_bytes for each in result] if call is ladder else result.layer_bytes[: len(ratios)]
        assert sorted(sizes) == sorted(math.floor(pixels.nbytes / Fraction(ratio)) for ratio in ratios)


@given(st.integers(1, 2**66), st.integers(1, 16), st.floats(-300, 0))
def test_the_smallest_ratio_of_an_image_of_any_size(pixels, bits, exponent):
    """Sizes only: a codestream of 2 GiB is not made."""
    uncompressed = uncompressed_bytes(1, pixels, bits_allocated=16, bits_stored=bits, reference="stored")
    ratio = 10**exponent * min(1, float(uncompressed) / 2**31)
    with pytest.raises(InvalidRatioError) as caught:
        target_bytes(uncompressed, ratio)
    for by_message in (False, True):
        assert target_bytes(uncompressed, recommended(caught.value, by_message)) > 0.99999 * MAX_CODESTREAM_BYTES
    assert target_bytes(uncompressed, caught.value.smallest_ratio) <= MAX_CODESTREAM_BYTES
    with pytest.raises(InvalidRatioError):
        target_bytes(uncompressed, math.nextafter(caught.value.smallest_ratio, 0))


def test_layers_that_no_ratio_helps():
    pixels = picture("tissue", 100, 160, 12, 4)
    with pytest.raises(LayerError, match="leave out this ratio") as caught:
        codec.encode_layers(pixels, (0.1, 0.2, 15), bits_stored=12)
    assert (caught.value.ratio, caught.value.largest_ratio) == (0.2, None)
    with pytest.raises(LayerError, match="given twice") as caught:
        codec.encode_layers(pixels, (15, 20, 15), bits_stored=12)
    assert (caught.value.ratio, caught.value.largest_ratio) == (15, None)
    with pytest.raises(LayerError, match="0 layers") as caught:
        codec.encode_layers(pixels, ())
    assert (caught.value.ratio, caught.value.largest_ratio) == (None, None)
