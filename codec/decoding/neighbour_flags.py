"""Significance and signs of neighbours: which coefficients a pass visits, contexts, updates (T.800 D.3)."""

import numpy as np

from codec.decoding.block_state import GROUP_COLUMNS, STRIPE_ROWS, WORD_ROWS, bitmap_stride
from codec.jit import kernel

# Coefficients of a bitmap: the first and the last row of all columns; and all.
FIRST_ROW, LAST_ROW = np.uint64(0x1111111111111111), np.uint64(0x8888888888888888)
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
NONE = np.uint64(0)
ONE_ROW, TWO_ROWS, THREE_ROWS, ONE_COLUMN, OTHER_COLUMNS = (np.uint64(bits) for bits in (1, 2, 3, 4, 60))

# Patterns of 3 × 3 neighbours, and the part that a row of a stripe may use, with and without vertically causal contexts
# (D.7).
SELF, NEIGHBOURS, NOT_BELOW = 1 << 4, 0x1EF, 0x2F
REACH = np.array([[NEIGHBOURS] * 4, [NEIGHBOURS] * 3 + [NOT_BELOW]])
STRAIGHT = 0xAA

# The neighbours of a coefficient that come later in the scan of its bitmap, by its row: as bits from its own bit on.
LATER = np.array([0b110010, 0b111010, 0b111010, 0b011000], dtype=np.uint64)


@kernel(forceinline=True)
def group_place(width, top, left):
    """Index of a group in the bitmaps, the stride of these, and index of its first word of neighbours."""
    stride = bitmap_stride(width)
    group = (top // STRIPE_ROWS + 1) * stride + left // GROUP_COLUMNS + 1
    return group, stride, (top // WORD_ROWS + 1) * (width + 2) + left + 1


@kernel(forceinline=True)
def group_members(width, height, top, left):
    """The bitmap of the coefficients of a group that are within the code-block."""
    columns = EVERY >> np.uint64(4 * max(left + GROUP_COLUMNS - width, 0))
    missing = max(top + 4 - height, 0)
    return columns & (FIRST_ROW * np.uint64((1 << (4 - missing)) - 1))


@kernel(forceinline=True)
def _above_and_below(above, own, below, last_row):
    """Which coefficients have a significant one above or below."""
    inside = ((own << ONE_ROW) & ~FIRST_ROW) | ((own >> ONE_ROW) & ~LAST_ROW)
    return inside | ((above >> THREE_ROWS) & FIRST_ROW) | ((below << THREE_ROWS) & last_row)


@kernel
def near_significance(significant, index, stride, causal):
    """The bitmap of the coefficients of a group that have significance among their eight neighbours."""
    last_row = NONE if causal else LAST_ROW
    own, left, right = significant[index], significant[index - 1], significant[index + 1]
    near = _above_and_below(significant[index - stride], own, significant[index + stride], last_row)
    own |= near
    index -= 1
    left |= _above_and_below(significant[index - stride], left, significant[index + stride], last_row)
    index += 2
    right |= _above_and_below(significant[index - stride], right, significant[index + stride], last_row)
    return near | own << ONE_COLUMN | own >> ONE_COLUMN | left >> OTHER_COLUMNS | right << OTHER_COLUMNS


@kernel(forceinline=True)
def sign_pattern(pattern, west, own, east):
    """Index of SIGN_TABLE from a pattern of neighbours and the words of signs, shifted to the row (D.3.2)."""
    return (pattern & STRAIGHT) | (own & 0x41) | (west & 8) >> 1 | (east & 8) << 1


@kernel(forceinline=True)
def update_neighbours(neighbours, signs, position, stride, shift, is_negative):
    """Note that a coefficient, whose pattern begins at `shift` of its word, has become significant."""
    neighbours[np.uintp(position - 1)] |= 1 << (shift + 5)
    neighbours[np.uintp(position)] |= 1 << (shift + 4)
    neighbours[np.uintp(position + 1)] |= 1 << (shift + 3)
    signs[np.uintp(position)] |= is_negative << (shift + 3)
    if shift == 0:
        _copy_row(neighbours, signs, position - stride, 3 * (WORD_ROWS + 1), is_negative)
    elif shift == 3 * (WORD_ROWS - 1):
        _copy_row(neighbours, signs, position + stride, 0, is_negative)


@kernel(forceinline=True)
def _copy_row(neighbours, signs, position, bit, is_negative):
    """The same in the words of the rows above or below, which repeat this row from `bit` on."""
    neighbours[np.uintp(position - 1)] |= 1 << (bit + 2)
    neighbours[np.uintp(position)] |= 1 << (bit + 1)
    neighbours[np.uintp(position + 1)] |= 1 << bit
    signs[np.uintp(position)] |= is_negative << bit
