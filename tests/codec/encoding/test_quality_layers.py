"""Layered and lossless codestreams against OpenJPEG (imagecodecs, glymur), our decoder, codestreams of one layer."""

import math
from fractions import Fraction

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_encoder import LADDER, bit_depths, difference, images, openjpeg_decode, picture

import codec
from codec.encoding import encoder, layers
from codec.errors import InvalidImageError, InvalidRatioError, LayerError, OptionError, UnreachableRatioError


def psnr(pixels, decoded, bits):
    return 10 * np.log10((2**bits - 1) ** 2 / np.mean((pixels.astype(float) - decoded) ** 2))


def check_layers(pixels, layered, bits, ratios):
    """Every layer ends at its byte, and decodes alike for us and for OpenJPEG; returns what it shows."""
    assert layered.ratios == tuple(sorted(ratios, reverse=True))
    decoded = []
    for number, (ratio, size) in enumerate(zip(layered.ratios, layered.layer_bytes), 1):
        assert size == math.floor(pixels.nbytes / Fraction(ratio))
        alone = layered.first_layers(number)
        assert len(alone) == size
        ours = codec.decode(layered.codestream, layers=number).astype(pixels.dtype)
        np.testing.assert_array_equal(codec.decode(alone).astype(pixels.dtype), ours)
        # See test_encoder about the irreversible transform.
        tolerance = 0 if layered.lossless else max(1, 2 ** (bits - 14))
        assert difference(ours, openjpeg_decode(alone, pixels.shape)) <= tolerance
        decoded.append(ours)
    assert layered.layer_bytes[-1] == len(layered.codestream)
    assert layered.first_layers(len(layered.layer_bytes)) == layered.codestream
    assert all(header <= size for header, size in zip(layered.header_bytes, layered.layer_bytes))
    return decoded


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(images, bit_depths, st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True), st.booleans())
def test_layers_are_exact_or_refused(pixels, bits, places, lossless):
    smallest, largest = 0.5, max(pixels.nbytes / (encoder.FIXED_BYTES + 20), 1.6)
    ratios = [smallest * (largest / smallest) ** place for place in places]
    try:
        layered = codec.encode_layers(pixels, ratios, bits_stored=bits, lossless=lossless)
    except UnreachableRatioError:
        assert min(pixels.nbytes // ratio for ratio in ratios) < encoder.FIXED_BYTES + 40
        return
    except LayerError:
        # Too little between two layers, or an earlier one that has all: filler is for the last one.
        assert len(ratios) + lossless > 1
        return
    assert not any(layered.padding_bytes[:-1])
    if any(layered.padding_bytes):
        assert difference(codec.decode(layered.codestream).astype(pixels.dtype), pixels) <= max(2, 2 ** (bits - 12))
    check_layers(pixels, layered, bits, ratios)
    if lossless:
        np.testing.assert_array_equal(codec.decode(layered.codestream).astype(pixels.dtype), pixels)
        np.testing.assert_array_equal(openjpeg_decode(layered.codestream, pixels.shape), pixels)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("bits", [6, 8, 12, 16])
def test_real_images_have_any_layers(bits, lossless):
    rng = np.random.default_rng(bits + lossless)
    for seed in range(12):
        rows, columns = (int(size) for size in rng.integers(64, 260, 2))
        pixels = picture("tissue", rows, columns, bits, seed)
        most = 0.95 * len(codec.encode_lossless(pixels, bits_stored=bits).codestream)
        sizes = np.unique(np.round(np.geomspace(150, most, 9) / 20) * 20)  # at least 20 bytes apart
        ratios = [pixels.nbytes / (size + 0.5) for size in rng.choice(sizes, min(5, len(sizes)), replace=False)]
        layered = codec.encode_layers(pixels, ratios, bits_stored=bits, lossless=lossless)
        check_layers(pixels, layered, bits, ratios)


@pytest.fixture(scope="module", params=[8, 12])
def ladder(request):
    pixels = picture("tissue", 1024, 1100, request.param, 8)
    return pixels, request.param, codec.encode_layers(pixels, LADDER, bits_stored=request.param)


def test_a_ladder_in_layers_shows_nearly_what_single_codestreams_show(ladder):
    pixels, bits, layered = ladder
    decoded = check_layers(pixels, layered, bits, LADDER)
    quality = {layer: psnr(pixels, each, bits) for layer, each in zip(layered.ratios, decoded)}
    lost = [
        psnr(pixels, single.reconstruction, bits) - quality[single.ratio]
        for single in codec.encode_ladder(pixels, LADDER, bits_stored=bits)
    ]
    assert np.median(lost) <= 0.04
    assert max(lost) <= 0.3  # where one pass that shows much just does not fit any more


def test_glymur_decodes_each_layer(ladder, openjpeg_glymur, tmp_path):
    _, _, layered = ladder
    (tmp_path / "ladder.j2k").write_bytes(layered.codestream)
    image = openjpeg_glymur.Jp2k(tmp_path / "ladder.j2k")
    for number in range(1, len(LADDER) + 1):
        image.layer = number % len(LADDER)  # 0 means all
        assert difference(image[:], codec.decode(layered.codestream, layers=number)) <= 1


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(images, bit_depths)
def test_lossless_gives_every_pixel_back(pixels, bits):
    encoded = codec.encode_lossless(pixels, bits_stored=bits)
    np.testing.assert_array_equal(openjpeg_decode(encoded.codestream, pixels.shape), pixels)
    np.testing.assert_array_equal(codec.decode(encoded.codestream).astype(pixels.dtype), pixels)
    assert encoded.target_bytes == len(encoded.codestream)
    assert encoded.ratio == encoded.ratio_allocated
    assert encoded.padding_bytes == 0
    assert encoded.header_bytes + encoded.body_bytes == len(encoded.codestream)


@pytest.mark.parametrize("bits", [1, 8, 12, 16])
def test_extremes_come_back(bits):
    top = 2**bits - 1
    pixels = np.random.default_rng(1).choice(np.array([0, top], np.uint16), (130, 70))
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(codec.encode_lossless(pixels).codestream), pixels)


def test_lossless_is_as_small_as_openjpegs():
    pixels = picture("tissue", 700, 900, 12, 6)
    theirs = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", bitspersample=12, reversible=True)
    assert len(codec.encode_lossless(pixels, bits_stored=12).codestream) <= len(theirs)


def test_layers_hold_the_bytes_of_codewords_and_nothing_else():
    pixels = picture("tissue", 300, 400, 12, 2)
    layered = codec.encode_layers(pixels, (5, 15, 100, 1000), bits_stored=12, lossless=True)
    one = codec.encode_lossless(pixels, bits_stored=12)
    assert len(layered.codestream) - layered.header_bytes[-1] == one.body_bytes
    assert len(layered.codestream) < 1.01 * len(one.codestream)


def test_same_bytes_with_threads_and_stored_reference():
    pixels = picture("tissue", 300, 260, 12, 3)
    layered = [codec.encode_layers(pixels, (10, 90), bits_stored=12, threads=threads) for threads in (1, 3)]
    assert layered[0] == layered[1]
    stored = codec.encode_layers(pixels, (10, 90), bits_stored=12, reference="stored")
    assert stored.layer_bytes == tuple(300 * 260 * 12 // 8 // ratio for ratio in (90, 10))


@pytest.mark.parametrize(
    ("ratios", "lossless", "error", "message"),
    [
        ((), False, LayerError, "0 layers: from 1 to 65535"),
        ((15, 20, 15), False, LayerError, "ratio 15 is given twice"),
        ((15, 20, Fraction(15)), True, LayerError, "ratio 15 is given twice"),
        ((15, 14.99), True, LayerError, "ratio 14.99 means 2134 bytes, .* of this one take 21.. bytes: the largest"),
        ((15, 500), False, UnreachableRatioError, "ratio 500 leaves 64 bytes"),
        ((350,), True, UnreachableRatioError, "ratio 350 leaves 91 bytes"),
        ((15, 1e-9), False, InvalidRatioError, "ratio 1e-09 means a codestream of more than 2147483647 bytes"),
        ((15, 0), False, InvalidRatioError, "finite number above 0"),
    ],
)
def test_layers_that_cannot_be_are_refused_before_any_work(ratios, lossless, error, message, monkeypatch):
    monkeypatch.delattr(layers, "code_irreversibly")
    monkeypatch.delattr(layers, "code_reversibly")
    with pytest.raises(error, match=message):
        codec.encode_layers(picture("tissue", 100, 160, 12, 4), ratios, bits_stored=12, lossless=lossless)


@pytest.mark.parametrize(("ratios", "lossless"), [((0.1, 0.2, 15), False), ((1.01,), True)])
def test_filler_is_refused_in_a_layer_that_is_not_the_last(ratios, lossless):
    with pytest.raises(LayerError, match=r"all coded data are used before .* only the last layer may have filler"):
        codec.encode_layers(picture("tissue", 100, 160, 12, 4), ratios, bits_stored=12, lossless=lossless)


@pytest.mark.parametrize("ratios", [(0.1,), (0.1, 15), (1.1, 5, 15, 60)])
def test_the_last_layer_is_filled_where_all_is_coded(ratios):
    pixels = picture("tissue", 100, 160, 12, 4)
    layered = codec.encode_layers(pixels, ratios, bits_stored=12)
    decoded = check_layers(pixels, layered, 12, ratios)
    assert difference(decoded[-1], pixels) <= 1
    assert not any(layered.padding_bytes[:-1])
    full = codec.encode(pixels, ratios[0], bits_stored=12)
    assert 0 < layered.padding_bytes[-1] <= full.padding_bytes


@pytest.mark.parametrize("more", range(-6, 12))
def test_filler_of_a_few_bytes(more):
    pixels = picture("tissue", 70, 60, 8, 1)
    full = codec.encode(pixels, 0.5)
    size = full.target_bytes - full.padding_bytes + more
    layered = codec.encode_layers(pixels, [pixels.nbytes / (size + 0.5), 30])
    check_layers(pixels, layered, 8, layered.ratios)


@pytest.mark.parametrize("lossless", [False, True])
def test_the_largest_ratio_that_an_error_tells_can_be_had(lossless):
    for size in (30, 64, 100, 300):
        pixels = picture("tissue", size, size, 8, 4)
        with pytest.raises(UnreachableRatioError) as caught:
            codec.encode_layers(pixels, (1e6,), lossless=lossless)
        largest = caught.value.largest_ratio
        layered = codec.encode_layers(pixels, (largest,), lossless=lossless)
        assert layered.layer_bytes[0] == layered.header_bytes[0] == math.floor(pixels.nbytes / Fraction(largest))


def test_an_image_that_cannot_be():
    with pytest.raises(InvalidImageError, match="float32"):
        codec.encode_lossless(np.zeros((4, 4), np.float32))
    with pytest.raises(OptionError, match="threads=0"):
        codec.encode_lossless(np.zeros((4, 4), np.uint8), threads=0)
    with pytest.raises(LayerError, match="all coded data are used"):
        codec.encode_layers(np.full((300, 300), 7, np.uint8), (20, 10))


def test_a_blank_image_is_filled():
    pixels = np.full((300, 300), 7, np.uint8)
    layered = codec.encode_layers(pixels, (20,))
    check_layers(pixels, layered, 8, (20,))
    assert layered.padding_bytes[0] > 4300
