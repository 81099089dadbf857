import naive_decoder
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import quantizer, reversible_quantizer, wavelet


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_norms_are_those_of_synthesised_coefficients(levels):
    bands = [np.zeros(shape, np.int64) for shape in wavelet.subband_shapes(256, 256, levels)]
    for band, norm in zip(bands, quantizer.subband_norms(levels, reversible=True)):
        band[band.shape[0] // 2, band.shape[1] // 2] = 1 << 20  # so large that rounding does not matter
        assert np.linalg.norm(naive_decoder.inverse_transform(bands, (256, 256), (0, 0), True) / 2**20) == pytest.approx(norm, rel=1e-4)
        band[:] = 0


@pytest.mark.parametrize(("bits", "levels"), [(1, 0), (8, 3), (16, 7)])
def test_the_marker_body_says_what_magnitude_bits_says(bits, levels):
    quantization = quantizer.with_guard_bits(reversible_quantizer.ReversibleQuantization(bits, levels), [bits + 1])
    body = quantization.marker_body()
    assert len(body) == 1 + 3 * levels + 1
    assert body[0] == 2 << 5
    assert [2 + (value >> 3) - 1 for value in body[1:]] == quantization.magnitude_bits()
    assert set(quantization.steps()) == {1.0}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 200), st.integers(0, 20))
def test_integers_are_kept(seed, rows, columns, bits):
    values = np.random.default_rng(seed).integers(-(2**bits), 2**bits, (rows, columns)).astype(np.int32)
    words = values.copy()
    planes = np.empty((-(-rows // 64), -(-columns // 64)), np.int32)
    reversible_quantizer.keep_integers(words, planes)
    magnitudes = (words & quantizer.MAGNITUDE_MASK) >> quantizer.MAGNITUDE_SHIFT
    np.testing.assert_array_equal(np.where(words < 0, -magnitudes, magnitudes), values)
    assert np.all(words & (1 << quantizer.MAGNITUDE_SHIFT) - 1 == 0)
    for (down, across), found in np.ndenumerate(planes):
        block = magnitudes[64 * down : 64 * down + 64, 64 * across : 64 * across + 64]
        assert found == int(block.max()).bit_length()
