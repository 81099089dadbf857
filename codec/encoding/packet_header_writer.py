"""Writing packet headers (T.800 Annex B.10): tag trees, inclusion, passes and lengths, over any number of layers.

A header signals only what the headers of earlier layers did not: `SignalledState` holds that. A header can be written
any number of times to measure its length before the state is updated.
"""

from typing import NamedTuple

import numpy as np

from codec.jit import kernel
from codec.packets import INITIAL_LBLOCK, MAX_SUBBANDS
from codec.tag_trees import MAX_DEPTH, count_nodes, path_to_root

# A tag tree's value above all that headers signal: of code-blocks that are not included, or never will be.
NEVER = 1 << 20


class SignalledState(NamedTuple):
    """What the headers of earlier layers have signalled.

    Attributes
    ----------
    packets : numpy.ndarray
        int64 [packets, 3, 3], as of `codec.encoding.packet_division.packet_blocks`.
    may_follow : numpy.ndarray
        bool [n]: code-blocks that a later layer may include.
    passes, lengths, lblock : numpy.ndarray
        int32 [n]: passes and bytes of every code-block so far, and Lblock (B.10.7.1).
    first_node : numpy.ndarray
        int64 [packets, 3]: where the nodes of each grid's tag trees start.
    inclusion, planes : numpy.ndarray
        int32 [nodes]: the state of the tag trees' nodes, as of `codec.tag_trees`.
    """

    packets: np.ndarray
    may_follow: np.ndarray
    passes: np.ndarray
    lengths: np.ndarray
    lblock: np.ndarray
    first_node: np.ndarray
    inclusion: np.ndarray
    planes: np.ndarray


def nothing_signalled(packets: np.ndarray, blocks: int, may_follow: np.ndarray | None = None) -> SignalledState:
    """The state before the first layer; without `may_follow` that is the only layer."""
    grids = packets[:, :, 1:].reshape(-1, 2)
    nodes = np.array([count_nodes(rows, columns) for rows, columns in grids])
    total = int(nodes.sum())
    return SignalledState(
        packets=packets,
        may_follow=np.zeros(blocks, np.bool_) if may_follow is None else may_follow,
        passes=np.zeros(blocks, np.int32),
        lengths=np.zeros(blocks, np.int32),
        lblock=np.full(blocks, INITIAL_LBLOCK, np.int32),
        first_node=(np.cumsum(nodes) - nodes).reshape(packets.shape[:2]),
        inclusion=np.zeros(total, np.int32),
        planes=np.zeros(total, np.int32),
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
    """Pad with zeros to a whole byte; after 0xFF another byte holds the stuffed bit."""
    if writer[ROOM] != 8:
        out[writer[AT]] = writer[BYTE]
        writer[AT] += 1
    return writer[AT]


@kernel
def _node_values(leaves, rows, columns):
    """Values of a tag tree's nodes (B.10.2): each is the least of its children's."""
    values = np.empty(count_nodes(rows, columns), np.int64)
    values[: leaves.size] = leaves
    first, below = 0, leaves.size
    while rows * columns > 1:
        above, above_columns = first + below, (columns + 1) >> 1
        values[above : above + ((rows + 1) >> 1) * above_columns] = NEVER
        for row in range(rows):
            for column in range(columns):
                parent = above + (row >> 1) * above_columns + (column >> 1)
                values[parent] = min(values[parent], values[first + row * columns + column])
        rows, columns = (rows + 1) >> 1, above_columns
        first, below = above, rows * columns
    return values


@kernel
def _encode_tag_tree(values, nodes, path, depth, threshold, out, writer):
    """Signal whether a leaf's value is at least `threshold`, and if not, which it is, as far as that is not known yet.

    `nodes` is what is signalled of the tree's nodes, as `codec.tag_trees` says; `path`, `depth` as from `path_to_root`.
    """
    low = np.int64(0)
    for step in range(depth - 1, -1, -1):
        node = path[step]
        low = max(low, np.int64(nodes[node] >> 1))
        known = (nodes[node] & 1) == 1
        while low < threshold and not known:
            known = low >= values[node]
            _put_bit(out, writer, np.int64(known))
            if not known:
                low += 1
        nodes[node] = low << 1 | known


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
def _put_length(out, writer, passes, length, lblock, extra):
    """Length of the one codeword segment (B.10.7.1): Lblock's increase, then the length; returns Lblock.

    The increase is `extra` larger than the length needs.
    """
    log2_passes = 0
    while passes >> (log2_passes + 1) != 0:
        log2_passes += 1
    while length >> (lblock + log2_passes) != 0:
        _put_bit(out, writer, 1)
        lblock += 1
    for _ in range(extra):
        _put_bit(out, writer, 1)
    lblock += extra
    _put_bit(out, writer, 0)
    _put_bits(out, writer, length, lblock + log2_passes)
    return lblock


@kernel
def _is_empty(signalled, packet, passes):
    for band in range(MAX_SUBBANDS):
        first, rows, columns = signalled.packets[packet, band]
        for block in range(first, first + rows * columns):
            if passes[block] > signalled.passes[block]:
                return False
    return True


@kernel
def _leaves(signalled, layer, first, count, passes, zero_planes):
    """Leaves of the two tag trees of one grid: the layer of first inclusion, and the missing bit-planes.

    Code-blocks of earlier layers have the value 0, as their nodes are known. The bit-planes of a code-block that is
    never included are never signalled, so they take the value that costs least.
    """
    inclusion, planes = np.empty(count, np.int64), np.empty(count, np.int64)
    for n in range(count):
        block = first + n
        inclusion[n] = NEVER if passes[block] == 0 else (layer if signalled.passes[block] == 0 else 0)
        planes[n] = zero_planes[block] if passes[block] > 0 or signalled.may_follow[block] else NEVER
    return inclusion, planes


@kernel
def _write_grid(signalled, layer, packet, band, passes, lengths, zero_planes, extra_lblock, out, writer, commit):
    first, rows, columns = signalled.packets[packet, band]
    start, count = signalled.first_node[packet, band], rows * columns
    inclusion, planes = _leaves(signalled, layer, first, count, passes, zero_planes)
    inclusion, planes = _node_values(inclusion, rows, columns), _node_values(planes, rows, columns)
    inclusion_nodes = signalled.inclusion[start : start + inclusion.size]
    planes_nodes = signalled.planes[start : start + planes.size]
    if not commit:
        inclusion_nodes, planes_nodes = inclusion_nodes.copy(), planes_nodes.copy()
    path = np.empty(MAX_DEPTH, np.int64)
    for leaf in range(count):
        block = first + leaf
        more = passes[block] - signalled.passes[block]
        if signalled.passes[block] > 0:
            _put_bit(out, writer, np.int64(more > 0))
        else:
            depth = path_to_root(rows, columns, leaf // columns, leaf % columns, path)
            _encode_tag_tree(inclusion, inclusion_nodes, path, depth, layer + 1, out, writer)
            if more > 0:
                _encode_tag_tree(planes, planes_nodes, path, depth, zero_planes[block] + 1, out, writer)
        if more > 0:
            length = lengths[block] - signalled.lengths[block]
            _put_pass_count(out, writer, more)
            lblock = _put_length(out, writer, more, length, signalled.lblock[block], extra_lblock[block])
            if commit:
                signalled.passes[block], signalled.lengths[block] = passes[block], lengths[block]
                signalled.lblock[block] = lblock


@kernel
def write_packet_header(signalled, layer, packet, passes, lengths, zero_planes, extra_lblock, out, at, commit):
    """Write the header of one packet to ``out[at:]``; returns the position after it.

    Parameters
    ----------
    signalled : SignalledState
    layer, packet : int
        Index of the layer, and row of ``signalled.packets``.
    passes, lengths, zero_planes : numpy.ndarray
        int32 [n] for all code-blocks of the image: passes and bytes in all layers so far, missing bit-planes.
    extra_lblock : numpy.ndarray
        int32 [n]: increases of Lblock beyond need.
    commit : bool
        Whether `signalled` is updated; otherwise the header is only measured.
    """
    if _is_empty(signalled, packet, passes):
        out[at] = 0
        return at + 1
    writer = np.array([at, 0, 8])
    _put_bit(out, writer, 1)
    for band in range(MAX_SUBBANDS):
        if signalled.packets[packet, band, 1] * signalled.packets[packet, band, 2] > 0:
            _write_grid(signalled, layer, packet, band, passes, lengths, zero_planes, extra_lblock, out, writer, commit)
    return _finish_byte(out, writer)
