"""Padding pixels after lossy coding: the range holds what they became, and no other pixel."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import dataset, write
from pydicom import dcmread

from mammo_jax.compression.files import InputFile, compress_file
from mammo_jax.compression.padding_range import DecodedPadding
from mammo_jax.compression.plan import CompressionPlan

y, x = np.mgrid[:96, :80]
INSIDE = (y - 48) ** 2 + x**2 < 45**2
TISSUE = 1500 + 600 * np.sin(x / 9) * np.cos(y / 7) + np.random.default_rng(0).normal(0, 20, INSIDE.shape)
IMAGE = np.where(INSIDE, TISSUE, 0).astype(np.uint16)


def written(tmp_path, image, syntax="j2k", **elements):
    """Compress an object, and return the result and its row."""
    write(tmp_path / "a.dcm", dataset(image, **{"PixelPaddingValue": 0, **elements}))
    plan = CompressionPlan(out=tmp_path / "out", ratios=(15.0,) if syntax == "j2k" else (), syntax=syntax)
    (row,) = compress_file(plan, InputFile(tmp_path / "a.dcm", Path("a.dcm"), "a", "", "a"))
    return dcmread(tmp_path / "out" / "a.dcm"), row


@pytest.mark.parametrize(("before", "decoded", "expected"), [
    ((0, 0), ([0, 0, 0, 3, 5], [90]), (0, 5, 0)),
    ((0, 0), ([0, 3, 7], [5, 90]), (0, 4, 1)),  # 7 would take the other pixel of 5 with it
    ((0, 0), ([0, 0], [0, 90]), (0, 0, 0)),  # that was lost by coding, not by the range
    ((10, 12), ([8, 11, 14], [2, 90]), (8, 14, 0)),
    ((10, 12), ([1, 4, 11, 14], [2, 13]), (3, 12, 2)),
    ((0, 0), ([], [3]), (0, 0, 0)),
])  # fmt: skip
def test_the_range_grows_up_to_other_pixels(before, decoded, expected):
    padding, others = decoded
    counts = DecodedPadding(before, 8)
    pixels = np.array([[before[0]] * len(padding) + [200] * len(others)], np.uint8)
    counts.add(pixels, np.array([padding + others], np.uint8))
    assert counts.widened() == expected


def test_padding_in_dicom_out(tmp_path):
    after, row = written(tmp_path, IMAGE)
    pixels = after.pixel_array
    low, high = after.PixelPaddingValue, after.PixelPaddingRangeLimit
    assert (low, row["padding_range"]) == (0, f"0 {high}")
    assert high > 0
    inside = (pixels >= low) & (pixels <= high)
    assert not (inside & INSIDE).any()
    assert abs(int((~inside & ~INSIDE).sum()) - row["padding_outside"]) <= 2  # decoders round by themselves
    assert row["padding_outside"] < 0.02 * (~INSIDE).sum()


def test_monochrome1_has_its_padding_at_the_other_end(tmp_path):
    after, row = written(tmp_path, 4095 - IMAGE, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4095)
    assert after.PixelPaddingValue == 4095 > after.PixelPaddingRangeLimit
    assert row["padding_range"] == f"{after.PixelPaddingRangeLimit} 4095"


def test_values_next_to_padding_keep_the_range_as_it_was(tmp_path):
    image = np.where(INSIDE, IMAGE, 0).astype(np.uint16)
    image[INSIDE & (x % 2 == 0)] = 1  # tissue as dark as can be
    after, row = written(tmp_path, image)
    assert "PixelPaddingRangeLimit" not in after
    assert row["padding_range"] == "0 0"
    assert row["padding_outside"] > 0


def test_lossless_results_keep_the_elements(tmp_path):
    after, row = written(tmp_path, IMAGE, syntax="j2k-lossless")
    assert "PixelPaddingRangeLimit" not in after
    assert "padding_range" not in row
