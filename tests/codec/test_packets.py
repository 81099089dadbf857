import naive_entropy_decoding
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import packets
from codec.wavelet import subband_shapes


@settings(deadline=None, max_examples=100)
@given(
    grids=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_headers_read_back(grids, seed, share):
    rng = np.random.default_rng(seed)
    sizes = [rows * columns for rows, columns in grids]
    count = sum(sizes)
    starts = np.cumsum(sizes) - sizes
    packet = np.array([(start, *grid) for start, grid in zip(starts, grids)], np.int64)
    included = rng.random(count) < share
    passes = np.where(included, rng.choice([1, 2, 3, 5, 6, 20, 36, 37, 90], count), 0).astype(np.int32)
    lengths = np.where(included, 2 ** rng.uniform(0, 18, count) - 1, 0).astype(np.int32)
    missing = rng.integers(0, 30, count).astype(np.int32)
    out = np.full(40 * count + 64, 0xEE, np.uint8)
    end = packets.write_packet_header(packet, passes, lengths, missing, out, 5)
    reader = naive_entropy_decoding.NaiveHeaderReader(out[5:end].tobytes())
    result = reader.read(grids)
    assert reader.end() == end - 5
    assert out[end - 1] != 0xFF
    for blocks, start in zip(result, starts):
        for n, (read_passes, read_missing, read_length) in enumerate(blocks, start):
            assert read_passes == passes[n]
            if included[n]:
                assert (read_missing, read_length) == (missing[n], lengths[n])


@pytest.mark.parametrize(("rows", "columns", "levels"), [(1, 1, 0), (1, 1, 3), (200, 70, 2), (129, 500, 5)])
def test_blocks_tile_every_subband_once(rows, columns, levels):
    shapes = subband_shapes(rows, columns, levels)
    grids, subband, area = packets.packet_blocks(shapes)
    assert len(grids) == levels + 1
    for index, shape in enumerate(shapes):
        covered = np.zeros(shape, int)
        for top, left, height, width in area[subband == index]:
            assert height > 0
            assert width > 0
            covered[top : top + height, left : left + width] += 1
        assert np.all(covered == 1)
    counted = [n for packet in grids for first, height, width in packet for n in range(first, first + height * width)]
    assert counted == list(range(len(area)))


def test_long_images_have_several_precincts():
    grids, subband, area = packets.packet_blocks(subband_shapes(3, 70_000, 1))
    # Resolution 0 is 35000 samples wide and resolution 1 70000, in precincts of 32768.
    assert len(grids) == 2 + 3
    assert area[subband == 0][:, 3].sum() == 35_000
