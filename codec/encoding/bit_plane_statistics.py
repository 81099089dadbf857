"""Statistics of a code-block's bit-planes, and the distortion-length slope that they predict before anything is coded.

The number of coefficients that become significant in a bit-plane, and their magnitudes, give the distortion that the
plane removes. Its length is estimated as the entropy of independent positions, and a little less, because the contexts
of Annex D know more.
"""

from typing import NamedTuple

import numpy as np

from codec.encoding.quantizer import MAGNITUDE_MASK, MAGNITUDE_SHIFT
from codec.jit import kernel

# Least bytes that block coding needs for each estimated byte. It needs fewer where coefficients are clustered, as on an
# edge. The measure is the share of cells that hold new coefficients, over the share for as many independent ones: from
# `SCATTERED` on the efficiency is `EFFICIENCY`, up to `CLUSTERED` it is `CLUSTERED_EFFICIENCY`.
EFFICIENCY = 0.9
CLUSTERED_EFFICIENCY = 0.1
CLUSTERED, SCATTERED = 0.45, 0.8
MIN_CLUSTERED = 4
CELL_ROWS, CELL_COLUMNS = 4, 16
PLANES_AHEAD = 3
# Squared error that a coefficient of magnitude v u removes when it becomes significant at u, in u²: 3 v - 2.25, for 1.3
# as the mean of v.
GAIN_OF_NEW = 1.65


class BitPlaneStatistics(NamedTuple):
    """Statistics of a block's bit-planes, by plane.

    Attributes
    ----------
    new : numpy.ndarray
        int64: how many coefficients become significant in the plane.
    efficiency : numpy.ndarray
        float64: least bytes that block coding needs for each estimated byte.
    """

    new: np.ndarray
    efficiency: np.ndarray


@kernel
def _new_at(word, bit):
    """1 where the highest bit of a word's magnitude is this one."""
    return np.int32((word & np.int32(MAGNITUDE_MASK)) >> bit == 1)


@kernel
def _measure_bit_plane(band, place, bit, counts):
    """How many coefficients become significant in a bit-plane, and how many cells hold any.

    Four rows are read side by side: one after another takes four times as long, as each waits for memory.
    """
    first, left, rows, columns = place
    new, cells = 0, 0
    for top in range(first, first + rows, CELL_ROWS):
        if top + CELL_ROWS <= first + rows:
            a, b = band[top, left : left + columns], band[top + 1, left : left + columns]
            c, d = band[top + 2, left : left + columns], band[top + 3, left : left + columns]
            for column in range(a.size):
                upper = _new_at(a[column], bit) + _new_at(b[column], bit)
                counts[column] = upper + _new_at(c[column], bit) + _new_at(d[column], bit)
        else:
            counts[:columns] = 0
            for row in range(top, first + rows):
                line = band[row, left : left + columns]
                for column in range(line.size):
                    counts[column] += _new_at(line[column], bit)
        for cell in range(0, columns, CELL_COLUMNS):
            here = 0
            for column in range(cell, min(cell + CELL_COLUMNS, columns)):
                here += counts[column]
            new += here
            cells += here > 0
    return new, cells


@kernel
def measure_bit_planes(band, place, planes, lowest_plane, statistics):
    """Fill in `statistics` for a block's bit-planes down to `lowest_plane`.

    `place` is its first row, first column, rows and columns in `band`, int32 [rows, columns].
    """
    _, _, rows, columns = place
    counts = np.empty(columns, np.int32)
    all_cells = -(-rows // CELL_ROWS) * -(-columns // CELL_COLUMNS)
    for plane in range(planes):
        statistics.new[plane], statistics.efficiency[plane] = 0, EFFICIENCY
        if plane < lowest_plane:
            continue
        new, cells = _measure_bit_plane(band, place, np.int32(plane + MAGNITUDE_SHIFT), counts)
        statistics.new[plane] = new
        if new >= MIN_CLUSTERED:
            scatter = cells / (all_cells * (1 - np.exp(-new / all_cells)))
            share = min(max((scatter - CLUSTERED) / (SCATTERED - CLUSTERED), 0.0), 1.0)
            statistics.efficiency[plane] = CLUSTERED_EFFICIENCY + (EFFICIENCY - CLUSTERED_EFFICIENCY) * share


@kernel
def _position_bits(count, ones):
    """Entropy in bits of the positions of `ones` among `count`."""
    if ones <= 0 or ones >= count:
        return 0.0
    share = ones / count
    return -count * (share * np.log2(share) + (1 - share) * np.log2(1 - share))


@kernel
def predict_slope(size, plane, kind, old, coded, new_coded, observed, statistics):
    """Predicted slope: the most distortion a byte that the next passes together remove, up to whichever pass.

    Parameters
    ----------
    size : int
        Number of coefficients.
    plane, kind : int
        Of the next pass; kind 0 significance, 1 refinement, 2 cleanup.
    old : int
        Coefficients significant before this bit-plane.
    coded, new_coded : int
        Coefficients that this plane's significance pass coded, and those of them that became significant.
    observed : float
        Efficiency in the last bit-plane, as from `observed_efficiency`.
    statistics : BitPlaneStatistics
    """
    steepest, gain, needed = 0.0, 0.0, 1e-9
    for ahead in range(plane, max(plane - PLANES_AHEAD, -1), -1):
        unit = float(np.int64(1) << (ahead + MAGNITUDE_SHIFT - 1))
        new = statistics.new[ahead]
        new_gain = GAIN_OF_NEW * unit * unit * new
        new_bits, old_gain, old_bytes = (
            _position_bits(size - old, new) + new,
            0.25 * unit * unit * old,
            observed * old / 8,
        )
        if ahead == plane and kind > 0:
            left = new - new_coded
            new_gain *= left / max(new, 1)
            new_bits = _position_bits(size - old - coded, left) + left
            if kind == 1 and old > 0:
                steepest = old_gain / old_bytes
        # Most new coefficients come with the significance pass, before the refinement pass.
        gain, needed = gain + new_gain, needed + min(observed, statistics.efficiency[ahead]) * new_bits / 8
        steepest = max(steepest, gain / needed)
        if ahead < plane or kind < 2:
            gain, needed = gain + old_gain, needed + old_bytes
            steepest = max(steepest, gain / needed)
        old += new
    return steepest


@kernel
def observed_efficiency(size, old, new, coded_bytes):
    """Efficiency of the last bit-plane, which took `coded_bytes`."""
    bits = _position_bits(size - old, new) + new + old
    return EFFICIENCY * min(1.0, 8 * coded_bytes / bits) if bits > 0 else EFFICIENCY
