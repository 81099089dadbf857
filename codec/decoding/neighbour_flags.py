"""Significance and signs of a coefficient's neighbours: members of a pass, sign contexts, updates (T.800 D.3)."""

import numpy as np

from codec.jit import kernel

STRAIGHT = 0xAA
TOP, BOTTOM = 1 << 4, 1 << 13  # SELF of rows 0 and 3


@kernel(forceinline=True)
def rows_near_significance(state):
    """Which rows of a column have significance in their 3 × 3 coefficients: bits 0, 3, 6 and 9."""
    in_row = state | state >> 1 | state >> 2
    return in_row | in_row >> 3 | in_row >> 6


@kernel(forceinline=True)
def row_of(shift):
    """The row whose flags are at `shift`: a third of it."""
    return (11 * shift) >> 5


@kernel(forceinline=True)
def sign_pattern(west, east, neighbourhood, shift):
    """Index of SIGN_TABLE for the coefficient whose word, shifted, is `neighbourhood`, between two columns (D.3.2)."""
    west, east = west >> shift, east >> shift
    return (neighbourhood & STRAIGHT) | ((neighbourhood >> 18) & 0x41) | ((west >> 19) & 4) | ((east >> 17) & 16)


@kernel(forceinline=True)
def update_neighbours(flags, position, stride, state, new, causal):
    """Set the neighbours' flags after coefficients of a column have become significant.

    `state` is the column's word and `new` has the bits SELF of these coefficients.
    """
    flags[np.uintp(position - 1)] |= new << 1
    flags[np.uintp(position + 1)] |= new >> 1
    if new & TOP and not causal:
        above = position - stride
        flags[np.uintp(above - 1)] |= 1 << 17
        flags[np.uintp(above)] |= 1 << 16 | (state >> 21 & 1) << 33
        flags[np.uintp(above + 1)] |= 1 << 15
    if new & BOTTOM:
        below = position + stride
        flags[np.uintp(below - 1)] |= 1 << 2
        flags[np.uintp(below)] |= 1 << 1 | (state >> 30 & 1) << 18
        flags[np.uintp(below + 1)] |= 1 << 0
