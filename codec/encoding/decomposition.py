"""The number of decomposition levels for an image's size and target bytes."""

LL_SIZE = 24
MAX_DECOMPOSITIONS = 8
# (side, bytes): the largest side of the LL subband for codestreams with fewer bytes of packets than that.
LL_SIZES_OF_SMALL_TARGETS = ((4, 20), (8, 64))
MIN_LL_BYTES = 4
# Bits stored plus levels: up to this sum magnitudes stay below 2^30 (`codec.encoding.quantizer`).
MAX_BITS_AND_LEVELS = 23


def decomposition_levels(rows: int, columns: int, bits: int, packet_bytes: int = 0) -> int:
    """Number of decomposition levels for an image of `bits` bits stored.

    Where a codestream's packets have no room for the whole LL subband, more levels give a better image, if the packet
    headers leave bytes for a smaller LL subband.
    """
    for ll_size, enough in LL_SIZES_OF_SMALL_TARGETS:
        levels = _levels(rows, columns, bits, ll_size)
        if levels + 1 + MIN_LL_BYTES <= packet_bytes < enough:
            return levels
    return _levels(rows, columns, bits, LL_SIZE)


def max_levels(rows: int, columns: int, bits: int) -> int:
    """Levels after which the LL subband is a single pixel, limited by the size of words."""
    return min((max(rows, columns) - 1).bit_length(), MAX_BITS_AND_LEVELS - bits)


def _levels(rows: int, columns: int, bits: int, ll_size: int) -> int:
    """Levels until the LL subband is no larger than `ll_size`, limited by the size of words."""
    size, levels = max(rows, columns), 0
    while size > ll_size and levels < min(MAX_DECOMPOSITIONS, MAX_BITS_AND_LEVELS - bits):
        size, levels = (size + 1) // 2, levels + 1
    return levels
