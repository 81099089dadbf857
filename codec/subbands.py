"""The subbands of a decomposition: their order, sizes and gains (T.800 Annexes B.5, E.1 and F).

A decomposition of `levels` levels is a list of ``3 · levels + 1`` two-dimensional C-contiguous arrays in the order
in which the codestream carries them: ``[LL_N, HL_N, LH_N, HH_N, HL_N-1, LH_N-1, HH_N-1, … HL_1, LH_1, HH_1]``.
HL is high-pass along the rows (horizontally), LH along the columns. The image's origin is (0, 0): of n samples the
low-pass half keeps ceil(n / 2), the high-pass half floor(n / 2), so arrays may be empty. Coefficients have the
standard's normalisation: the low-pass filter's gain at DC is 1, the high-pass filter's at Nyquist is 2.
"""

# Table E.1: log2 of a subband's gain, by which its nominal range is wider than that of the image.
LOG2_GAIN = {"LL": 0, "HL": 1, "LH": 1, "HH": 2}


def subband_names(levels: int) -> list[tuple[str, int]]:
    """Orientation ("LL", "HL", "LH", "HH") and level of every subband, in the order of the codestream."""
    names = [("LL", levels)]
    for level in range(levels, 0, -1):
        names += [("HL", level), ("LH", level), ("HH", level)]
    return names


def subband_shapes(rows: int, columns: int, levels: int) -> list[tuple[int, int]]:
    """Rows and columns of every subband, in the order of the codestream (equation B-15 with origin 0)."""

    def low(size: int, level: int) -> int:
        return -(-size // (1 << level))

    shapes = [(low(rows, levels), low(columns, levels))]
    for level in range(levels, 0, -1):
        low_rows, low_columns = low(rows, level), low(columns, level)
        high_rows, high_columns = low(rows, level - 1) - low_rows, low(columns, level - 1) - low_columns
        shapes += [(low_rows, high_columns), (high_rows, low_columns), (high_rows, high_columns)]
    return shapes
