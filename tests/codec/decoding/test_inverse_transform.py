import naive_decoder
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.decoding import inverse_transform
from codec.decoding.inverse_transform import inverse_53, inverse_97
from codec.encoding.forward_97 import forward_97


def band_shapes(shape, origin, levels):
    """Rows and columns of each subband by counting the places that it takes (equation B-15)."""

    def count(start, size, level, high):
        step = 1 << level
        offset = step // 2 if high else 0
        return sum((place - offset) % step == 0 for place in range(start, start + size))

    shapes = [tuple(count(o, s, levels, False) for o, s in zip(origin, shape))]
    for level in range(levels, 0, -1):
        for down, across in ((False, True), (True, False), (True, True)):
            rows = count(origin[0], shape[0], level, down)
            shapes.append((rows, count(origin[1], shape[1], level, across)))
    return shapes


def decomposition(draw_levels, rows, columns, origin, seed, dtype, magnitude):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-magnitude, magnitude, shape, endpoint=True).astype(dtype)
        for shape in band_shapes((rows, columns), origin, draw_levels)
    ]


CASES = {
    "rows": st.integers(1, 33),
    "columns": st.integers(1, 33),
    "top": st.integers(0, 9),
    "left": st.integers(0, 9),
    "levels": st.integers(0, 5),
    "seed": st.integers(0, 2**32 - 1),
}


@settings(deadline=None, max_examples=60)
@given(**CASES)
def test_inverse_97_equals_the_naive_transform(rows, columns, top, left, levels, seed):
    bands = decomposition(levels, rows, columns, (top, left), seed, np.float32, 2000)
    expected = naive_decoder.inverse_transform(bands, (rows, columns), (top, left), False) + 30000
    pixels = np.empty((rows, columns), np.uint16)
    inverse_97(bands, pixels, levels, level_shift=30000, lowest=0, largest=65535, origin=(top, left))
    # The high-pass gain is OpenJPEG's, 3.3e-5 off: at 2000 grey levels a few samples round the other way.
    assert np.abs(pixels - np.clip(expected, 0, 65535)).max() <= 0.5 + 2000 * 3.3e-5 * 4 * (levels + 1)


@settings(deadline=None, max_examples=60)
@given(**CASES)
def test_inverse_53_equals_the_naive_transform(rows, columns, top, left, levels, seed):
    bands = decomposition(levels, rows, columns, (top, left), seed, np.int32, 300)
    expected = naive_decoder.inverse_transform(bands, (rows, columns), (top, left), True)
    pixels = np.empty((rows, columns), np.int16)
    inverse_53(bands, pixels, levels, level_shift=0, lowest=-32768, largest=32767, origin=(top, left))
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(("inverse", "dtype"), [(inverse_97, np.float32), (inverse_53, np.int32)])
@pytest.mark.parametrize("empty", [[1], [2, 3], [0], [1, 2, 3, 4, 5, 6], [6]])
def test_none_stands_for_zeros(inverse, dtype, empty):
    bands = decomposition(2, 21, 30, (3, 2), 7, dtype, 100)
    for index in empty:
        bands[index][:] = 0
    sparse = [None if index in empty else band for index, band in enumerate(bands)]
    pixels, expected = np.empty((21, 30), np.uint8), np.empty((21, 30), np.uint8)
    inverse(bands, expected, 2, level_shift=128, lowest=0, largest=255, origin=(3, 2))
    inverse(sparse, pixels, 2, level_shift=128, lowest=0, largest=255, origin=(3, 2))
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (64, 48), (37, 53)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inverse_97_undoes_the_forward_transform(shape, dtype):
    top = np.iinfo(dtype).max
    image = np.random.default_rng(3).integers(0, top, shape, dtype, endpoint=True)
    restored = np.empty_like(image)
    half = (top + 1) // 2
    inverse_97(forward_97(image, 5, half), restored, 5, level_shift=half, lowest=0, largest=top)
    assert np.abs(restored.astype(int) - image).max() <= (0 if dtype == np.uint8 else 4)


def test_samples_are_rounded_and_clipped():
    low = np.array([[-4.0, 2.4, 2.6, 300.0, np.nan]], np.float32)
    pixels = np.empty((1, 5), np.uint8)
    inverse_97([low], pixels, 0, level_shift=0, lowest=0, largest=255)
    assert pixels.tolist() == [[0, 2, 3, 255, 0]]
    pixels = np.empty((2, 10), np.uint8)
    inverse_97([np.full((1, 5), 1e30, np.float32), None, None, None], pixels, 1, level_shift=0, lowest=0, largest=99)
    assert (pixels == 99).all()


@pytest.mark.parametrize(("inverse", "dtype"), [(inverse_97, np.float32), (inverse_53, np.int32)])
@pytest.mark.parametrize("shape", [(1, 70), (2, 131), (7, 64), (90, 5), (64, 1)])
@pytest.mark.parametrize("origin", [(0, 0), (3, 5)])
def test_panels_of_columns_change_nothing(monkeypatch, inverse, dtype, shape, origin):
    bands = decomposition(3, *shape, origin, 11, dtype, 100)
    bands[5] = None
    sample_range = {"level_shift": 128, "lowest": 0, "largest": 255}
    whole, panels = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    inverse(bands, whole, 3, origin=origin, **sample_range)
    for name in ("WIDE", "PANEL_SAMPLES", "MIN_PANEL_COLUMNS"):
        monkeypatch.setattr(inverse_transform, name, 16)
    inverse(bands, panels, 3, origin=origin, **sample_range)
    np.testing.assert_array_equal(panels, whole)
