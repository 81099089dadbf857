"""Packets (T.800 Annex B.9): which code-blocks each one carries."""

from collections.abc import Iterator

import numpy as np

from codec.encoding.quantizer import BLOCK_SIDE
from codec.packets import LOG2_MAX_PRECINCT, MAX_SUBBANDS


def _packet_places(shapes: list[tuple[int, int]]) -> Iterator[tuple[range, int, int, int]]:
    """Subbands, first row, first column and side of the precinct of every packet."""
    for first in [0, *range(1, len(shapes), MAX_SUBBANDS)]:
        members = range(first, first + (1 if first == 0 else MAX_SUBBANDS))
        precinct = 1 << (LOG2_MAX_PRECINCT - (first > 0))
        for top in range(0, max(shapes[band][0] for band in members), precinct):
            for left in range(0, max(shapes[band][1] for band in members), precinct):
                yield members, top, left, precinct


def count_packets(shapes: list[tuple[int, int]]) -> int:
    """Number of packets of `packet_blocks`."""
    return sum(1 for _ in _packet_places(shapes))


def packet_blocks(shapes: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide subbands into the code-blocks of packets, for one layer and progression by resolution.

    Parameters
    ----------
    shapes : list of (int, int)
        Rows and columns of the subbands in the order of the codestream.

    Returns
    -------
    packets : numpy.ndarray
        int64 [packets, 3, 3]: for each subband of each packet the index of its first code-block, and the rows and
        columns of its grid of blocks (0 where there is none).
    subband, area : numpy.ndarray
        int32 [n] and [n, 4]: subband of each block; its first row, first column, rows and columns there.
    """
    packets: list[np.ndarray] = []
    subband: list[np.ndarray] = []
    area: list[np.ndarray] = []
    count = 0
    for members, top, left, precinct in _packet_places(shapes):
        packet = np.zeros((MAX_SUBBANDS, 3), np.int64)
        for position, band in enumerate(members):
            bottom = min(top + precinct, shapes[band][0])
            right = min(left + precinct, shapes[band][1])
            y, x = np.arange(top, bottom, BLOCK_SIDE), np.arange(left, right, BLOCK_SIDE)
            if y.size * x.size > 0:
                packet[position] = count, y.size, x.size
            blocks = np.empty((y.size, x.size, 4), np.int32)
            blocks[..., 0], blocks[..., 1] = y[:, None], x
            blocks[..., 2] = np.minimum(BLOCK_SIDE, bottom - y)[:, None]
            blocks[..., 3] = np.minimum(BLOCK_SIDE, right - x)
            count += y.size * x.size
            area.append(blocks.reshape(-1, 4))
            subband.append(np.full(y.size * x.size, band, np.int32))
        packets.append(packet)
    return np.array(packets), np.concatenate(subband), np.concatenate(area)
