"""Other codecs at the nearest size that they reach, checked with the decoders of other libraries."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg_streams import image
from PIL import Image

import codec
from mammo_jax.compression import ladder
from mammo_jax.compression.codecs import OTHER_CODECS, ImageCodec
from mammo_jax.compression.ladder import (
    CodecName,
    codec_ladder,
    codec_title,
    largest_ratio,
    other_codec_ladder,
)

DEPTHS = [(np.uint8, 8), (np.uint8, 5), (np.uint16, 10), (np.uint16, 12), (np.uint16, 16)]


def picture(dtype, bits):
    return image(200, 160, bits, 3).astype(dtype)


def psnr(pixels, reconstruction, bits):
    error = np.mean((pixels.astype(float) - reconstruction) ** 2)
    return 10 * math.log10((2**bits - 1) ** 2 / error) if error else math.inf


@pytest.mark.parametrize(("dtype", "bits"), DEPTHS)
@pytest.mark.parametrize("name", OTHER_CODECS)
def test_the_largest_result_that_fits_is_found(name, dtype, bits):
    pixels = picture(dtype, bits)
    if bits > OTHER_CODECS[name].max_bits:
        with pytest.raises(codec.InvalidImageError, match="at most 12 bits, and these have 16"):
            list(other_codec_ladder(name, pixels, [8], bits_stored=bits))
        return
    ratios = [2, 2.5, 3] if (name, bits) == ("jpegls", 16) else [3, 5, 8] if bits <= 8 else [4, 6, 9]
    quality = []
    for ratio, encoded in zip(ratios, other_codec_ladder(name, pixels, ratios, bits_stored=bits), strict=True):
        assert encoded.target_bytes == math.floor(pixels.nbytes / ratio)
        assert 0.4 * encoded.target_bytes < len(encoded.codestream) <= encoded.target_bytes
        assert encoded.encodes <= 20
        finer = OTHER_CODECS[name].settings(bits)
        finer = finer[: np.searchsorted(finer, encoded.setting) if finer[0] < finer[-1] else 100 - int(encoded.setting)]
        if finer.size and name != "openjpeg":  # which reaches some sizes at two settings and not between
            assert len(OTHER_CODECS[name].encode(pixels, bits, float(finer[-1]), 1)) > encoded.target_bytes
        assert encoded.reconstruction.dtype == dtype
        assert encoded.reconstruction.max() < 2**bits
        quality.append(psnr(pixels, encoded.reconstruction, bits))
    assert quality == sorted(quality, reverse=True)
    assert quality[-1] > 15


def test_reconstructions_are_those_of_other_decoders():
    pixels = picture(np.uint8, 8)
    for name in ("openjpeg", "jpeg"):
        (encoded,) = other_codec_ladder(name, pixels, [6], bits_stored=8)
        with Image.open(io.BytesIO(encoded.codestream)) as opened:
            assert np.abs(np.asarray(opened).astype(int) - encoded.reconstruction).max() <= 1
    pixels = picture(np.uint16, 12)
    (encoded,) = other_codec_ladder("openjpeg", pixels, [10], bits_stored=12)
    assert np.abs(codec.decode(encoded.codestream).astype(int) - encoded.reconstruction).max() <= 1


def test_ours_is_exact():
    pixels = picture(np.uint16, 12)
    for ratio, encoded in zip([10, 20], codec_ladder("mammo_jax", pixels, [10, 20], bits_stored=12), strict=True):
        assert len(encoded.codestream) == pixels.nbytes // ratio
    assert codec_title("mammo_jax") == "mammo_jax's own JPEG 2000"
    titles = {codec_title(name) for name in CodecName.__args__}
    assert len(titles) == len(OTHER_CODECS) + 1


@pytest.mark.parametrize("name", OTHER_CODECS)
def test_what_cannot_be_reached_is_refused_with_the_largest_ratio(name):
    pixels = picture(np.uint16, 12)
    with pytest.raises(codec.UnreachableRatioError, match=r"the largest ratio .* is") as caught:
        list(codec_ladder(name, pixels, [4, pixels.nbytes / 20], bits_stored=12))
    (nearest,) = codec_ladder(name, pixels, [caught.value.largest_ratio * 0.999], bits_stored=12)
    assert len(nearest.codestream) <= nearest.target_bytes
    largest = largest_ratio(name, pixels, 12)
    (nearest,) = codec_ladder(name, pixels, [largest * 0.99], bits_stored=12)
    assert nearest.target_bytes < len(nearest.codestream) <= 1.1 * nearest.target_bytes


def made_of_sizes(sizes):
    """A codec whose results have the given sizes, setting by setting."""
    return ImageCodec(
        "made of sizes",
        encode=lambda _, __, setting, ___: bytes(sizes[int(setting)]),
        decode=lambda *_: np.zeros((20, 20), np.uint8),
        settings=lambda _: np.arange(len(sizes)),
    )


@settings(deadline=None, max_examples=200)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=2000), targets=st.lists(st.integers(1, 400)))
def test_the_search_finds_the_nearest_size_of_any_codec_that_falls(sizes, targets):
    sizes.sort(reverse=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OTHER_CODECS, "made", made_of_sizes(sizes))
        search = ladder._Search("made", np.zeros((20, 20), np.uint8), 8, 1)
        for target in targets:
            index = search.nearest(target, 1.0)
            fitting = [n for n, size in enumerate(sizes) if size <= target]
            assert index == (fitting[0] if fitting else len(sizes) - 1)
        assert len(search.codestreams) <= max(1, len(targets)) * 2 * math.ceil(math.log2(len(sizes) + 1)) + 2


def test_threads_do_not_change_a_result():
    pixels = picture(np.uint16, 12)
    for name in ("openjpeg", "jpegxl"):
        once, twice = (
            next(other_codec_ladder(name, pixels, [10], bits_stored=12, threads=threads)).codestream
            for threads in (1, 2)
        )
        assert once == twice


def test_the_largest_ratio_counts_the_tolerance():
    sizes = [100, 50]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OTHER_CODECS, "made", replace(made_of_sizes(sizes), title="two sizes"))
        pixels = np.zeros((20, 20), np.uint8)
        assert largest_ratio("made", pixels, 8) == pytest.approx(400 / 50 * 1.1)
        (encoded,) = other_codec_ladder("made", pixels, [8.6], bits_stored=8)
        assert len(encoded.codestream) == 50
        with pytest.raises(codec.UnreachableRatioError, match="two sizes cannot compress this image 9 times: 44 bytes"):
            list(other_codec_ladder("made", pixels, [9], bits_stored=8))
