"""Reading packets: packet headers, and the position of each code-block's bytes (T.800 B.9 and B.10).

Every position and count in a packet header comes from the stream. Where the data end or contradict the
standard, the reader stops, says why, and keeps what it has read.
"""

from collections.abc import Sequence

import numpy as np

from codec.decoding.coding_parameters import CodingStyle, Progression
from codec.decoding.packet_header_reader import (
    CODE_BLOCK,
    ENDED,
    IMPOSSIBLE,
    LAST_BYTE,
    LENGTH,
    NEXT,
    OFFSET,
    PIECE_COLUMNS,
    POSITION,
    TOO_MANY,
    read_packet_header,
)  # fmt: skip
from codec.decoding.packet_markers import skip_sop, starts_with
from codec.decoding.packet_results import (
    BAD_HEADER,
    BAD_SOP,
    BODY,
    COMPLETE,
    END,
    ENDED_BETWEEN,
    ENDED_WITHIN,
    HEADER,
    NO_EPH,
    PACKETS,
    PACKETS_LEFT,
    PIECES,
    Contributions,
    PacketCount,
    count_packets,
)  # fmt: skip
from codec.decoding.packet_state import Options, new_header_state, new_state
from codec.decoding.progression import packet_order
from codec.decoding.tile_layout import BAND_ROWS, FIRST_BAND_ROW, RESOLUTION, TileLayout
from codec.errors import LimitError
from codec.jit import kernel
from codec.markers import EPH, EPH_BYTES

INITIAL_PIECES = 1024


def read_packets(
    body: bytes | memoryview,
    packed_headers: bytes | None,
    layout: TileLayout,
    progressions: tuple[Progression, ...],
    style: CodingStyle,
    block_style: int,
    *,
    resolutions: int,
    layers: int,
    max_pieces: int,
    part_starts: Sequence[int] = (0,),
) -> tuple[Contributions, PacketCount]:
    """Read a tile's packets.

    Parameters
    ----------
    body : bytes or memoryview
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
    part_starts : sequence of int
        Where in `body` the tile-parts begin.

    Raises
    ------
    LimitError
        There are more than that.
    """
    data = np.frombuffer(body, dtype=np.uint8)
    packed = packed_headers is not None
    header_data = data if packed_headers is None else np.frombuffer(packed_headers, dtype=np.uint8)
    headers, truncated = new_header_state(header_data, layout, block_style, max_pieces)
    precincts = len(layout.precincts)
    if resolutions < layout.resolutions:
        precincts = int(np.count_nonzero(layout.precincts[:, RESOLUTION] < resolutions))
    needed = precincts * min(layers, style.layers)
    state = new_state(data, layout, truncated, needed, part_starts)
    options = Options(packed, style.may_have_sop, style.has_eph, resolutions, layers)
    # Room for a piece of each code-block. What is not written to takes no memory.
    pieces = np.empty((max(INITIAL_PIECES, min(layout.blocks, len(body))), PIECE_COLUMNS), dtype=np.int64)
    for progression in progressions:
        end_layer = min(progression.end_layer, style.layers)
        order, group_ends = packet_order(layout, progression, state.next_layers, end_layer)
        pieces, continues = _read_progression(
            order, group_ends, end_layer, layout.precincts, layout.precinct_bands, options, headers, state, pieces
        )
        if state.counters[PIECES] == TOO_MANY:
            raise LimitError(
                f"a tile of more than {max_pieces} pieces of codeword segments, as the limit allows; raise max_pixels"
            )
        if not continues:
            break
    found = Contributions(data, pieces[: state.counters[PIECES]], state.first, headers.zero_planes, state.truncated)
    return found, count_packets(body, packed_headers, state.counters, needed, len(layout.precincts) * style.layers)


@kernel
def _take_body(start, count, needed, state, pieces):
    """Set the positions of the pieces from PIECES to `count` in the packet body that begins at `start`.

    The `needed` ones are kept and linked to their blocks. Returns whether the data ended within the body.
    """
    data, position, kept = state.data, start, state.counters[PIECES]
    ended = False
    for k in range(kept, count):
        length = pieces[k, LENGTH]
        available = min(length, data.size - position)
        if needed and (available == length or available > 0):
            block = pieces[k, CODE_BLOCK]
            for column in range(PIECE_COLUMNS):
                pieces[kept, column] = pieces[k, column]
            pieces[kept, OFFSET] = position
            pieces[kept, LENGTH] = available
            state.truncated[block] = available < length
            if state.first[block] < 0:
                state.first[block] = kept
            else:
                pieces[state.last[block], NEXT] = kept
            state.last[block] = kept
            kept += 1
        position += available
        if available < length:
            ended = True
            break
    state.counters[BODY], state.counters[PIECES] = position, kept
    return ended


@kernel
def _read_header(layer, band_rows, options, headers, state, pieces):
    """Read the header of the next packet, with SOP before and EPH after it.

    Returns the pieces and their count with those of this packet, which is negative where the reading ends.
    """
    counters, bits = state.counters, headers.bits
    start = counters[BODY]
    if options.may_have_sop and not skip_sop(state.data, counters, state.part_starts):
        counters[END] = BAD_SOP
        return pieces, np.int64(-1)
    bits[:] = 0
    bits[POSITION] = counters[HEADER] if options.packed else counters[BODY]
    if bits[POSITION] >= headers.headers.size:
        counters[END] = ENDED_BETWEEN if counters[BODY] == start else ENDED_WITHIN
        return pieces, np.int64(-1)
    pieces, count = read_packet_header(headers, layer, band_rows, pieces, counters[PIECES])
    if count == TOO_MANY:
        counters[PIECES] = TOO_MANY
    if bits[LAST_BYTE] == 0xFF and not bits[ENDED]:
        bits[POSITION] += 1  # the stuffed bit's byte (B.10.1)
    if bits[ENDED] == IMPOSSIBLE or (count < 0 and not bits[ENDED]):
        counters[END] = BAD_HEADER
    elif bits[ENDED] or bits[POSITION] + EPH_BYTES * options.has_eph > headers.headers.size:
        counters[END] = ENDED_WITHIN
    elif options.has_eph and not starts_with(headers.headers, bits[POSITION], EPH):
        counters[END] = NO_EPH
    if counters[END] != COMPLETE:
        return pieces, np.int64(-1)
    counters[HEADER] = bits[POSITION] + EPH_BYTES * options.has_eph
    return pieces, count


@kernel
def _read_progression(order, group_ends, end_layer, precincts, precinct_bands, options, headers, state, pieces):
    """Read the packets of one progression that earlier ones have left; returns the pieces and whether to continue."""
    group_start = 0
    for group_end in group_ends:
        layer = end_layer
        for k in range(group_start, group_end):
            layer = min(layer, np.int64(state.next_layers[order[k]]))
        while layer < end_layer:
            for k in range(group_start, group_end):
                precinct = order[k]
                if state.next_layers[precinct] != layer:
                    continue
                if state.counters[PACKETS_LEFT] == 0:
                    return pieces, False
                state.next_layers[precinct] += 1
                rows = precincts[precinct, FIRST_BAND_ROW]
                band_rows = precinct_bands[rows : rows + precincts[precinct, BAND_ROWS]]
                pieces, count = _read_header(layer, band_rows, options, headers, state, pieces)
                if count < 0:
                    return pieces, False
                start = state.counters[BODY] if options.packed else min(state.counters[HEADER], state.data.size)
                needed = precincts[precinct, RESOLUTION] < options.resolutions and layer < options.layers
                if _take_body(start, count, needed, state, pieces):
                    state.counters[END] = ENDED_WITHIN
                    return pieces, False
                state.counters[PACKETS_LEFT] -= needed
                state.counters[PACKETS] += 1
            layer += 1
        group_start = group_end
    return pieces, True
