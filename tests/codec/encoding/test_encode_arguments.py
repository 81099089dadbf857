"""What the encoder is asked for: bad requests, and numbers of other types."""

import math
from fractions import Fraction

import numpy as np
import pytest
from pictures import picture

import codec
from codec.errors import InvalidImageError, InvalidRatioError, OptionError, UnreachableRatioError


@pytest.mark.parametrize("ratio", [0, -3, math.nan, math.inf, "20", None])
@pytest.mark.parametrize("call", [codec.encode, lambda pixels, ratio: codec.encode_ladder(pixels, [15, ratio])])
def test_bad_ratios(call, ratio):
    with pytest.raises(InvalidRatioError, match="finite number above 0"):
        call(picture("tissue", 50, 50, 8, 1), ratio)


@pytest.mark.parametrize(
    ("pixels", "bits", "message"),
    [
        (np.zeros((4, 4), np.int16), None, "uint8 or uint16, not int16"),
        (np.zeros((4, 4), np.float32), None, "float32"),
        ([[1, 2]], None, "list"),
        (np.zeros((4, 4, 3), np.uint8), None, "rows, columns"),
        (np.zeros((0, 4), np.uint8), None, "rows, columns"),
        (np.full((4, 4), 4096, np.uint16), 12, "4096"),
        (np.zeros((4, 4), np.uint8), 9, "from 1 to 8"),
        (np.zeros((4, 4), np.uint8), 0, "from 1 to 8"),
        (np.zeros((4, 4), np.uint8), 2.5, "whole number"),
    ],
)
def test_bad_images(pixels, bits, message):
    with pytest.raises(InvalidImageError, match=message):
        codec.encode_ladder(pixels, [1], bits_stored=bits)


@pytest.mark.parametrize("threads", [-1, 0, None, 1.5])
@pytest.mark.parametrize("call", [codec.encode, lambda *args, **kws: codec.encode_ladder(args[0], [args[1]], **kws)])
def test_bad_threads(call, threads):
    with pytest.raises(OptionError, match="threads="):
        call(picture("tissue", 50, 50, 8, 1), 10, threads=threads)


@pytest.mark.parametrize("ratio", [Fraction(10**5000), 10**400, 1e300])
def test_ratios_too_large_for_any_image(ratio):
    with pytest.raises(UnreachableRatioError, match="leaves 0 bytes"):
        codec.encode(picture("tissue", 50, 50, 8, 1), ratio)


@pytest.mark.parametrize("ratio", [Fraction(1, 10**400), 5e-324, 1e-12, 1e-6])
def test_ratios_of_more_bytes_than_a_codestream_can_have(ratio):
    with pytest.raises(InvalidRatioError, match="more than 2147483647 bytes: the smallest ratio for this image is"):
        codec.encode(picture("tissue", 50, 50, 8, 1), ratio)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.uint64, np.float32])
def test_numpys_numbers(kind):
    pixels = picture("tissue", 130, 110, 12, 2)
    expected = codec.encode(pixels, 15, bits_stored=12)
    encoded = codec.encode(pixels, kind(15), bits_stored=np.uint8(12))
    assert encoded.codestream == expected.codestream
    assert type(encoded.target_bytes) is int


def test_dtype_of_few_bits_in_sixteen():
    pixels = picture("tissue", 50, 50, 8, 1).astype(np.uint16)
    (encoded,) = codec.encode_ladder(pixels, [10], bits_stored=8)
    assert encoded.reconstruction.dtype == np.uint16
    assert codec.decode(encoded.codestream).dtype == np.uint8


@pytest.mark.parametrize("order", [">u2", "<u2", "=u2", ">u1"])
def test_any_byte_order(order):
    pixels = picture("tissue", 130, 110, 8, 2)
    assert pixels.dtype == np.uint16
    pixels = pixels if order != ">u1" else pixels.astype(np.uint8)
    other = pixels.astype(order)
    (expected,) = codec.encode_ladder(pixels, [15], bits_stored=8)
    (encoded,) = codec.encode_ladder(other, [15], bits_stored=8)
    assert encoded.codestream == expected.codestream == codec.encode(other, 15, bits_stored=8).codestream
    assert encoded.reconstruction.dtype == pixels.dtype
    np.testing.assert_array_equal(encoded.reconstruction, expected.reconstruction)
    assert codec.encode_layers(other, [15], bits_stored=8) == codec.encode_layers(pixels, [15], bits_stored=8)
    assert codec.encode_lossless(other).codestream == codec.encode_lossless(pixels).codestream
    np.testing.assert_array_equal(other, pixels)


@pytest.mark.parametrize("dtype", [">i2", ">u4", ">f4", ">f2", "V2", "S2"])
def test_other_types_of_another_byte_order_are_refused(dtype):
    with pytest.raises(InvalidImageError, match="uint8 or uint16"):
        codec.encode(np.zeros((4, 4), dtype), 1)
