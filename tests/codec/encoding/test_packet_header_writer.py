"""Packet headers against the slow writer, byte for byte, layer after layer."""

import naive_packets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding import packet_header_writer


def random_grids(rng, sizes, layers, share):
    """Code-blocks of the slow writer in up to three grids, included in each layer with probability `share`."""
    grids = []
    for band, (rows, columns) in enumerate(sizes):
        blocks = {}
        for place in np.ndindex(rows, columns):
            blocks[place] = naive_packets.Block(int(rng.integers(0, 30)))
            for layer in range(layers):
                if rng.random() < share:
                    passes, length = int(rng.choice([1, 2, 3, 5, 6, 20, 36, 37])), int(2 ** rng.uniform(0, 18)) - 1
                    blocks[place].layers[layer] = [(passes, bytes(length))]
        grid = naive_packets.Grid(band, blocks)
        if blocks:
            first = [min(block.layers, default=layers) for block in blocks.values()]
            missing = [block.zero_planes for block in blocks.values()]
            grid.inclusion = naive_packets.TagTree(np.reshape(first, (rows, columns)))
            grid.planes = naive_packets.TagTree(np.reshape(missing, (rows, columns)))
        grids.append(grid)
    return grids


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=3),
    layers=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_headers_of_all_layers(sizes, layers, seed, share):
    rng = np.random.default_rng(seed)
    grids = random_grids(rng, sizes, layers, share)
    blocks = [block for grid in grids for block in grid.blocks.values()]
    counts = [rows * columns for rows, columns in sizes]
    starts = np.cumsum(counts) - counts
    packets = np.array([[(start, *size) for start, size in zip(starts, sizes)]], np.int64)
    signalled = packet_header_writer.nothing_signalled(packets, len(blocks), np.ones(len(blocks), np.bool_))
    missing = np.array([block.zero_planes for block in blocks], np.int32)
    none = np.zeros(len(blocks), np.int32)
    passes, lengths = np.zeros(len(blocks), np.int32), np.zeros(len(blocks), np.int32)
    for layer in range(layers):
        for n, block in enumerate(blocks):
            for count, data in block.layers.get(layer, ()):
                passes[n] += count
                lengths[n] += len(data)
        expected, _ = naive_packets.write_packet(grids, layer)
        out = np.full(40 * len(blocks) + 64, 0xEE, np.uint8)
        for commit in (False, False, True):
            end = packet_header_writer.write_packet_header(
                signalled, layer, 0, passes, lengths, missing, none, out, 5, commit
            )
            assert out[5:end].tobytes() == expected
        assert np.all(out[end:] == 0xEE)
    np.testing.assert_array_equal(signalled.passes, passes)
    np.testing.assert_array_equal(signalled.lengths, lengths)
    assert [int(bits) for bits in signalled.lblock] == [block.lblock for block in blocks]


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_missing_planes_of_blocks_that_are_never_included_cost_nothing(share):
    rng = np.random.default_rng(4)
    packets = np.array([[(0, 16, 16), (256, 0, 0), (256, 0, 0)]], np.int64)
    passes = (rng.random(256) < share).astype(np.int32)
    lengths, missing = 9 * passes, np.where(passes, 12, 0).astype(np.int32)
    out = np.empty(4096, np.uint8)
    ends = [
        packet_header_writer.write_packet_header(
            packet_header_writer.nothing_signalled(packets, 256, follow),
            0,
            0,
            passes,
            lengths,
            missing,
            0 * missing,
            out,
            0,
            False,
        )
        for follow in (None, np.ones(256, np.bool_))
    ]
    assert ends[0] < ends[1]
