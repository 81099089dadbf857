"""What reading a tile's packets gives: the bytes of its code-blocks, and how far the reading came."""

from typing import NamedTuple

import numpy as np

from codec.markers import SOP, SOP_BYTES

# How the reading ended: after all packets that were asked for; where the data end, between two packets or in one;
# where a packet header, Nsop (A.8.1) or a missing EPH (A.8.2) contradicts the standard.
COMPLETE, ENDED_BETWEEN, ENDED_WITHIN, BAD_HEADER, BAD_SOP, NO_EPH = range(6)
# Positions in the packets' bodies and in their headers, number of pieces or TOO_MANY, needed packets not yet read,
# number of packets read and of SOP marker segments, the number that the first packet would have by the last of these,
# how the reading ended.
BODY, HEADER, PIECES, PACKETS_LEFT, PACKETS, SOPS, FIRST_NUMBER, END = range(8)

SOP_START = SOP.to_bytes(2) + (SOP_BYTES - 2).to_bytes(2)  # marker and Lsop


class Contributions(NamedTuple):
    """The packets' contributions to each code-block.

    Attributes
    ----------
    data : numpy.ndarray
        uint8: the packets' bytes.
    pieces : numpy.ndarray
        int64 [pieces, 6]: columns CODE_BLOCK, FIRST_PASS, PASSES, OFFSET and LENGTH in `data`, NEXT piece of the block.
    first : numpy.ndarray
        int32 [blocks]: rows of `pieces`, -1 where a block has none.
    zero_planes : numpy.ndarray
        uint8 [blocks]: how many of the subband's most significant bit-planes are zero.
    truncated : numpy.ndarray
        uint8 [blocks]: whether the data ended within the block's last piece.
    """

    data: np.ndarray
    pieces: np.ndarray
    first: np.ndarray
    zero_planes: np.ndarray
    truncated: np.ndarray


class PacketCount(NamedTuple):
    """How far the reading of a tile's packets came.

    Attributes
    ----------
    end : int
        `COMPLETE`, or why it ended before.
    wanted, read : int
        Number of packets that were asked for, and of those among them that were read.
    number : int
        Index in the tile of the packet where the reading ended; packets that nobody asked for count too.
    position : int
        Where in the packets' bytes it ended.
    left_over : int
        Number of bytes after the last packet of the tile; 0 where the reading ended before.
    """

    end: int
    wanted: int
    read: int
    number: int
    position: int
    left_over: int


def count_packets(
    body: bytes | memoryview, packed_headers: bytes | None, counters: np.ndarray, wanted: int, signalled: int
) -> PacketCount:
    """How far the reading of a tile came, `wanted` of whose `signalled` packets were asked for."""
    numbers: list[int] = counters.tolist()
    position, left, end = numbers[BODY], numbers[PACKETS_LEFT], numbers[END]
    # No packet can hold the bytes of an SOP marker segment: if one does, bytes are missing or too many before it.
    if end == COMPLETE and numbers[SOPS] and bytes(body[:position]).count(SOP_START) > numbers[SOPS]:
        end = BAD_SOP
    left_over = 0
    if end == ENDED_BETWEEN or (end == COMPLETE and (wanted == signalled or left)):
        left_over = max(len(body) - position, 0)
        left_over += 0 if packed_headers is None else len(packed_headers) - numbers[HEADER]
    return PacketCount(end, wanted, wanted - left, numbers[PACKETS], position, left_over)
