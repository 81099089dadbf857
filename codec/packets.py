"""Packets (T.800 Annex B.9, B.10): which code-blocks one carries, tag trees, and the writing of packet headers."""

import numpy as np

from codec.jit import kernel
from codec.quantizer import BLOCK

# The largest precincts (A.6.1, Table A.21) are used: 2^15 × 2^15 samples of a resolution level.
LOG2_PRECINCT = 15
MOST_BANDS = 3
FEWEST_LENGTH_BITS = 3  # initial Lblock, B.10.7.1


def packet_blocks(shapes: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide subbands into the code-blocks of packets, for one layer and progression by resolution.

    Parameters
    ----------
    shapes : list of (int, int)
        Rows and columns of the subbands in the order of the codestream.

    Returns
    -------
    packets : numpy.ndarray
        int64 [packets, 3, 3]: for each subband of each packet the index of its first code-block, and the rows and
        columns of its grid of blocks (0 where there is none).
    subband, area : numpy.ndarray
        int32 [n] and [n, 4]: subband of each block; its first row, first column, rows and columns there.
    """
    packets: list[np.ndarray] = []
    subband: list[np.ndarray] = []
    area: list[np.ndarray] = []
    count = 0
    for first in [0, *range(1, len(shapes), MOST_BANDS)]:
        members = range(first, first + (1 if first == 0 else MOST_BANDS))
        precinct = 1 << (LOG2_PRECINCT - (first > 0))
        rows = max(shapes[band][0] for band in members)
        columns = max(shapes[band][1] for band in members)
        for top in range(0, rows, precinct):
            for left in range(0, columns, precinct):
                packet = np.zeros((MOST_BANDS, 3), np.int64)
                for position, band in enumerate(members):
                    bottom = min(top + precinct, shapes[band][0])
                    right = min(left + precinct, shapes[band][1])
                    y, x = np.arange(top, bottom, BLOCK), np.arange(left, right, BLOCK)
                    if y.size * x.size > 0:
                        packet[position] = count, y.size, x.size
                    blocks = np.empty((y.size, x.size, 4), np.int32)
                    blocks[..., 0], blocks[..., 1] = y[:, None], x
                    blocks[..., 2] = np.minimum(BLOCK, bottom - y)[:, None]
                    blocks[..., 3] = np.minimum(BLOCK, right - x)
                    count += y.size * x.size
                    area.append(blocks.reshape(-1, 4))
                    subband.append(np.full(y.size * x.size, band, np.int32))
                packets.append(packet)
    return np.array(packets), np.concatenate(subband), np.concatenate(area)


# State of a bit writer (B.10.1): position of the current byte, its bits so far, how many more it takes.
AT, BYTE, ROOM = 0, 1, 2


@kernel
def _put_bit(out, writer, bit):
    writer[ROOM] -= 1
    writer[BYTE] |= bit << writer[ROOM]
    if writer[ROOM] == 0:
        out[writer[AT]] = writer[BYTE]
        writer[ROOM] = 7 if writer[BYTE] == 0xFF else 8
        writer[AT] += 1
        writer[BYTE] = 0


@kernel
def _put_bits(out, writer, value, count):
    for position in range(count - 1, -1, -1):
        _put_bit(out, writer, (value >> position) & 1)


@kernel
def _finish_byte(out, writer):
    """Pad with zeros to a whole byte; after 0xFF a byte of its own takes the stuffed bit."""
    if writer[ROOM] != 8:
        out[writer[AT]] = writer[BYTE]
        writer[AT] += 1
    return writer[AT]


@kernel
def _build_tag_tree(leaves, rows, columns):
    """Nodes of a tag tree (B.10.2), the leaves first, each node the least of its children.

    Returns
    -------
    values, parents : numpy.ndarray
        int64 [nodes]; the root is its own parent.
    """
    nodes, height, width = 0, rows, columns
    while True:
        nodes += height * width
        if height * width == 1:
            break
        height, width = (height + 1) // 2, (width + 1) // 2
    values, parents = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    for node in range(nodes):
        values[node] = leaves[node] if node < leaves.size else 1 << 30
    first, height, width = 0, rows, columns
    while height * width > 1:
        above, above_width = first + height * width, (width + 1) // 2
        for row in range(height):
            for column in range(width):
                node = first + row * width + column
                parent = above + (row // 2) * above_width + column // 2
                parents[node] = parent
                values[parent] = min(values[parent], values[node])
        first, height, width = above, (height + 1) // 2, above_width
    parents[first] = first
    return values, parents


@kernel
def _encode_tag_tree(values, parents, lows, known, leaf, threshold, out, writer):
    """Say whether `leaf`'s value is at least `threshold`, and if not, what it is, as far as that is not known yet."""
    path = np.empty(16, np.int64)
    depth = 0
    node = leaf
    while True:
        path[depth] = node
        depth += 1
        if parents[node] == node:
            break
        node = parents[node]
    low = np.int64(0)
    for step in range(depth - 1, -1, -1):
        node = path[step]
        low = max(low, lows[node])
        while low < threshold:
            if low >= values[node]:
                if not known[node]:
                    _put_bit(out, writer, 1)
                    known[node] = True
                break
            _put_bit(out, writer, 0)
            low += 1
        lows[node] = low


@kernel
def _put_pass_count(out, writer, passes):
    """Number of coding passes (Table B.4)."""
    if passes == 1:
        _put_bit(out, writer, 0)
    elif passes == 2:
        _put_bits(out, writer, 2, 2)
    elif passes <= 5:
        _put_bits(out, writer, 12 | (passes - 3), 4)
    elif passes <= 36:
        _put_bits(out, writer, 480 | (passes - 6), 9)
    else:
        _put_bits(out, writer, 65408 | (passes - 37), 16)


@kernel
def _put_length(out, writer, passes, length):
    """Length of the one codeword segment (B.10.7.1): Lblock's increase, then the length."""
    bits = 0
    while passes >> (bits + 1) != 0:
        bits += 1
    bits += FEWEST_LENGTH_BITS
    while length >> bits != 0:
        _put_bit(out, writer, 1)
        bits += 1
    _put_bit(out, writer, 0)
    _put_bits(out, writer, length, bits)


@kernel
def write_packet_header(packet, passes, lengths, zero_planes, out, at):
    """Write the header of one packet (B.10) to ``out[at:]``; returns the position after it.

    Parameters
    ----------
    packet : numpy.ndarray
        int64 [3, 3], as of `packet_blocks`.
    passes, lengths, zero_planes : numpy.ndarray
        int32 [n] for all blocks of the image: passes carried (0: not included), bytes, missing bit-planes.
    """
    writer = np.array([at, 0, 8])
    empty = True
    for band in range(MOST_BANDS):
        first, rows, columns = packet[band]
        for block in range(first, first + rows * columns):
            empty = empty and passes[block] == 0
    if empty:
        out[at] = 0
        return at + 1
    _put_bit(out, writer, 1)
    for band in range(MOST_BANDS):
        first, rows, columns = packet[band]
        count = rows * columns
        if count == 0:
            continue
        # In the only layer a block is either included (0) or later than that (1). The zero bit-planes of a block
        # that is not included are never told, so they may be whatever costs least.
        left_out, missing = np.empty(count, np.int64), np.empty(count, np.int64)
        for leaf in range(count):
            included = passes[first + leaf] > 0
            left_out[leaf] = not included
            missing[leaf] = zero_planes[first + leaf] if included else 1 << 20
        inclusion, parents = _build_tag_tree(left_out, rows, columns)
        planes, _ = _build_tag_tree(missing, rows, columns)
        inclusion_lows, planes_lows = np.zeros(inclusion.size, np.int64), np.zeros(inclusion.size, np.int64)
        inclusion_known, planes_known = np.zeros(inclusion.size, np.bool_), np.zeros(inclusion.size, np.bool_)
        for leaf in range(count):
            block = first + leaf
            _encode_tag_tree(inclusion, parents, inclusion_lows, inclusion_known, leaf, 1, out, writer)
            if passes[block] == 0:
                continue
            _encode_tag_tree(planes, parents, planes_lows, planes_known, leaf, zero_planes[block] + 1, out, writer)
            _put_pass_count(out, writer, passes[block])
            _put_length(out, writer, passes[block], lengths[block])
    return _finish_byte(out, writer)
