"""The markers at packets: SOP before their headers, and EPH after them (T.800 A.8)."""

import numpy as np

from codec.decoding.packet_results import BODY, FIRST_NUMBER, PACKETS, SOPS
from codec.jit import kernel
from codec.markers import SOP, SOP_BYTES

NUMBERS = 65536  # Nsop is two bytes


@kernel
def starts_with(data, position, marker):
    """Whether the two bytes at `position` are `marker`."""
    return position + 2 <= data.size and np.int64(data[position]) << 8 | data[position + 1] == marker


@kernel
def skip_sop(data, counters, part_starts):
    """Skip an SOP marker segment, if the next packet has one; returns whether its number (Nsop) is right.

    Numbers count the packets of a tile. Some encoders (Grok 10) do so only within a tile-part, and leave numbers out
    between two of them.
    """
    position = counters[BODY]
    if not starts_with(data, position, SOP):
        return True
    if position + SOP_BYTES <= data.size:
        first = (np.int64(data[position + 4]) << 8 | data[position + 5]) - counters[PACKETS]
        if (first - counters[FIRST_NUMBER]) % NUMBERS != 0 and (position == 0 or not (part_starts == position).any()):
            return False
        counters[FIRST_NUMBER] = first
    counters[BODY] += SOP_BYTES
    counters[SOPS] += 1
    return True
