"""Packets written the slow way are read back."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_packets import Block, Grid, TagTree, ceil_div, make_precincts, packet_sequence, passes_of_segment, write_tile

from codec.decoding.codestream_reader import MAX_ROI_SHIFT
from codec.decoding.coding_parameters import TERMINATE_EACH_PASS, BlockCoding, CodingStyle, Progression
from codec.decoding.packet_header_reader import FIRST_PASS, LENGTH, NEXT, OFFSET, PASSES, passes_to_segment_end
from codec.decoding.packet_reader import read_packets
from codec.decoding.packet_results import COMPLETE
from codec.decoding.tile_layout import (
    GRID_HEIGHT,
    GRID_WIDTH,
    GRID_X0,
    GRID_Y0,
    SUBBAND,
    X0,
    X1,
    Y0,
    Y1,
    LayoutBudget,
    lay_out_tile,
)
from codec.errors import LimitError
from codec.quantization import Quantization


def read_back(contributions, layout):
    """{(subband, block row, block column): [zero planes, [first pass, passes, bytes], ...]}."""
    blocks = {}
    for row in layout.precinct_bands:
        band = layout.subbands[row[SUBBAND]]
        width = int(row[GRID_WIDTH])
        for k in range(width * int(row[GRID_WIDTH + 1])):
            block = int(row[GRID_WIDTH + 2]) + k
            piece, pieces = int(contributions.first[block]), []
            while piece >= 0:
                line = contributions.pieces[piece]
                data = contributions.data[line[OFFSET] : line[OFFSET] + line[LENGTH]].tobytes()
                pieces.append((int(line[FIRST_PASS]), int(line[PASSES]), data))
                piece = int(line[NEXT])
            if pieces:
                y = (int(row[Y0]) >> band.block_height) + k // width
                x = (int(row[X0]) >> band.block_width) + k % width
                blocks[int(row[SUBBAND]), y, x] = [int(contributions.zero_planes[block]), *pieces]
    return blocks


def expected_blocks(tree, resolutions, layers):
    blocks = {}
    for r, precincts in tree.items():
        for grid in itertools.chain.from_iterable(precincts.values()):
            for (y, x), block in grid.blocks.items():
                pieces, index = [], 0
                for layer, segments in block.layers.items():
                    for count, data in segments:
                        if layer < layers and r < resolutions:
                            pieces.append((index, count, data))
                        index += count
                if pieces:
                    blocks[grid.subband, y, x] = [block.zero_planes, *pieces]
    return blocks


@pytest.mark.parametrize("style", [0, 1, 4, 5, 8, 63 - 5])
def test_codeword_segments_end_where_the_standard_says(style):
    for index in range(164):
        assert min(passes_to_segment_end(index, style), 164 - index) == passes_of_segment(index, 164 - index, style)


@st.composite
def tiles(draw):
    steps = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 2)]))
    x0, y0 = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    reference = (x0, y0, x0 + draw(st.integers(1, 40)), y0 + draw(st.integers(1, 40)))
    levels = draw(st.integers(0, 4))
    precincts = [(draw(st.integers(r > 0, 5)), draw(st.integers(r > 0, 5))) for r in range(levels + 1)]
    style = draw(st.sampled_from([0, 0, 1, 4, 5]))
    coding = BlockCoding(levels, draw(st.integers(2, 4)), draw(st.integers(2, 4)), style, True, tuple(precincts))
    return reference, steps, coding


ORDERS = st.sampled_from(["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])


@settings(deadline=None, max_examples=120)
@given(
    tile=tiles(), seed=st.integers(0, 2**32 - 1), layers=st.integers(1, 4),
    orders=st.lists(ORDERS, min_size=1, max_size=3),
    sop=st.booleans(), eph=st.booleans(), packed=st.booleans(), fewer=st.booleans(),
)  # fmt: skip
def test_written_packets_are_read_back(tile, seed, layers, orders, sop, eph, packed, fewer):
    reference, steps, coding = tile
    rng = np.random.default_rng(seed)
    area = tuple(ceil_div(edge, step) for edge, step in zip(reference, (*steps, *steps)))
    layout = lay_out_tile(area, reference, steps, coding, LayoutBudget(2**24, 0))
    tree = make_precincts(rng, area, coding, layers, coding.style)
    progressions, sequence = [], []
    for number, order in enumerate(orders):
        last = number == len(orders) - 1
        end_layer = layers if last else int(rng.integers(1, layers + 1))
        first, end = (0, coding.levels + 1) if last else sorted(rng.integers(0, coding.levels + 2, 2).tolist())
        progressions.append(Progression(order, first, end, end_layer))
        sequence += packet_sequence(tree, area, reference, steps, coding, order, range(first, end), end_layer)
    body, headers = write_tile(tree, sequence, sop, eph, packed)
    wanted = (max(coding.levels, 1), max(layers - 1, 1)) if fewer else (coding.levels + 1, layers)
    contributions, count = read_packets(
        body, headers, layout, tuple(progressions), CodingStyle(sop, eph, orders[0], layers), coding.style,
        resolutions=wanted[0], layers=wanted[1], max_pieces=2**20,
    )  # fmt: skip
    assert read_back(contributions, layout) == expected_blocks(tree, *wanted)
    assert not contributions.truncated.any()
    assert (count.end, count.read, count.left_over) == (COMPLETE, count.wanted, 0)


@settings(deadline=None, max_examples=100)
@given(tile=tiles(), data=st.binary(max_size=300), packed=st.none() | st.binary(max_size=100), order=ORDERS)
def test_any_bytes_give_pieces_within_the_data(tile, data, packed, order):
    reference, steps, coding = tile
    area = tuple(ceil_div(edge, step) for edge, step in zip(reference, (*steps, *steps)))
    layout = lay_out_tile(area, reference, steps, coding, LayoutBudget(2**24, 0))
    progressions = (Progression(order, 0, 33, 65535),)
    style = CodingStyle(True, True, order, 65535)
    contributions, count = read_packets(
        data, packed, layout, progressions, style, coding.style, resolutions=33, layers=65535, max_pieces=2**20
    )
    assert 0 <= count.read <= count.wanted
    assert (count.read < count.wanted) == (count.end != COMPLETE)
    ends = contributions.pieces[:, OFFSET] + contributions.pieces[:, LENGTH]
    assert (contributions.pieces[:, LENGTH] >= 0).all()
    assert (contributions.pieces[:, OFFSET] >= 0).all()
    assert (ends <= len(data)).all()
    assert (contributions.pieces[:, NEXT] < len(contributions.pieces)).all()
    for first in contributions.first[contributions.first >= 0]:
        passes = 0
        while first >= 0:
            assert contributions.pieces[first, FIRST_PASS] == passes
            passes += contributions.pieces[first, PASSES]
            first = contributions.pieces[first, NEXT]


def test_more_pieces_than_allowed_are_refused():
    # One block a packet, each pass a segment of its own and without a byte: a piece for every four bits or so.
    coding = BlockCoding(0, 2, 2, TERMINATE_EACH_PASS, True, ((2, 2),))
    rng, area = np.random.default_rng(0), (0, 0, 160, 160)
    layout = lay_out_tile(area, area, (1, 1), coding, LayoutBudget(2**24, 0))
    tree = make_precincts(rng, area, coding, 1, coding.style)
    for grids in tree[0].values():
        for block in grids[0].blocks.values():
            block.layers = {0: [(1, b"")] * 160}
        grids[0].inclusion, grids[0].planes = TagTree([[0]]), TagTree([[block.zero_planes]])
    sequence = packet_sequence(tree, area, area, (1, 1), coding, "LRCP", range(1), 1)
    body, _ = write_tile(tree, sequence, False, False, False)
    progressions, style = (Progression("LRCP", 0, 1, 1),), CodingStyle(False, False, "LRCP", 1)
    everything = 40 * 40 * 160

    def read(max_pieces):
        return read_packets(
            body, None, layout, progressions, style, coding.style, resolutions=1, layers=1, max_pieces=max_pieces
        )[0]

    assert len(read(everything).pieces) == everything > len(body)
    with pytest.raises(LimitError, match="raise max_pixels"):
        read(everything - 1)


@pytest.mark.parametrize("beyond", [0, 1])
def test_more_missing_bit_planes_than_a_subband_can_have_end_the_reading(beyond):
    finest = Quantization.read(bytes([7 << 5, 31 << 3]), 0, "QCD")
    missing = finest.magnitude_bits(0, 0, 0) + MAX_ROI_SHIFT + beyond
    coding, area = BlockCoding(0, 2, 2, 0, True, ((2, 2),)), (0, 0, 4, 4)
    layout = lay_out_tile(area, area, (1, 1), coding, LayoutBudget(2**24, 0))
    block = Block(missing, {0: [(1, b"x")]})
    tree = {0: {(0, 0): [Grid(0, {(0, 0): block}, TagTree([[0]]), TagTree([[missing]]))]}}
    body, _ = write_tile(
        tree, packet_sequence(tree, area, area, (1, 1), coding, "LRCP", range(1), 1), False, False, False
    )
    progressions, style = (Progression("LRCP", 0, 1, 1),), CodingStyle(False, False, "LRCP", 1)
    contributions, _ = read_packets(
        body, None, layout, progressions, style, coding.style, resolutions=1, layers=1, max_pieces=1
    )
    assert read_back(contributions, layout) == ({} if beyond else {(0, 0, 0): [74, (0, 1, b"x")]})


def test_more_code_blocks_than_allowed_are_refused():
    coding = BlockCoding(0, 2, 2, 0, True, ((15, 15),))
    with pytest.raises(LimitError, match="raise max_pixels"):
        lay_out_tile((0, 0, 4096, 4096), (0, 0, 4096, 4096), (1, 1), coding, LayoutBudget(2**20, 0))
    coding = BlockCoding(0, 6, 6, 0, True, ((0, 0),))
    with pytest.raises(LimitError):
        lay_out_tile((0, 0, 2**31, 2**31), (0, 0, 2**31, 2**31), (1, 1), coding, LayoutBudget(2**28, 0))


def test_more_precincts_than_the_codestream_can_have_are_refused():
    coding = BlockCoding(0, 6, 6, 0, True, ((1, 1),))
    area = (0, 0, 400, 400)

    for codestream_bytes, tiles in ((0, 3), (200_000, 8)):
        budget = LayoutBudget(2**28, codestream_bytes)
        for _ in range(tiles):
            lay_out_tile(area, area, (1, 1), coding, budget)
        with pytest.raises(LimitError, match="codestream of this length"):
            lay_out_tile(area, area, (1, 1), coding, budget)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 3), st.tuples(st.integers(2, 4), st.integers(2, 4)), st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(0, 90), st.integers(0, 90)), st.tuples(st.integers(1, 70), st.integers(1, 70)),
)  # fmt: skip
def test_every_sample_lies_in_one_precinct_and_its_blocks(levels, block, precinct, corner, size):
    coding = BlockCoding(levels, *block, 0, True, (precinct,) * (levels + 1))
    area = (*corner, corner[0] + size[0], corner[1] + size[1])
    layout = lay_out_tile(area, area, (1, 1), coding, LayoutBudget(2**24, 0))
    for index, band in enumerate(layout.subbands):
        x0, y0, x1, y1 = band.area
        covered = np.zeros((max(y1 - y0, 0), max(x1 - x0, 0)), int)
        for row in layout.precinct_bands[layout.precinct_bands[:, SUBBAND] == index]:
            across, down = range(row[X0], row[X1]), range(row[Y0], row[Y1])
            covered[row[Y0] - y0 : row[Y1] - y0, row[X0] - x0 : row[X1] - x0] += 1
            for samples, exponent in ((across, precinct[0]), (down, precinct[1])):
                assert len({sample >> (exponent - (band.resolution > 0)) for sample in samples}) <= 1
            assert row[GRID_WIDTH] == len({sample >> band.block_width for sample in across})
            assert row[GRID_HEIGHT] == len({sample >> band.block_height for sample in down})
            if across and down:
                assert (row[GRID_X0], row[GRID_Y0]) == (across[0] >> band.block_width, down[0] >> band.block_height)
        assert (covered == 1).all()
