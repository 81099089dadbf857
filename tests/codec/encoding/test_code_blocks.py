"""Block coding against a naive coder (decisions), a naive MQ decoder (codewords) and a naive reconstruction (gains)."""

import itertools

import naive_codec
import naive_entropy_decoding
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding import block_passes
from codec.encoding.code_blocks import CodedBlocks, SubbandWords
from codec.encoding.codeword_segments import write_segment
from codec.encoding.quantizer import FRACTION_BITS, MAGNITUDE_SHIFT, quantize
from codec.encoding.rate_control import truncation_points
from codec.mq_tables import ORIENTATION_CLASSES
from codec.workers import Workers

ORIENTATIONS = ["LL", "HL", "LH", "HH"]


def random_coefficients(seed, rows, columns, planes):
    """Laplacian values with empty regions: sparse high planes and dense low ones."""
    rng = np.random.default_rng(seed)
    values = rng.laplace(0, 2.0 ** (planes - 3), (rows, columns))
    values *= rng.random((rows, columns)) < rng.random()
    return np.clip(values, -(2.0**planes) + 1, 2.0**planes - 1).astype(np.float32)


def quantized(coefficients, orientation="LL", weight=4.0**-FRACTION_BITS):
    """A subband with a step of 1."""
    squares = tuple(-(-size // 64) for size in coefficients.shape)
    planes, values = np.empty(squares, np.int32), coefficients.copy()
    quantize(values, 1.0, planes)
    return SubbandWords(values.view(np.int32), orientation, weight, max(int(planes.max()), 1), planes)


def coded(band, stop_slope=0.0, threads=1):
    rows, columns = band.words.shape
    area = np.array(
        [(y, x, min(64, rows - y), min(64, columns - x)) for y in range(0, rows, 64) for x in range(0, columns, 64)],
        np.int32,
    )
    blocks = CodedBlocks([band], np.zeros(len(area), np.int32), area)
    with Workers(threads) as workers:
        blocks.code(np.arange(len(area)), stop_slope, workers)
    return blocks


def coded_block(coefficients, orientation, stop_slope=0.0):
    band = quantized(coefficients, orientation)
    return band, coded(band, stop_slope)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 18),
    columns=st.integers(1, 18),
    planes=st.integers(1, 9),
    orientation=st.sampled_from(ORIENTATIONS),
)
def test_every_cut_decodes_to_the_naive_decisions_and_has_the_gain_it_claims(seed, rows, columns, planes, orientation):
    coefficients = random_coefficients(seed, rows, columns, planes)
    magnitudes = np.floor(np.abs(coefficients.astype(float)) * 2**FRACTION_BITS) / 2**FRACTION_BITS
    naive = naive_codec.NaiveBlock(np.trunc(coefficients).astype(int), orientation)
    expected = naive.passes()
    _, blocks = coded_block(coefficients, orientation)
    assert blocks.passes[0] == len(expected)
    assert blocks.complete[0]
    assert blocks.bit_planes[0] - blocks.zero_planes[0] == int(naive.magnitudes.max()).bit_length()
    decisions: list[tuple[int, int]] = []
    for number, decided in enumerate(expected):
        decisions += decided
        length = int(blocks.lengths[0, number])
        segment = np.zeros(length + 1, np.uint8)
        write_segment(blocks.codewords, blocks.registers[0, number], blocks.ends[0, number], length, segment, 0)
        decoded = naive_entropy_decoding.mq_decode(segment[:length].tobytes(), [context for context, _ in decisions])
        assert decoded == [bit for _, bit in decisions]
        reconstructed = naive_codec.reconstructed_magnitudes(magnitudes, naive, number + 1)
        gain = np.sum(magnitudes**2) - np.sum((magnitudes - reconstructed) ** 2)
        assert blocks.gains[0, number] == pytest.approx(gain, rel=1e-9, abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 64), st.integers(1, 64), st.sampled_from(ORIENTATIONS))
def test_kernels_make_the_naive_decisions_in_large_blocks(seed, rows, columns, orientation):
    coefficients = random_coefficients(seed, rows, columns, 4)
    naive = naive_codec.NaiveBlock(np.trunc(coefficients).astype(int), orientation)
    planes = int(naive.magnitudes.max()).bit_length()
    stripes = (rows + 3) // 4
    padded = np.zeros((4 * stripes, columns), np.float32)
    padded[:rows] = coefficients
    words = quantized(padded).words.reshape(stripes, 4, columns).transpose(0, 2, 1).ravel().copy()
    flags = np.zeros((stripes + 2) * (columns + 2), np.int64)
    outside = sum(1 << (3 * k + block_passes.CODED) for k in range(rows - 4 * (stripes - 1), 4))
    flags[stripes * (columns + 2) : (stripes + 1) * (columns + 2)] = outside
    table = block_passes.ZERO_CODING_SYMBOLS[ORIENTATION_CLASSES[orientation]]
    symbols = np.empty(3 * 64 * 64, np.uint8)
    for number, decided in enumerate(naive.passes()):
        bit = planes - 1 - (number + 2) // 3 + MAGNITUDE_SHIFT
        if number % 3 == 1:
            count, *_ = block_passes.significance_pass(words, flags, columns, stripes, bit, table, symbols)
        elif number % 3 == 2:
            count, *_ = block_passes.refinement_pass(words, flags, columns, stripes, bit, symbols)
        else:
            count, *_ = block_passes.cleanup_pass(words, flags, columns, stripes, bit, outside, table, symbols)
        assert [(symbol >> 1, symbol & 1) for symbol in symbols[:count].tolist()] == decided


def test_words_remember_who_was_found_in_a_significance_pass():
    coefficients = random_coefficients(7, 12, 9, 4)
    naive = naive_codec.NaiveBlock(np.trunc(coefficients).astype(int), "LL")
    newly_significant = np.zeros(coefficients.shape, bool)
    planes = int(naive.magnitudes.max()).bit_length()
    for plane in range(planes - 1, -1, -1):
        before = naive.significant.copy()
        if plane < planes - 1:
            naive.significance_pass(plane)
            newly_significant |= naive.significant & ~before
            naive.refinement_pass(plane)
        naive.cleanup_pass(plane)
    band, _ = coded_block(coefficients, "LL")
    assert newly_significant.any()
    np.testing.assert_array_equal(band.words & 1, newly_significant)


def test_flat_planes_are_left_out_and_coding_again_gives_the_same():
    coefficients = random_coefficients(1, 64, 64, 9)
    band, full = coded_block(coefficients, "HL")
    blocks = coded(band, stop_slope=100.0)
    done = blocks.passes[0]
    assert 0 < done < full.passes[0]
    assert not blocks.complete[0]
    np.testing.assert_array_equal(blocks.lengths[0, :done], full.lengths[0, :done])
    with Workers(1) as workers:
        blocks.code(np.arange(1), 0.0, workers)
    assert blocks.complete[0]
    np.testing.assert_array_equal(blocks.codewords[blocks.offsets[0] :], full.codewords)


@pytest.mark.parametrize(
    ("orientation", "kind"), [("LL", "constant"), *itertools.product(ORIENTATIONS, ["sparse", "dense", "edge"])]
)
def test_what_is_left_out_is_flatter_than_the_stop_slope(orientation, kind):
    """The whole hull of the block against that of what was coded. Edges cost least, as contexts predict them."""
    rng = np.random.default_rng(3)
    coefficients = rng.laplace(0, 20, (64, 64))
    if kind == "sparse":
        coefficients[rng.random((64, 64)) < 0.9] = 0
    elif kind == "edge":
        coefficients[:, :30] = coefficients[:, 33:] = 0
    elif kind == "constant":
        coefficients[:] = 37.3
    band, full = coded_block(coefficients.astype(np.float32), orientation)
    slopes = truncation_points(full)[2]
    for stop_slope in np.geomspace(slopes[-1], slopes[0], 12):
        slope = truncation_points(coded(band, stop_slope))[2]
        needed = np.count_nonzero(slopes > stop_slope * (1.7 if kind == "edge" else 1.3))
        np.testing.assert_allclose(slope[:needed], slopes[:needed])


def test_threads_change_nothing():
    band = quantized(random_coefficients(2, 300, 500, 6), "HH", 1.0)
    results = [coded(band, threads=threads) for threads in (1, 3)]
    for name in ("passes", "codewords", "offsets"):
        np.testing.assert_array_equal(getattr(results[0], name), getattr(results[1], name))
