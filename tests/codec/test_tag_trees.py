"""Places of tag trees' nodes, counted level by level."""

import numpy as np
import pytest

from codec.tag_trees import MAX_DEPTH, count_nodes, path_to_root


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 7), (6, 1), (5, 9), (16, 16)])
def test_every_path_goes_from_its_leaf_over_its_parents_to_the_root(rows, columns):
    sizes = [(rows, columns)]
    while sizes[-1] != (1, 1):
        sizes.append(tuple((size + 1) // 2 for size in sizes[-1]))
    starts = np.cumsum([0, *(height * width for height, width in sizes)])
    assert count_nodes(rows, columns) == starts[-1]
    path = np.zeros(MAX_DEPTH, np.int64)
    for row, column in np.ndindex(rows, columns):
        depth = path_to_root(rows, columns, row, column, path)
        expected = [
            start + (row >> k) * width + (column >> k) for k, (start, (_, width)) in enumerate(zip(starts, sizes))
        ]
        assert path[:depth].tolist() == expected
