"""Reading the header of one packet: bits with their stuffing, tag trees, passes and lengths (T.800 B.10).

Every count comes from the stream; an impossible value ends the reading.
"""

from typing import NamedTuple

import numpy as np

from codec.decoding.coding_parameters import BYPASS, TERMINATE_EACH_PASS
from codec.decoding.tile_layout import FIRST_BLOCK, FIRST_NODE, GRID_HEIGHT, GRID_WIDTH
from codec.jit import kernel
from codec.tag_trees import path_to_root

# Columns of Contributions.pieces: the bytes that one packet holds of one codeword segment.
CODE_BLOCK, FIRST_PASS, PASSES, OFFSET, LENGTH, NEXT = range(6)
PIECE_COLUMNS = 6
# Slots of the bit reader's state.
POSITION, LAST_BYTE, BITS_LEFT, ENDED = range(4)
SLOTS = 4
DATA_ENDED, IMPOSSIBLE = 1, 2  # values of ENDED, else 0

MAX_PASSES = 255
MAX_PLANES = 74  # 7 guard bits + exponent 31 - 1 (equation E-2), and a region-of-interest shift of 37 (Table A.25)
MAX_LBLOCK = 32
TOO_MANY = -2


class HeaderState(NamedTuple):
    """Everything that reading packet headers needs and changes, beside the pieces.

    Attributes
    ----------
    headers : numpy.ndarray
        uint8: the bytes of the packet headers.
    bits : numpy.ndarray
        int64 [4]: the state of the bit reader.
    inclusion, planes : numpy.ndarray
        int32 [nodes]: the state of the tag trees' nodes, as of `codec.tag_trees`.
    path : numpy.ndarray
        int64, scratch: nodes of a tag tree.
    lblock, passes : numpy.ndarray
        uint8 [blocks]: Lblock (B.10.7.1), and the coding passes so far.
    zero_planes : numpy.ndarray
        uint8 [blocks]: missing bit-planes.
    block_style : int
        Code-block style (Table A.19), which determines where codeword segments end.
    max_pieces : int
        The largest number of pieces to store.
    """

    headers: np.ndarray
    bits: np.ndarray
    inclusion: np.ndarray
    planes: np.ndarray
    path: np.ndarray
    lblock: np.ndarray
    passes: np.ndarray
    zero_planes: np.ndarray
    block_style: int
    max_pieces: int


@kernel
def _read_bit(headers, bits):
    """Next bit of a packet header; the bit stuffed after a byte 0xFF is skipped (B.10.1)."""
    if bits[BITS_LEFT] == 0:
        bits[BITS_LEFT] = 7 if bits[LAST_BYTE] == 0xFF else 8
        if bits[POSITION] >= headers.size:
            bits[ENDED] = DATA_ENDED
            bits[LAST_BYTE] = 0
        elif bits[LAST_BYTE] == 0xFF and headers[bits[POSITION]] > 0x7F:  # the stuffed bit is 0
            bits[ENDED] = IMPOSSIBLE
            bits[LAST_BYTE] = 0
        else:
            bits[LAST_BYTE] = headers[bits[POSITION]]
            bits[POSITION] += 1
    bits[BITS_LEFT] -= 1
    return (bits[LAST_BYTE] >> bits[BITS_LEFT]) & 1


@kernel
def _read_bits(headers, bits, count):
    value = np.int64(0)
    for _ in range(count):
        value = value << 1 | _read_bit(headers, bits)
    return value


@kernel
def _tag_tree_value(headers, bits, nodes, path, depth, threshold):
    """Decode a tag tree's leaf (B.10.2) as far as to know whether its value is below `threshold`.

    Parameters
    ----------
    nodes : numpy.ndarray
        int32: what is signalled of the tree's nodes, as `codec.tag_trees` says; updated.
    path, depth
        As from `path_to_root`.

    Returns
    -------
    int
        The leaf's value, or `threshold` where the value is not less.
    """
    low = np.int64(0)
    known = False
    for k in range(depth - 1, -1, -1):
        node = path[k]
        low = max(low, np.int64(nodes[node] >> 1))
        known = (nodes[node] & 1) == 1
        while not known and low < threshold and bits[ENDED] == 0:
            known = _read_bit(headers, bits) == 1
            if not known:
                low += 1
        nodes[node] = low << 1 | known
    return low if known else np.int64(threshold)


@kernel
def _read_pass_count(headers, bits):
    """Number of coding passes that a packet adds to a code-block (Table B.4)."""
    if _read_bit(headers, bits) == 0:
        return np.int64(1)
    if _read_bit(headers, bits) == 0:
        return np.int64(2)
    count = _read_bits(headers, bits, 2)
    if count < 3:
        return 3 + count
    count = _read_bits(headers, bits, 5)
    if count < 31:
        return 6 + count
    return 37 + _read_bits(headers, bits, 7)


@kernel
def passes_to_segment_end(index, block_style):
    """Number of passes of the codeword segment from pass `index` on (Table D.9)."""
    if block_style & TERMINATE_EACH_PASS:
        return 1
    if not block_style & BYPASS:
        return MAX_PASSES + 1
    if index < 10:
        return 10 - index
    return 2 if (index - 10) % 3 == 0 else 1


@kernel
def _read_block_header(state, block, pieces, count):
    """Number of passes and lengths of one included code-block (B.10.6, B.10.7).

    Returns the pieces (a larger copy where necessary) and their count, which is -1 where the header is impossible and
    `TOO_MANY` where there are more pieces than allowed.
    """
    headers, bits, lblock = state.headers, state.bits, state.lblock
    passes = _read_pass_count(headers, bits)
    while _read_bit(headers, bits) == 1:
        lblock[block] += 1
        if lblock[block] > MAX_LBLOCK:
            return pieces, np.int64(-1)
    index = np.int64(state.passes[block])
    if index + passes > MAX_PASSES:
        return pieces, np.int64(-1)
    state.passes[block] += passes
    while passes > 0:
        segment_passes = min(passes, passes_to_segment_end(index, state.block_style))
        extra = 0
        while segment_passes >> (extra + 1):
            extra += 1
        length = _read_bits(headers, bits, lblock[block] + extra)
        if bits[ENDED]:
            return pieces, np.int64(-1)
        if count == state.max_pieces:
            return pieces, np.int64(TOO_MANY)
        if count == pieces.shape[0]:
            pieces = _twice_as_large(pieces)
        pieces[count, CODE_BLOCK] = block
        pieces[count, FIRST_PASS] = index
        pieces[count, PASSES] = segment_passes
        pieces[count, LENGTH] = length
        pieces[count, NEXT] = -1
        count += 1
        index += segment_passes
        passes -= segment_passes
    return pieces, count


@kernel
def _twice_as_large(pieces):
    """Copy the pieces to an array with room for as many more."""
    larger = np.empty((2 * pieces.shape[0], PIECE_COLUMNS), dtype=np.int64)
    for k in range(pieces.shape[0]):
        for column in range(PIECE_COLUMNS):
            larger[k, column] = pieces[k, column]
    return larger


@kernel
def read_packet_header(state, layer, band_rows, pieces, count):
    """Read one packet header (B.10) from its first bit on; returns as `_read_block_header` does."""
    headers, bits, path = state.headers, state.bits, state.path
    if _read_bit(headers, bits) == 0:
        return pieces, count
    for row in range(band_rows.shape[0]):
        width, height = band_rows[row, GRID_WIDTH], band_rows[row, GRID_HEIGHT]
        inclusion = state.inclusion[band_rows[row, FIRST_NODE] :]
        planes = state.planes[band_rows[row, FIRST_NODE] :]
        for k in range(width * height):
            block = band_rows[row, FIRST_BLOCK] + k
            if state.passes[block] > 0:
                included = _read_bit(headers, bits) == 1
            else:
                depth = path_to_root(height, width, k // width, k % width, path)
                included = _tag_tree_value(headers, bits, inclusion, path, depth, layer + 1) <= layer
                if included:
                    missing = _tag_tree_value(headers, bits, planes, path, depth, MAX_PLANES + 1)
                    if missing > MAX_PLANES:
                        return pieces, np.int64(-1)
                    state.zero_planes[block] = missing
            if bits[ENDED]:
                return pieces, np.int64(-1)
            if included:
                pieces, count = _read_block_header(state, block, pieces, count)
                if count < 0:
                    return pieces, count
    return pieces, count
