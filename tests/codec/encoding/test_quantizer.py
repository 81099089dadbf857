import naive_codec
import naive_decoder
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding import quantizer
from codec.subbands import subband_names, subband_shapes


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_norms_are_those_of_synthesised_unit_coefficients(levels):
    bands = [np.zeros(shape) for shape in subband_shapes(256, 256, levels)]
    for band, norm in zip(bands, quantizer.subband_norms(levels)):
        band[band.shape[0] // 2, band.shape[1] // 2] = 1
        assert np.linalg.norm(naive_codec.inverse_97(bands)) == pytest.approx(norm, rel=1e-9)
        band[:] = 0


@pytest.mark.parametrize("bits", [1, 8, 12, 16])
@pytest.mark.parametrize("levels", range(8))
def test_derived_steps_follow_the_finest(bits, levels):
    quantization = quantizer.derived_quantization(bits, levels)
    assert 0 <= quantization.mantissas[0] < 2048
    assert 0 < quantization.exponents[0] < 32
    steps = quantizer.subband_steps(quantization, bits, levels)
    weighted = np.array(steps) * quantizer.subband_norms(levels)
    assert steps[0] == pytest.approx(quantizer.FINEST_STEP / 2**levels, rel=1e-3)
    assert np.all(weighted < 1.1 * quantizer.FINEST_STEP)
    assert np.all(weighted > 0.9 * quantizer.FINEST_STEP)
    # E-5: each level's exponent is one less; E-3: the step doubles, and doubles again for each high-pass filter.
    for (orientation, level), step in zip(subband_names(levels), steps):
        gain = {"LL": 1, "HL": 2, "LH": 2, "HH": 4}[orientation]
        assert step == gain * 2.0 ** (levels - level) * steps[0]


def test_guard_bits_make_room():
    quantization = quantizer.derived_quantization(12, 3)
    room = quantizer.subband_bit_planes(quantization, 3)
    same = quantizer.with_guard_bits(quantization, 3, room)
    assert quantizer.subband_bit_planes(same, 3) == room
    more = quantizer.with_guard_bits(quantization, 3, [room[0] + 2, *room[1:]])
    assert quantizer.subband_bit_planes(more, 3)[0] == room[0] + 2


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 4), st.integers(1, 150), st.integers(1, 150))
def test_quantize_keeps_sign_magnitude_and_fraction_and_surveys_blocks(seed, step, rows, columns):
    values = np.random.default_rng(seed).normal(0, 1000, (rows, columns)).astype(np.float32)
    values[0, 0] = 0
    quantized = values.copy()
    planes = np.empty((-(-rows // 64), -(-columns // 64)), np.int32)
    quantizer.quantize(quantized, step, planes)
    words = quantized.view(np.int32)
    exact = np.floor(np.abs(values.astype(float)) / step * 32)
    magnitudes = (words & quantizer.MAGNITUDE_MASK) >> 1
    assert np.abs(magnitudes - exact).max() <= 1 + 1e-6 * exact.max()
    np.testing.assert_array_equal(words < 0, (values < 0))
    assert np.all(words & 1 == 0)
    for (down, across), bits in np.ndenumerate(planes):
        block = magnitudes[64 * down : 64 * (down + 1), 64 * across : 64 * (across + 1)]
        assert bits == int(block.max() >> quantizer.FRACTION_BITS).bit_length()


def test_fractions_are_dropped_and_all_else_stays():
    words = np.array([[0, 1, 2**6, 2**6 + 1, (2**19 + 17) << 1, (2**19 - 1) << 1 | 1]], np.int32)
    words = np.concatenate([words, words | np.int32(-(2**31))])
    short = np.empty(words.shape, np.int16)
    quantizer.drop_fractions(words, short)
    magnitudes = (short & quantizer.SHORT_MASK) >> 1
    np.testing.assert_array_equal(magnitudes, ((words & quantizer.MAGNITUDE_MASK) >> 6) & 0x3FFF)
    np.testing.assert_array_equal(short & 1, words & 1)
    np.testing.assert_array_equal(short < 0, words < 0)


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_reversible_norms_are_those_of_synthesised_coefficients(levels):
    bands = [np.zeros(shape, np.int64) for shape in subband_shapes(256, 256, levels)]
    for band, norm in zip(bands, quantizer.subband_norms(levels, reversible=True)):
        band[band.shape[0] // 2, band.shape[1] // 2] = 1 << 20  # so large that rounding does not matter
        assert np.linalg.norm(
            naive_decoder.inverse_transform(bands, (256, 256), (0, 0), True) / 2**20
        ) == pytest.approx(norm, rel=1e-4)
        band[:] = 0


@pytest.mark.parametrize(("bits", "levels"), [(1, 0), (8, 3), (16, 7)])
def test_the_marker_body_says_what_magnitude_bits_says(bits, levels):
    quantization = quantizer.with_guard_bits(quantizer.reversible_quantization(bits, levels), levels, [bits + 1])
    body = quantization.marker_body()
    assert len(body) == 1 + 3 * levels + 1
    assert body[0] == 2 << 5
    assert [2 + (value >> 3) - 1 for value in body[1:]] == quantizer.subband_bit_planes(quantization, levels)
    assert set(quantizer.subband_steps(quantization, bits, levels)) == {1.0}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 200), st.integers(0, 20))
def test_integers_are_kept(seed, rows, columns, bits):
    values = np.random.default_rng(seed).integers(-(2**bits), 2**bits, (rows, columns)).astype(np.int32)
    words = values.copy()
    planes = np.empty((-(-rows // 64), -(-columns // 64)), np.int32)
    quantizer.keep_integers(words, 1.0, planes)
    magnitudes = (words & quantizer.MAGNITUDE_MASK) >> quantizer.MAGNITUDE_SHIFT
    np.testing.assert_array_equal(np.where(words < 0, -magnitudes, magnitudes), values)
    assert np.all(words & (1 << quantizer.MAGNITUDE_SHIFT) - 1 == 0)
    for (down, across), count in np.ndenumerate(planes):
        block = magnitudes[64 * down : 64 * down + 64, 64 * across : 64 * across + 64]
        assert count == int(block.max()).bit_length()
