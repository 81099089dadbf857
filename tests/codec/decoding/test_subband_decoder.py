import naive_decoder
import numpy as np
import pytest

from codec.decoding.block_state import SubbandCoding
from codec.decoding.packet_reader import Contributions
from codec.decoding.subband_decoder import decode_subband
from codec.decoding.tile_layout import FIRST_BLOCK, GRID_HEIGHT, GRID_WIDTH, GRID_X0, GRID_Y0, X0, X1, Y0, Y1
from codec.mq_tables import ZERO_CODING_CONTEXTS

PLANES = 6
AREA = (3, 2, 13, 9)  # x0, y0, x1, y1: code-blocks of 8 x 4 samples, cut at the edges


def subband(rng, passes):
    """Six code-blocks of random bytes, the third one absent: (data, pieces, first) and the naive coefficients."""
    row = np.zeros((1, 11), np.int64)
    row[0, [X0, Y0, X1, Y1]] = AREA
    row[0, [GRID_X0, GRID_Y0, GRID_WIDTH, GRID_HEIGHT, FIRST_BLOCK]] = 0, 0, 2, 3, 0
    data, pieces, first = b"", np.zeros((6, 6), np.int64), np.arange(6, dtype=np.int32)
    expected = np.zeros((7, 10), int)
    for block in range(6):
        coded = bytes(rng.integers(0, 128, 25, dtype=np.uint8))
        pieces[block] = block, 0, passes, len(data), len(coded), -1
        data += coded
        y, x = divmod(block, 2)
        top, bottom = max(4 * y, AREA[1]), min(4 * y + 4, AREA[3])
        left, right = max(8 * x, AREA[0]), min(8 * x + 8, AREA[2])
        if block != 2:
            values = naive_decoder.BlockDecoder(right - left, bottom - top, PLANES, "LL", 0).decode([(coded, passes)])
            expected[top - AREA[1] : bottom - AREA[1], left - AREA[0] : right - AREA[0]] = values
    first[2] = -1
    return np.frombuffer(data, np.uint8), pieces, first, row, expected


def decode(parts, band, *, roi_shift=0, half_step=0.5, reversible=False, planes=PLANES, share=0, shares=1):
    data, pieces, first, row, _ = parts
    flags = np.zeros(6, np.uint8)
    coding = SubbandCoding(
        AREA[0], AREA[1], 3, 2, planes, roi_shift, 0, ZERO_CODING_CONTEXTS[0], np.float32(half_step), reversible
    )
    return decode_subband(Contributions(data, pieces, first, flags, flags), row, coding, band, share, shares)


@pytest.mark.parametrize("passes", [1, 5, 16])
def test_blocks_land_in_their_places_with_the_step(passes):
    parts = subband(np.random.default_rng(passes), passes)
    band = np.zeros((7, 10), np.float32)
    assert decode(parts, band, half_step=0.375) == 5
    np.testing.assert_allclose(band, parts[-1] * 0.375)
    assert np.count_nonzero(band)


def test_reversible_coefficients_are_cut_towards_zero():
    parts = subband(np.random.default_rng(1), 4)
    band = np.zeros((7, 10), np.int32)
    decode(parts, band, reversible=True)
    np.testing.assert_array_equal(band, np.trunc(parts[-1] / 2))


@pytest.mark.parametrize("passes", [4, 16])
def test_region_of_interest_is_shifted_back(passes):
    # H.1: what reaches 2^s is region of interest and is divided by 2^s; all else is background and stays.
    shift = 3
    parts = subband(np.random.default_rng(5), passes)
    band = np.zeros((7, 10), np.float32)
    decode(parts, band, roi_shift=shift)
    values = parts[-1] / 2
    inside = np.abs(values) >= 1 << shift
    assert inside.any()
    assert not inside.all()
    last_plane = PLANES - 1 - (passes - 1) // 3
    # The middle of what is known: half of the last plane decoded, but of the plane 0 at the finest.
    magnitudes = np.abs(values)
    floors = np.floor(magnitudes / 2**shift)
    expected = np.where(last_plane >= shift, magnitudes / 2**shift, floors + 0.5)
    np.testing.assert_allclose(band, np.where(inside, np.sign(values) * expected, values))


def test_too_many_planes_are_reported():
    parts = subband(np.random.default_rng(2), 1)
    assert decode(parts, np.zeros((7, 10), np.float32), planes=31) == -1
    assert decode(parts, np.zeros((7, 10), np.float32), planes=0) == 0


def test_shares_make_up_the_whole():
    parts = subband(np.random.default_rng(3), 7)
    whole, shared = np.zeros((2, 7, 10), np.float32)
    assert decode(parts, whole) == sum(decode(parts, shared, share=share, shares=4) for share in range(4))
    np.testing.assert_array_equal(shared, whole)
