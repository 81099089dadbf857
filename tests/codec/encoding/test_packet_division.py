import numpy as np
import pytest

from codec.encoding.packet_division import packet_blocks
from codec.subbands import subband_shapes


@pytest.mark.parametrize(("rows", "columns", "levels"), [(1, 1, 0), (1, 1, 3), (200, 70, 2), (129, 500, 5)])
def test_blocks_tile_every_subband_once(rows, columns, levels):
    shapes = subband_shapes(rows, columns, levels)
    grids, subband, area = packet_blocks(shapes)
    assert len(grids) == levels + 1
    for index, shape in enumerate(shapes):
        covered = np.zeros(shape, int)
        for top, left, height, width in area[subband == index]:
            assert height > 0
            assert width > 0
            covered[top : top + height, left : left + width] += 1
        assert np.all(covered == 1)
    counted = [n for packet in grids for first, height, width in packet for n in range(first, first + height * width)]
    assert counted == list(range(len(area)))


def test_long_images_have_several_precincts():
    grids, subband, area = packet_blocks(subband_shapes(3, 70_000, 1))
    # Resolution 0 is 35000 samples wide and resolution 1 70000, in precincts of 32768.
    assert len(grids) == 2 + 3
    assert area[subband == 0][:, 3].sum() == 35_000
