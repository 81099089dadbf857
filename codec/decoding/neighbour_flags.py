"""Significance and signs of a coefficient's neighbours: sign contexts, and the update of the flags (T.800 D.3)."""

from codec.jit import kernel

STRAIGHT = 0xAA


@kernel(forceinline=True)
def sign_pattern(flags, position, neighbourhood, shift):
    """Index of SIGN_TABLE for the coefficient whose word, shifted, is `neighbourhood` (D.3.2)."""
    west = flags[position - 1] >> shift
    east = flags[position + 1] >> shift
    return (neighbourhood & STRAIGHT) | ((neighbourhood >> 18) & 0x41) | ((west >> 19) & 4) | ((east >> 17) & 16)


@kernel(forceinline=True)
def update_neighbours(flags, position, stride, row, shift, negative, causal):
    """Set the neighbours' flags after the coefficient in `row` of this word's column has become significant."""
    flags[position - 1] |= 1 << (shift + 5)
    flags[position + 1] |= 1 << (shift + 3)
    if row == 0 and not causal:
        above = position - stride
        flags[above - 1] |= 1 << 17
        flags[above] |= 1 << 16 | negative << 33
        flags[above + 1] |= 1 << 15
    elif row == 3:
        below = position + stride
        flags[below - 1] |= 1 << 2
        flags[below] |= 1 << 1 | negative << 18
        flags[below + 1] |= 1 << 0
