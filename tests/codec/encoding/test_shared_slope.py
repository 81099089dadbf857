"""Bytes divided among images: exact in sum, at one slope, and for a smaller error than with equal shares."""

import math

import numpy as np
import pytest

import codec
from codec.encoding import coded_image, shared_slope, slope_prediction
from codec.encoding.coded_image import code_irreversibly
from codec.encoding.codestream_writer import FIXED_BYTES
from codec.encoding.decomposition import decomposition_levels
from codec.encoding.shared_slope import SLOPES
from codec.ratio import image_bytes, ratio_for_target
from codec.workers import SINGLE_THREAD

SHAPE = (120, 136)
y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
WAVES = 2000 + 900 * np.sin(x / 11) * np.cos(y / 7)


def slice_of(detail, seed=0):
    """A 12-bit image with noise of `detail` grey levels."""
    noise = np.random.default_rng(seed).normal(0, 1, SHAPE)
    return (WAVES + detail * noise).clip(0, 4095).astype(np.uint16)


SLICES = [slice_of(detail, number) for number, detail in enumerate((2, 5, 20, 60))]
BLANK = np.full(SHAPE, 300, np.uint16)


def reconstructions(images, sizes):
    for image, size in zip(images, sizes, strict=True):
        (encoded,) = codec.encode_ladder(image, [ratio_for_target(image.nbytes, size)], bits_stored=12)
        assert len(encoded.codestream) == size
        yield encoded.reconstruction


def squared_error(images, sizes):
    return sum(
        np.square(decoded.astype(float) - image).sum() for image, decoded in zip(images, reconstructions(images, sizes))
    )


@pytest.mark.parametrize("reference", ["allocated", "stored"])
def test_the_sum_is_exact(reference):
    ratios = [7.3, 15, 41, 100]
    uncompressed = image_bytes(SLICES[0], 12, reference)
    for ratio, sizes in zip(ratios, codec.divide_bytes(SLICES, ratios, bits_stored=12, reference=reference)):
        assert sum(sizes) == math.floor(len(SLICES) * uncompressed / codec.ratio.exact_ratio(ratio))
        assert sizes[-1] == max(sizes)  # it has the most detail


@pytest.mark.parametrize("ratio", [8, 15, 60])
def test_the_error_of_all_is_smaller_than_with_equal_shares(ratio):
    (sizes,) = codec.divide_bytes(SLICES, [ratio], bits_stored=12)
    equal = [SLICES[0].nbytes // ratio] * len(SLICES)
    assert squared_error(SLICES, sizes) < 0.97 * squared_error(SLICES, equal)


@pytest.mark.parametrize("ratio", [8, 15, 60])
def test_equal_images_lose_nothing(ratio):
    images = [SLICES[2]] * 3
    (sizes,) = codec.divide_bytes(images, [ratio], bits_stored=12)
    assert max(sizes) - min(sizes) <= 1
    assert squared_error(images, sizes) <= squared_error(images, [SLICES[0].nbytes // ratio] * 3)


def test_all_end_at_one_slope():
    (sizes,) = codec.divide_bytes(SLICES, [10], bits_stored=12)
    levels = decomposition_levels(*SHAPE, 12)
    possible = np.ones(len(SLOPES) - 1, bool)
    for image, size in zip(SLICES, sizes):
        _, control = code_irreversibly(image, 12, levels, image.nbytes, SINGLE_THREAD)
        measured = control.bytes_down_to(SLOPES) + FIXED_BYTES
        possible &= (measured[:-1] <= size) & (size <= measured[1:])
    assert possible.any()


def test_images_that_need_many_times_the_mean_are_coded_again(monkeypatch):
    images = [BLANK] * 11 + [SLICES[3]]
    coded_for = []

    def counted(image, bits, levels, packet_bytes, workers):
        coded_for.append((bool(image[0, 0] != BLANK[0, 0]), packet_bytes))
        return code_irreversibly(image, bits, levels, packet_bytes, workers)

    monkeypatch.setattr(shared_slope, "code_irreversibly", counted)
    every_pass = codec.divide_bytes(images, [40], bits_stored=12)
    mean = sum(every_pass[0]) // len(images)
    assert every_pass[0][-1] > 10 * mean
    assert len(coded_for) == len(images)  # an image of so few code-blocks is coded whole
    coded_for.clear()
    monkeypatch.setattr(coded_image, "MAX_SAFETY_FACTOR", 1)
    monkeypatch.setattr(slope_prediction, "MIN_TARGET_BYTES", 0)
    assert codec.divide_bytes(images, [40], bits_stored=12) == every_pass
    assert [packet_bytes for rich, packet_bytes in coded_for if rich][:2] == [mean, 4 * mean]
    assert [packet_bytes for rich, packet_bytes in coded_for if not rich] == [mean] * 11


def test_bytes_that_nothing_needs_are_shared_evenly():
    images = [BLANK, BLANK, SLICES[0]]
    (sizes,) = codec.divide_bytes(images, [2], bits_stored=12)
    assert sum(sizes) == 3 * BLANK.nbytes // 2
    padding = [
        codec.encode(image, ratio_for_target(image.nbytes, size), bits_stored=12).padding_bytes
        for image, size in zip(images, sizes)
    ]
    assert min(padding) > 0
    assert max(padding) - min(padding) <= 8  # of hull points' headers


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(codec.UnreachableRatioError, match="the largest ratio that it can have is"):
        codec.divide_bytes(SLICES, [1000], bits_stored=12)
    with pytest.raises(codec.InvalidImageError, match="there is none"):
        codec.divide_bytes([], [10])
    with pytest.raises(codec.InvalidImageError, match=r"image 2 is uint16 \(60, 136\), but the first one uint16"):
        codec.divide_bytes([SLICES[0], SLICES[0][:60]], [10])
    with pytest.raises(codec.InvalidRatioError):
        codec.divide_bytes(SLICES, [0])
    assert codec.divide_bytes(SLICES, []) == []
