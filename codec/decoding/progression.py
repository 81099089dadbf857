"""The order in which a tile's packets follow each other (T.800 B.12)."""

import numpy as np

from codec.decoding.coding_parameters import Progression
from codec.decoding.tile_layout import POSITION_X, POSITION_Y, RESOLUTION, TileLayout
from codec.jit import kernel


def packet_order(
    layout: TileLayout, progression: Progression, next_layers: np.ndarray, end_layer: int
) -> tuple[np.ndarray, np.ndarray]:
    """Precincts in the order of a progression, in groups within which the layer is the outer loop.

    With one component all five orders have this form: LRCP is one group, RLCP one group a resolution, and the orders
    by position have one group a precinct.

    Parameters
    ----------
    layout : TileLayout
        The tile's precincts.
    progression : Progression
        Order and resolutions.
    next_layers : numpy.ndarray
        int32 [precincts]: the layer of each precinct's next packet, as earlier progressions have left it.
    end_layer : int
        Precincts whose next layer is not below it have no packets in this progression.

    Returns
    -------
    order : numpy.ndarray
        int64: rows of `layout.precincts`.
    group_ends : numpy.ndarray
        int64: where in `order` each group ends.
    """
    first, end = progression.first_resolution, progression.end_resolution
    order, group_ends = _in_raster_order(layout.precincts, first, end, next_layers, end_layer)
    if progression.order in ("PCRL", "CPRL"):
        rows = layout.precincts[order]
        order = order[np.lexsort((rows[:, RESOLUTION], rows[:, POSITION_X], rows[:, POSITION_Y]))]
    if progression.order == "LRCP":
        group_ends = group_ends[-1:]
    elif progression.order != "RLCP":
        group_ends = np.arange(1, len(order) + 1)
    return order, group_ends


@kernel
def _in_raster_order(precincts, first_resolution, end_resolution, next_layers, end_layer):
    """Rows of precincts with packets left, resolution by resolution, and where each resolution's rows end."""
    order = np.empty(precincts.shape[0], np.int64)
    group_ends = np.zeros(precincts[-1, RESOLUTION] + 1 if precincts.shape[0] else 1, np.int64)
    count = 0
    for row in range(precincts.shape[0]):
        resolution = precincts[row, RESOLUTION]
        if first_resolution <= resolution < end_resolution and next_layers[row] < end_layer:
            order[count] = row
            count += 1
        group_ends[resolution] = count
    for resolution in range(1, group_ends.size):  # some may have no precinct
        group_ends[resolution] = max(group_ends[resolution], group_ends[resolution - 1])
    return order[:count], group_ends
