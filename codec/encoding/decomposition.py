"""How many times an image is decomposed: what suits its size, and the bytes there are."""

LL_SIZE = 24
MAX_DECOMPOSITIONS = 8
# Largest sides of the LL subband for codestreams with fewer bytes of packets than the number beside it.
SCANT_LL_SIZES = ((4, 20), (8, 64))
FEWEST_LL_BYTES = 4
# Bits stored and levels together: as many as leave magnitudes below 2^30 (`codec.encoding.quantizer`).
MOST_BITS = 23


def decomposition_levels(rows: int, columns: int, bits: int, packet_bytes: int = 0) -> int:
    """Number of decompositions for an image of `bits` bits stored, the fewest by default.

    Where a codestream's packets have not even room for the LL subband, a smaller one shows more, if they leave bytes
    for it.
    """
    for ll_size, enough in SCANT_LL_SIZES:
        levels = _levels(rows, columns, bits, ll_size)
        if levels + 1 + FEWEST_LL_BYTES <= packet_bytes < enough:
            return levels
    return _levels(rows, columns, bits, LL_SIZE)


def _levels(rows: int, columns: int, bits: int, ll_size: int) -> int:
    """Decompositions until the LL subband is no larger than `ll_size`, as far as its magnitudes fit their words."""
    size, levels = max(rows, columns), 0
    while size > ll_size and levels < min(MAX_DECOMPOSITIONS, MOST_BITS - bits):
        size, levels = (size + 1) // 2, levels + 1
    return levels
