import naive_codec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding.forward_97 import forward_97
from codec.subbands import subband_names, subband_shapes
from codec.workers import Workers


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    levels=st.integers(0, 6),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 2**32 - 1),
)
def test_forward_97_equals_the_naive_transform(rows, columns, levels, dtype, seed):
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, top, (rows, columns), dtype, endpoint=True)
    bands = forward_97(pixels, levels, (top + 1) // 2)
    expected = naive_codec.forward_97(pixels, levels, (top + 1) // 2)
    assert [band.shape for band in bands] == subband_shapes(rows, columns, levels)
    assert len(bands) == len(subband_names(levels))
    for band, reference in zip(bands, expected):
        assert band.dtype == np.float32
        assert band.shape == reference.shape
        np.testing.assert_allclose(band, reference, atol=3e-6 * top)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (17, 12), (12, 17)])
def test_naive_inverse_reconstructs(shape):
    pixels = np.random.default_rng(0).integers(0, 4096, shape)
    np.testing.assert_allclose(naive_codec.inverse_97(naive_codec.forward_97(pixels, 4)), pixels, atol=1e-6)


def test_low_pass_gain_is_one():
    bands = forward_97(np.full((64, 48), 300, np.uint16), 3, 0)
    np.testing.assert_allclose(bands[0], 300, rtol=1e-5)
    for band in bands[1:]:
        np.testing.assert_allclose(band, 0, atol=1e-3)


@pytest.mark.parametrize("shape", [(300, 40), (257, 33), (131, 1)])
def test_threads_change_nothing(shape):
    pixels = np.random.default_rng(1).integers(0, 4096, shape).astype(np.uint16)
    alone = forward_97(pixels, 4, 2048)
    with Workers(3) as workers:
        for one, other in zip(alone, forward_97(pixels, 4, 2048, workers), strict=True):
            np.testing.assert_array_equal(one, other)
