"""Statistics of bit-planes against plain counting, and the predicted slope against its formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding import bit_plane_statistics
from codec.encoding.quantizer import FRACTION_BITS


def measured(magnitudes, lowest_plane=0):
    """BitPlaneStatistics of a block whose magnitudes, in steps, are integers."""
    rows, columns = magnitudes.shape
    band = np.full((rows + 3, columns + 5), 0x7FFFFFFE, np.int32)
    band[2 : 2 + rows, 4 : 4 + columns] = magnitudes << FRACTION_BITS << 1
    statistics = bit_plane_statistics.BitPlaneStatistics(np.empty(32, np.int64), np.empty(32))
    planes = int(magnitudes.max()).bit_length()
    bit_plane_statistics.measure_bit_planes(
        band, np.array([2, 4, rows, columns], np.int32), planes, lowest_plane, statistics
    )
    return statistics, planes


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 64), st.integers(1, 64), st.integers(0, 3))
def test_counts_are_those_of_the_magnitudes(seed, rows, columns, lowest_plane):
    magnitudes = np.random.default_rng(seed).geometric(0.05, (rows, columns)).astype(np.int32)
    statistics, planes = measured(magnitudes, lowest_plane)
    for plane in range(planes):
        new = np.count_nonzero(magnitudes >> plane == 1)
        assert statistics.new[plane] == (new if plane >= lowest_plane else 0)


def test_lines_are_distinguished_from_noise():
    rng = np.random.default_rng(0)
    noise = np.zeros((64, 64), np.int32)
    noise[rng.integers(0, 64, 60), rng.integers(0, 64, 60)] = 1
    lines = [np.zeros((64, 64), np.int32) for _ in range(3)]
    lines[0][:, 20], lines[1][33] = 1, 1
    np.fill_diagonal(lines[2], 1)
    assert measured(noise)[0].efficiency[0] > 0.8
    for line in lines:
        assert measured(line)[0].efficiency[0] < 0.3


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_predicted_slope_of_noise_is_its_gain_over_its_entropy(kind):
    """Of a plane alone: 50 significant coefficients are refined and 100 of 4096 found, 40 by the first pass."""
    statistics = bit_plane_statistics.BitPlaneStatistics(np.array([100]), np.array([bit_plane_statistics.EFFICIENCY]))
    old, seen, here = 50, 300, 40
    predicted = bit_plane_statistics.predict_slope(
        4096, 0, kind, old, seen, here, bit_plane_statistics.EFFICIENCY, statistics
    )

    def bits(places, ones):
        p = ones / places
        return -places * (p * np.log2(p) + (1 - p) * np.log2(1 - p)) + ones

    newly_significant, places = (100, 4096 - old) if kind == 0 else (60, 4096 - old - seen)
    square = 4.0**FRACTION_BITS
    refinement = 0.25 * square * old, old
    news = 1.65 * square * newly_significant, bits(places, newly_significant)
    ends = [[news, np.add(refinement, news)], [refinement, news, np.add(refinement, news)], [news]][kind]
    byte = bit_plane_statistics.EFFICIENCY / 8
    assert predicted == pytest.approx(max(gain / (byte * cost) for gain, cost in ends), rel=1e-6)
