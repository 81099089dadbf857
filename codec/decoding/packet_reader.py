"""Reading packets: packet headers, and the position of each code-block's bytes (T.800 B.9 and B.10).

Every position and count in a packet header comes from the stream. The reader stops, and keeps what it has read, where
the data end or a header is impossible.
"""

from dataclasses import dataclass

import numpy as np

from codec.decoding.coding_parameters import CodingStyle, Progression
from codec.decoding.packet_header_reader import (
    CODE_BLOCK,
    ENDED,
    LAST_BYTE,
    LENGTH,
    MAX_PIECES,
    NEXT,
    OFFSET,
    POSITION,
    TOO_MANY,
    read_packet_header,
)
from codec.decoding.progression import packet_order
from codec.decoding.tile_layout import BAND_ROWS, FIRST_BAND_ROW, RESOLUTION, TileLayout
from codec.errors import LimitError
from codec.jit import kernel
from codec.markers import EPH, EPH_BYTES, SOP, SOP_BYTES
from codec.packets import INITIAL_LBLOCK
from codec.tag_trees import MAX_DEPTH


@dataclass
class Contributions:
    """The packets' contributions to each code-block.

    Attributes
    ----------
    data : numpy.ndarray
        uint8: the packets' bytes.
    pieces : numpy.ndarray
        int64 [pieces, 6]: columns CODE_BLOCK, FIRST_PASS, PASSES, OFFSET and LENGTH in `data`, NEXT piece of the block.
    first, last : numpy.ndarray
        int32 [blocks]: rows of `pieces`, -1 where a block has none.
    zero_planes : numpy.ndarray
        uint8 [blocks]: how many of the subband's most significant bit-planes are zero.
    truncated : numpy.ndarray
        uint8 [blocks]: whether the data ended within the block's last piece.
    """

    data: np.ndarray
    pieces: np.ndarray
    first: np.ndarray
    last: np.ndarray
    zero_planes: np.ndarray
    truncated: np.ndarray


def read_packets(
    body: bytes,
    packed_headers: bytes | None,
    layout: TileLayout,
    progressions: tuple[Progression, ...],
    style: CodingStyle,
    block_style: int,
    *,
    resolutions: int,
    layers: int,
    max_pieces: int,
) -> Contributions:
    """Read a tile's packets.

    Parameters
    ----------
    body : bytes
        The tile's packets, all tile-parts joined.
    packed_headers : bytes or None
        The packet headers, where they stand apart (PPM, PPT).
    layout : TileLayout
        The tile's precincts and code-blocks.
    progressions : tuple of Progression
        In the order in which they take effect.
    style : CodingStyle
        Whether SOP and EPH markers may occur, and the number of layers.
    block_style : int
        Code-block style (T.800 Table A.19), which determines where codeword segments end.
    resolutions, layers : int
        Number of resolutions and layers to read; the packets of others are skipped.
    max_pieces : int
        The largest number of pieces to store: three bits of a header can signal one.

    Raises
    ------
    LimitError
        There are more than that.
    """
    data = np.frombuffer(body, dtype=np.uint8)
    headers = data if packed_headers is None else np.frombuffer(packed_headers, dtype=np.uint8)
    contributions = Contributions(
        data,
        np.zeros((1024, 6), dtype=np.int64),
        np.full(layout.blocks, -1, dtype=np.int32),
        np.full(layout.blocks, -1, dtype=np.int32),
        np.zeros(layout.blocks, dtype=np.uint8),
        np.zeros(layout.blocks, dtype=np.uint8),
    )
    nodes = np.zeros((2, layout.nodes), dtype=np.int32)
    lblock = np.full(layout.blocks, INITIAL_LBLOCK, dtype=np.uint8)
    passes = np.zeros(layout.blocks, dtype=np.uint8)
    next_layers = np.zeros(len(layout.precincts), dtype=np.int32)
    needed = np.count_nonzero(layout.precincts[:, RESOLUTION] < resolutions) * min(layers, style.layers)
    # Position in the bodies, position in the headers, number of pieces or TOO_MANY, needed packets not yet read.
    state = np.array([0, 0, 0, needed], dtype=np.int64)
    for progression in progressions:
        end_layer = min(progression.end_layer, style.layers)
        order, group_ends = packet_order(layout, progression, next_layers < end_layer)
        contributions.pieces, continues = _read_progression(
            data, headers, packed_headers is not None, order, group_ends, end_layer,
            layout.precincts, layout.precinct_bands, style.may_have_sop, style.has_eph, block_style,
            resolutions, layers, max_pieces, nodes, lblock, passes, next_layers, state,
            contributions.pieces, contributions.first, contributions.last, contributions.zero_planes,
            contributions.truncated,
        )  # fmt: skip
        if state[2] == TOO_MANY:
            raise LimitError(
                f"a tile of more than {max_pieces} pieces of codeword segments, as the limit allows; raise max_pixels"
            )
        if not continues:
            break
    contributions.pieces = contributions.pieces[: state[2]]
    return contributions


@kernel
def _take_bodies(data, position, start, count, needed, pieces, first, last, truncated):
    """Set the positions of the pieces from `start` on in the packet body, and link the needed ones to their blocks.

    Returns the position after the body, the number of pieces kept, and whether the data ended within the body.
    """
    kept = start
    for k in range(start, count):
        length = pieces[k, LENGTH]
        available = min(length, data.size - position)
        if needed and (available == length or available > 0):
            block = pieces[k, CODE_BLOCK]
            for column in range(6):
                pieces[kept, column] = pieces[k, column]
            pieces[kept, OFFSET] = position
            pieces[kept, LENGTH] = available
            truncated[block] = available < length
            if first[block] < 0:
                first[block] = kept
            else:
                pieces[last[block], NEXT] = kept
            last[block] = kept
            kept += 1
        position += available
        if available < length:
            return position, kept, True
    return position, kept, False


@kernel
def _starts_with(data, position, marker):
    """Whether the two bytes at `position` are `marker`."""
    return position + 2 <= data.size and np.int64(data[position]) << 8 | data[position + 1] == marker


@kernel
def _read_progression(
    data, headers, packed, order, group_ends, end_layer, precincts, precinct_bands, may_have_sop, has_eph,
    block_style, resolutions, layers, max_pieces, nodes, lblock, passes, next_layers, state,
    pieces, first, last, zero_planes, truncated,
):  # fmt: skip
    """Read the packets of one progression that earlier ones have left; returns the pieces and whether to continue."""
    bits = np.zeros(5, dtype=np.int64)
    path = np.zeros(MAX_DEPTH, dtype=np.int64)
    group_start = 0
    for group_end in group_ends:
        layer = end_layer
        for k in range(group_start, group_end):
            layer = min(layer, np.int64(next_layers[order[k]]))
        while layer < end_layer:
            for k in range(group_start, group_end):
                precinct = order[k]
                if next_layers[precinct] != layer:
                    continue
                if state[3] == 0:
                    return pieces, False
                next_layers[precinct] += 1
                if may_have_sop and _starts_with(data, state[0], SOP):
                    state[0] += SOP_BYTES
                bits[:] = 0
                bits[MAX_PIECES] = max_pieces
                bits[POSITION] = state[1] if packed else state[0]
                if bits[POSITION] >= headers.size:
                    return pieces, False
                rows = precincts[precinct, FIRST_BAND_ROW]
                band_rows = precinct_bands[rows : rows + precincts[precinct, BAND_ROWS]]
                pieces, count = read_packet_header(
                    headers, bits, layer, band_rows, block_style, nodes, lblock, passes, zero_planes, pieces,
                    state[2], path,
                )  # fmt: skip
                if count == TOO_MANY:
                    state[2] = TOO_MANY
                if count < 0 or bits[ENDED]:
                    return pieces, False
                if bits[LAST_BYTE] == 0xFF:
                    bits[POSITION] += 1  # the stuffed bit's byte (B.10.1)
                if has_eph and _starts_with(headers, bits[POSITION], EPH):
                    bits[POSITION] += EPH_BYTES
                state[1] = bits[POSITION]
                body_start = state[0] if packed else min(bits[POSITION], data.size)
                needed = precincts[precinct, RESOLUTION] < resolutions and layer < layers
                state[0], state[2], ended = _take_bodies(
                    data, body_start, state[2], count, needed, pieces, first, last, truncated
                )
                state[3] -= needed
                if ended:
                    return pieces, False
            layer += 1
        group_start = group_end
    return pieces, True
