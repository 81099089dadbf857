"""Writing packet headers (T.800 Annex B.10): tag trees, inclusion, passes and lengths, over any number of layers.

A header tells only what earlier layers' headers did not. `Told` holds that; a header can be written any number of
times, to find out how long it would be, before it is told for good.
"""

from typing import NamedTuple

import numpy as np

from codec.jit import kernel

MOST_BANDS = 3
FEWEST_LENGTH_BITS = 3  # initial Lblock, B.10.7.1
# A tag tree's value that no header comes to: of blocks that are not included, or never will be.
NEVER = 1 << 20


class Told(NamedTuple):
    """What the headers of earlier layers told.

    Attributes
    ----------
    packets : numpy.ndarray
        int64 [packets, 3, 3], as of `codec.encoding.packet_division.packet_blocks`.
    may_follow : numpy.ndarray
        bool [n]: blocks that a later layer may include.
    passes, lengths, length_bits : numpy.ndarray
        int32 [n]: passes and bytes of every block so far, and Lblock.
    first_node : numpy.ndarray
        int64 [packets, 3]: where the nodes of each grid's tag trees begin.
    inclusion_lows, planes_lows : numpy.ndarray
        int32 [nodes]: what is known to be the least that a node's value can be.
    inclusion_known, planes_known : numpy.ndarray
        bool [nodes]: the value is just that.
    """

    packets: np.ndarray
    may_follow: np.ndarray
    passes: np.ndarray
    lengths: np.ndarray
    length_bits: np.ndarray
    first_node: np.ndarray
    inclusion_lows: np.ndarray
    inclusion_known: np.ndarray
    planes_lows: np.ndarray
    planes_known: np.ndarray


def nothing_told(packets: np.ndarray, blocks: int, may_follow: np.ndarray | None = None) -> Told:
    """Before the first layer; without `may_follow` it is the only one."""
    grids = packets[:, :, 1:].reshape(-1, 2)
    nodes = np.array([_count_nodes(rows, columns) for rows, columns in grids])
    total = int(nodes.sum())
    return Told(
        packets=packets,
        may_follow=np.zeros(blocks, np.bool_) if may_follow is None else may_follow,
        passes=np.zeros(blocks, np.int32),
        lengths=np.zeros(blocks, np.int32),
        length_bits=np.full(blocks, FEWEST_LENGTH_BITS, np.int32),
        first_node=(np.cumsum(nodes) - nodes).reshape(packets.shape[:2]),
        inclusion_lows=np.zeros(total, np.int32),
        inclusion_known=np.zeros(total, np.bool_),
        planes_lows=np.zeros(total, np.int32),
        planes_known=np.zeros(total, np.bool_),
    )


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
def _count_nodes(rows, columns):
    """Nodes of the tag tree over a grid."""
    nodes, height, width = rows * columns, rows, columns
    while height * width > 1:
        height, width = (height + 1) // 2, (width + 1) // 2
        nodes += height * width
    return nodes


@kernel
def _build_tag_tree(leaves, rows, columns):
    """Nodes of a tag tree (B.10.2), the leaves first, each node the least of its children.

    Returns
    -------
    values, parents : numpy.ndarray
        int64 [nodes]; the root is its own parent.
    """
    nodes = _count_nodes(rows, columns)
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
    low = np.int32(0)
    for step in range(depth - 1, -1, -1):
        node = path[step]
        low = max(low, lows[node])
        while low < threshold and not known[node]:
            if low >= values[node]:
                _put_bit(out, writer, 1)
                known[node] = True
                break
            _put_bit(out, writer, 0)
            low += np.int32(1)
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
def _put_length(out, writer, passes, length, length_bits, extra):
    """Length of the one codeword segment (B.10.7.1): Lblock's increase, then the length; returns Lblock.

    It is increased by `extra` more than the length needs.
    """
    log2_passes = 0
    while passes >> (log2_passes + 1) != 0:
        log2_passes += 1
    while length >> (length_bits + log2_passes) != 0:
        _put_bit(out, writer, 1)
        length_bits += 1
    for _ in range(extra):
        _put_bit(out, writer, 1)
    length_bits += extra
    _put_bit(out, writer, 0)
    _put_bits(out, writer, length, length_bits + log2_passes)
    return length_bits


@kernel
def _is_empty(told, packet, passes):
    for band in range(MOST_BANDS):
        first, rows, columns = told.packets[packet, band]
        for block in range(first, first + rows * columns):
            if passes[block] > told.passes[block]:
                return False
    return True


@kernel
def _leaves(told, layer, first, count, passes, zero_planes):
    """Leaves of the two tag trees of one grid: the layer of first inclusion, and the missing bit-planes.

    Blocks of earlier layers stand as 0, as their nodes are known. The bit-planes of a block that is never included
    are never told, so they may be whatever costs least.
    """
    inclusion, planes = np.empty(count, np.int64), np.empty(count, np.int64)
    for n in range(count):
        block = first + n
        inclusion[n] = NEVER if passes[block] == 0 else (layer if told.passes[block] == 0 else 0)
        planes[n] = zero_planes[block] if passes[block] > 0 or told.may_follow[block] else NEVER
    return inclusion, planes


@kernel
def _write_grid(told, layer, packet, band, passes, lengths, zero_planes, extra_bits, out, writer, for_good):
    first, rows, columns = told.packets[packet, band]
    start, count = told.first_node[packet, band], rows * columns
    inclusion, planes = _leaves(told, layer, first, count, passes, zero_planes)
    inclusion, parents = _build_tag_tree(inclusion, rows, columns)
    planes, _ = _build_tag_tree(planes, rows, columns)
    nodes = slice(start, start + inclusion.size)
    trees = told.inclusion_lows[nodes], told.inclusion_known[nodes], told.planes_lows[nodes], told.planes_known[nodes]
    if not for_good:
        trees = trees[0].copy(), trees[1].copy(), trees[2].copy(), trees[3].copy()
    for leaf in range(count):
        block = first + leaf
        more = passes[block] - told.passes[block]
        if told.passes[block] > 0:
            _put_bit(out, writer, np.int64(more > 0))
        else:
            _encode_tag_tree(inclusion, parents, trees[0], trees[1], leaf, layer + 1, out, writer)
            if more > 0:
                _encode_tag_tree(planes, parents, trees[2], trees[3], leaf, zero_planes[block] + 1, out, writer)
        if more > 0:
            length = lengths[block] - told.lengths[block]
            _put_pass_count(out, writer, more)
            length_bits = _put_length(out, writer, more, length, told.length_bits[block], extra_bits[block])
            if for_good:
                told.passes[block], told.lengths[block] = passes[block], lengths[block]
                told.length_bits[block] = length_bits


@kernel
def write_packet_header(told, layer, packet, passes, lengths, zero_planes, extra_bits, out, at, for_good):
    """Write the header of one packet to ``out[at:]``; returns the position after it.

    Parameters
    ----------
    told : Told
    layer, packet : int
        Index of the layer, and row of ``told.packets``.
    passes, lengths, zero_planes : numpy.ndarray
        int32 [n] for all blocks of the image: passes and bytes that all layers so far carry, missing bit-planes.
    extra_bits : numpy.ndarray
        int32 [n]: by how much Lblock grows without need.
    for_good : bool
        Whether `told` shall know it.
    """
    if _is_empty(told, packet, passes):
        out[at] = 0
        return at + 1
    writer = np.array([at, 0, 8])
    _put_bit(out, writer, 1)
    for band in range(MOST_BANDS):
        if told.packets[packet, band, 1] * told.packets[packet, band, 2] > 0:
            _write_grid(told, layer, packet, band, passes, lengths, zero_planes, extra_bits, out, writer, for_good)
    return _finish_byte(out, writer)
