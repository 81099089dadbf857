"""The order in which a tile's packets follow each other (T.800 B.12)."""

import numpy as np

from codec.decoding.coding_parameters import Progression
from codec.decoding.tile_layout import POSITION_X, POSITION_Y, RESOLUTION, TileLayout


def packet_order(layout: TileLayout, progression: Progression, pending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precincts in the order of a progression, in groups within which the layer is the outer loop.

    With one component all five orders have this form: LRCP is one group, RLCP one group a resolution, and the orders
    by position have one group a precinct.

    Parameters
    ----------
    layout : TileLayout
        The tile's precincts.
    progression : Progression
        Order and resolutions.
    pending : numpy.ndarray
        bool [precincts]: which have packets that earlier progressions have left.

    Returns
    -------
    order : numpy.ndarray
        int64: rows of `layout.precincts`.
    group_ends : numpy.ndarray
        int64: where in `order` each group ends.
    """
    resolutions = layout.precincts[:, RESOLUTION]
    wanted = (resolutions >= progression.first_resolution) & (resolutions < progression.end_resolution)
    wanted &= pending
    order = np.flatnonzero(wanted)
    if progression.order in ("PCRL", "CPRL"):
        rows = layout.precincts[order]
        order = order[np.lexsort((rows[:, RESOLUTION], rows[:, POSITION_X], rows[:, POSITION_Y]))]
    if progression.order == "LRCP":
        group_ends = np.array([len(order)])
    elif progression.order == "RLCP":
        group_ends = np.searchsorted(resolutions[order], np.arange(resolutions.max(initial=0) + 1), side="right")
    else:
        group_ends = np.arange(1, len(order) + 1)
    return order.astype(np.int64), group_ends.astype(np.int64)
