"""What the bit-planes of a code-block promise, before they are coded: squared error taken away for each byte.

How many coefficients become significant in a bit-plane, and their magnitudes, say what the plane takes away. What it
costs is estimated as if every coefficient's place were independent, and a little less, for contexts know better.
"""

from typing import NamedTuple

import numpy as np

from codec.encoding.quantizer import MAGNITUDE_MASK, MAGNITUDE_SHIFT
from codec.jit import kernel

# Bytes that block coding needs at least for each that the estimate counts. Fewer are needed where coefficients flock
# together, as on an edge: all this where they are in `SCATTERED` of the cells that as many independent ones would be
# found in, and least where they are in `FLOCKED` of them.
EFFICIENCY = 0.9
EFFICIENCY_OF_FLOCKS = 0.1
FLOCKED, SCATTERED = 0.45, 0.8
FEWEST_IN_FLOCK = 4
CELL_ROWS, CELL_COLUMNS = 4, 16
PLANES_AHEAD = 3
# Squared error that a coefficient of magnitude v u takes away when it becomes significant at u, in u²: 3 v - 2.25,
# for 1.3 as the mean of v.
GAIN_OF_NEW = 1.65


class Survey(NamedTuple):
    """What is known of the bit-planes of a block, by plane.

    Attributes
    ----------
    found : numpy.ndarray
        int64: how many coefficients become significant there.
    efficiency : numpy.ndarray
        float64: bytes that block coding needs at least for each byte that is estimated.
    """

    found: np.ndarray
    efficiency: np.ndarray


@kernel
def _new_at(word, bit):
    """1 where the highest bit of a word's magnitude is this one."""
    return np.int32((word & np.int32(MAGNITUDE_MASK)) >> bit == 1)


@kernel
def _survey_plane(band, place, bit, counts):
    """How many coefficients become significant in a bit-plane, and how many cells they are in.

    Four rows are read side by side: waiting for one after another from memory takes four times as long.
    """
    first, left, rows, columns = place
    found, cells = 0, 0
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
            found += here
            cells += here > 0
    return found, cells


@kernel
def survey_planes(band, place, planes, lowest_plane, survey):
    """Fill in `survey` for a block's bit-planes down to `lowest_plane`.

    `place` is its first row, first column, rows and columns in `band`, int32 [rows, columns].
    """
    _, _, rows, columns = place
    counts = np.empty(columns, np.int32)
    all_cells = -(-rows // CELL_ROWS) * -(-columns // CELL_COLUMNS)
    for plane in range(planes):
        survey.found[plane], survey.efficiency[plane] = 0, EFFICIENCY
        if plane < lowest_plane:
            continue
        found, cells = _survey_plane(band, place, np.int32(plane + MAGNITUDE_SHIFT), counts)
        survey.found[plane] = found
        if found >= FEWEST_IN_FLOCK:
            scatter = cells / (all_cells * (1 - np.exp(-found / all_cells)))
            share = min(max((scatter - FLOCKED) / (SCATTERED - FLOCKED), 0.0), 1.0)
            survey.efficiency[plane] = EFFICIENCY_OF_FLOCKS + (EFFICIENCY - EFFICIENCY_OF_FLOCKS) * share


@kernel
def _places(count, ones):
    """Bits that say which `ones` of `count` places are meant."""
    if ones <= 0 or ones >= count:
        return 0.0
    share = ones / count
    return -count * (share * np.log2(share) + (1 - share) * np.log2(1 - share))


@kernel
def best_slope_ahead(size, plane, kind, old, seen, found_here, observed, survey):
    """Largest squared error a byte that the next passes promise, up to wherever it is largest.

    Parameters
    ----------
    size : int
        Number of coefficients.
    plane, kind : int
        Of the next pass; kind 0 significance, 1 refinement, 2 cleanup.
    old : int
        Coefficients significant before this bit-plane.
    seen, found_here : int
        Coefficients that this plane's significance pass coded, and how many of them became significant.
    observed : float
        Efficiency in the last bit-plane, as from `observed_efficiency`.
    survey : Survey
    """
    best, gain, needed = 0.0, 0.0, 1e-9
    for ahead in range(plane, max(plane - PLANES_AHEAD, -1), -1):
        unit = float(np.int64(1) << (ahead + MAGNITUDE_SHIFT - 1))
        new = survey.found[ahead]
        of_new = GAIN_OF_NEW * unit * unit * new
        new_bits, old_gain, old_bytes = _places(size - old, new) + new, 0.25 * unit * unit * old, observed * old / 8
        if ahead == plane and kind > 0:
            left = new - found_here
            of_new *= left / max(new, 1)
            new_bits = _places(size - old - seen, left) + left
            if kind == 1 and old > 0:
                best = old_gain / old_bytes
        # Most of what is new comes with the significance pass, before refinements.
        gain, needed = gain + of_new, needed + min(observed, survey.efficiency[ahead]) * new_bits / 8
        best = max(best, gain / needed)
        if ahead < plane or kind < 2:
            gain, needed = gain + old_gain, needed + old_bytes
            best = max(best, gain / needed)
        old += new
    return best


@kernel
def observed_efficiency(size, old, new, coded_bytes):
    """Efficiency to count on after a bit-plane that took `coded_bytes`."""
    bits = _places(size - old, new) + new + old
    return EFFICIENCY * min(1.0, 8 * coded_bytes / bits) if bits > 0 else EFFICIENCY
