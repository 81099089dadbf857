"""What a packet's block carries, and what that costs with its header counted as it will be written."""

import numpy as np

from codec.encoding.packet_header_writer import write_packet_header
from codec.jit import kernel


@kernel
def measure_header(plan, packet):
    """Bytes of the header of `packet`."""
    return write_packet_header(
        plan.told, plan.layer, packet, plan.passes, plan.lengths, plan.zero_planes, plan.extra_bits,
        plan.scratch, 0, False,
    )  # fmt: skip


@kernel
def bytes_with(plan, all_lengths, block, passes):
    """Bytes of `block` with these passes, all layers so far together; it may have had more than it needed then."""
    told = plan.told.lengths[block]
    return max(told, all_lengths[block, passes - 1]) if passes > plan.told.passes[block] else told


@kernel
def change_block(plan, block, passes, length, left):
    """Let `block` carry these passes and bytes if the bytes left allow it; returns the bytes left then, or -1."""
    packet = np.int64(plan.packet_of_block[block])
    old_passes, old_length = plan.passes[block], plan.lengths[block]
    plan.passes[block], plan.lengths[block] = passes, length
    header = measure_header(plan, packet)
    rest = left - (length - old_length) - (header - plan.headers[packet])
    if rest < 0:
        plan.passes[block], plan.lengths[block] = old_passes, old_length
        return -1
    plan.headers[packet] = header
    return rest
