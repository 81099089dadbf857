"""Changes to the passes and bytes of one code-block, with the packet header measured as it will be written."""

import numpy as np

from codec.encoding.packet_header_writer import write_packet_header
from codec.jit import kernel


@kernel
def measure_header(plan, packet):
    """Length in bytes of the header of `packet`."""
    return write_packet_header(
        plan.signalled, plan.layer, packet, plan.passes, plan.lengths, plan.zero_planes, plan.extra_lblock,
        plan.scratch, 0, False,
    )  # fmt: skip


@kernel
def bytes_with(plan, all_lengths, block, passes):
    """Bytes of `block` with these passes in all layers so far: earlier layers may have given it more than it needed."""
    before = plan.signalled.lengths[block]
    return max(before, all_lengths[block, passes - 1]) if passes > plan.signalled.passes[block] else before


@kernel
def change_block(plan, block, passes, length, left):
    """Give `block` these passes and bytes if the bytes left allow it; returns the bytes left afterwards, or -1."""
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
