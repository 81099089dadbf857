import naive_decoder
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.decoding.inverse_transform import inverse_53
from codec.encoding.forward_53 import forward_53
from codec.subbands import subband_shapes


@settings(deadline=None, max_examples=150)
@given(
    rows=st.integers(1, 40), columns=st.integers(1, 40), levels=st.integers(0, 6),
    dtype=st.sampled_from([np.uint8, np.uint16]), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_inverse_gives_every_pixel_back(rows, columns, levels, dtype, seed):
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (rows, columns), dtype, endpoint=True)
    shift = 1 << (8 * pixels.itemsize - 1)
    bands = forward_53(pixels, levels, shift)
    assert [band.shape for band in bands] == subband_shapes(rows, columns, levels)
    naive = naive_decoder.inverse_transform(bands, (rows, columns), (0, 0), True)
    np.testing.assert_array_equal(naive + shift, pixels)
    back = np.empty_like(pixels)
    inverse_53(bands, back, levels, level_shift=shift, lowest=0, largest=2 * shift - 1)
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("levels", [1, 3])
def test_a_constant_is_all_in_the_low_pass_band(levels):
    low, *high = forward_53(np.full((21, 34), 200, np.uint8), levels, 128)
    assert (low == 72).all()
    assert not any(band.any() for band in high)
