"""Images far from square, and tiles: the same pixels as OpenJPEG's, and memory that follows the number of pixels."""

import imagecodecs
import numpy as np
import pytest
from openjpeg_streams import image

from codec import decode, encode_ladder, encode_lossless
from codec.decoding.inverse_transform import NARROW, WIDE
from experiments.codec_benchmark.shapes import decode_peak

MAX_BYTES_A_PIXEL = 8
SHAPES = [
    (30_000, 1),
    (9000, 2),
    (7001, 3),
    (2000, NARROW - 1),
    (NARROW, NARROW - 1),
    (3, 7001),
    (2, WIDE + 1),
    (1, 200_000),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape_decodes_as_by_openjpeg(shape):
    pixels = image(*shape, 12, 3)
    lossless = encode_lossless(pixels, bits_stored=12).codestream
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(lossless).reshape(shape), pixels)
    np.testing.assert_array_equal(decode(lossless), pixels)
    np.testing.assert_array_equal(decode(lossless, threads=2), pixels)
    for encoded in encode_ladder(pixels, (10, 40), bits_stored=12):
        ours, theirs = decode(encoded.codestream), imagecodecs.jpeg2k_decode(encoded.codestream).reshape(shape)
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        np.testing.assert_array_equal(ours, encoded.reconstruction)


@pytest.mark.parametrize(
    "shape", [(1 << 22, 1), (1 << 21, 2), (1_398_101, 3), (1, 1 << 22), (64, 1 << 16), (2048, 2048)]
)
def test_memory_follows_the_number_of_pixels(shape):
    pixels = image(*shape, 12, 3)
    peak = decode_peak(
        encode_lossless(pixels, bits_stored=12).codestream, encode_lossless(pixels[:999, :999]).codestream
    )
    assert 2 < peak <= MAX_BYTES_A_PIXEL
