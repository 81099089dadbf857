"""Tag trees (T.800 B.10.2): where their nodes stand in arrays, as the writer and the reader of packet headers see them.

The nodes of a tree over a grid of code-blocks follow each other level by level, the leaves first, each level in raster
order. What is signalled of a node's value is one integer: ``lower bound << 1``, and bit 0 where the value is known to
be just that.
"""

from codec.jit import kernel

MAX_DEPTH = 34  # of a tree over any grid of code-blocks that a tile can have


@kernel
def count_nodes(rows, columns):
    """Nodes of the tree over a grid of `rows` × `columns` leaves."""
    nodes = rows * columns
    while rows * columns > 1:
        rows, columns = (rows + 1) >> 1, (columns + 1) >> 1
        nodes += rows * columns
    return nodes


@kernel
def path_to_root(rows, columns, row, column, path):
    """Write the nodes from a leaf up to the root into `path`; returns how many these are."""
    first, depth = 0, 0
    while True:
        path[depth] = first + row * columns + column
        depth += 1
        if rows * columns == 1:
            return depth
        first += rows * columns
        rows, columns, row, column = (rows + 1) >> 1, (columns + 1) >> 1, row >> 1, column >> 1
