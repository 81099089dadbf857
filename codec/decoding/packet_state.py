"""What the reader of packets holds while it reads a tile."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from codec.decoding.packet_header_reader import SLOTS, HeaderState
from codec.decoding.packet_results import COMPLETE
from codec.decoding.tile_layout import TileLayout
from codec.packets import INITIAL_LBLOCK
from codec.tag_trees import MAX_DEPTH


class Options(NamedTuple):
    """What to read, and what may occur.

    Attributes
    ----------
    packed : bool
        Whether the packet headers stand apart (PPM, PPT).
    may_have_sop, has_eph : bool
        Whether SOP and EPH markers may occur.
    resolutions, layers : int
        Number of resolutions and layers to read.
    """

    packed: bool
    may_have_sop: bool
    has_eph: bool
    resolutions: int
    layers: int


class PacketState(NamedTuple):
    """What reading packets changes, beside the headers' state and the pieces.

    Attributes
    ----------
    data : numpy.ndarray
        uint8: the packets' bytes.
    counters : numpy.ndarray
        int64 [8]: BODY, HEADER, PIECES, PACKETS_LEFT, PACKETS, SOPS, FIRST_NUMBER and END.
    part_starts : numpy.ndarray
        int64: where in `data` the tile-parts begin.
    next_layers : numpy.ndarray
        int32 [precincts]: the layer of the next packet.
    first, last : numpy.ndarray
        int32 [blocks]: rows of the pieces, -1 where a block has none.
    truncated : numpy.ndarray
        uint8 [blocks]: whether the data ended within the block's last piece.
    """

    data: np.ndarray
    counters: np.ndarray
    part_starts: np.ndarray
    next_layers: np.ndarray
    first: np.ndarray
    last: np.ndarray
    truncated: np.ndarray


def new_header_state(
    headers: np.ndarray, layout: TileLayout, block_style: int, max_pieces: int
) -> tuple[HeaderState, np.ndarray]:
    """The state of the headers' reader before the first packet, and uint8 [blocks] of zeros."""
    # A tile may be tiny, and there may be 65 535: few arrays, and views of them.
    of_nodes, of_blocks = np.zeros((2, layout.nodes), np.int32), np.zeros((4, layout.blocks), np.uint8)
    of_blocks[0] = INITIAL_LBLOCK
    state = HeaderState(
        headers=headers,
        bits=np.zeros(SLOTS, dtype=np.int64),
        inclusion=of_nodes[0],
        planes=of_nodes[1],
        path=np.zeros(MAX_DEPTH, dtype=np.int64),
        lblock=of_blocks[0],
        passes=of_blocks[1],
        zero_planes=of_blocks[2],
        block_style=block_style,
        max_pieces=max_pieces,
    )
    return state, of_blocks[3]


def new_state(
    data: np.ndarray, layout: TileLayout, truncated: np.ndarray, needed: int, part_starts: Sequence[int]
) -> PacketState:
    """The state of the packets' reader before the first packet."""
    ends = np.empty((2, layout.blocks), dtype=np.int32)
    ends.fill(-1)
    return PacketState(
        data=data,
        counters=np.array([0, 0, 0, needed, 0, 0, 0, COMPLETE], dtype=np.int64),
        part_starts=np.array(part_starts, dtype=np.int64),
        next_layers=np.zeros(len(layout.precincts), dtype=np.int32),
        first=ends[0],
        last=ends[1],
        truncated=truncated,
    )
