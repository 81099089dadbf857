"""Rate control: which passes of each code-block enter a codestream of an exact length (T.800 Annex J.14).

The truncation points on the convex hull of each block's rate and distortion are taken in order of slope as long as
they fit, with headers counted as they will be written. Then come single passes that still fit, and at last
`codec.encoding.padding` uses the bytes that are left.
"""

from dataclasses import dataclass

import numpy as np

from codec.encoding.block_changes import bytes_with, change_block, measure_header
from codec.encoding.code_blocks import CodedBlocks
from codec.encoding.packet_header_writer import SignalledState, nothing_signalled
from codec.encoding.packet_writer import LayerPlan
from codec.encoding.padding import NO_BLOCK, Filling, fill
from codec.jit import kernel

# Average bytes of the packet header for a code-block's first inclusion; hull slopes count them.
INCLUSION_BYTES = 1.5
HEADER_BYTES_A_BLOCK = 20


@dataclass(frozen=True)
class Allocation:
    """The passes and bytes of a layer's packets.

    Attributes
    ----------
    plan : LayerPlan
        Passes and segment bytes of every code-block.
    filling : Filling
    slope : float
        Distortion-length slope, in squared error a byte, of the first truncation point left out; 0 where none is.
    """

    plan: LayerPlan
    filling: Filling
    slope: float

    @property
    def header_bytes(self) -> int:
        """Bytes of all packet headers."""
        return int(self.plan.headers.sum())

    @property
    def whole_passes(self) -> np.ndarray:
        """int32 [blocks]: passes whose result is known without decoding, all but a blank and a truncated one."""
        passes = self.plan.passes.copy()
        if self.filling.blank != NO_BLOCK:
            passes[self.filling.blank] = 0
        if self.filling.truncated != NO_BLOCK:
            passes[self.filling.truncated] -= 1
        return passes


class RateControl:
    """Allocates bytes to one image's coded blocks.

    Parameters
    ----------
    blocks : CodedBlocks
    packets : numpy.ndarray
        int64 [packets, 3, 3], as of `packet_blocks`.
    """

    def __init__(self, blocks: CodedBlocks, packets: np.ndarray):
        self.blocks, self.packets = blocks, packets
        self.point_block, self.point_passes, self.point_slope, more_bytes = truncation_points(blocks)
        self._bytes_of_points = np.maximum.accumulate(np.cumsum(more_bytes))
        self.packet_of_block = np.zeros(len(blocks.passes), np.int32)
        for packet, grids in enumerate(packets):
            for first, rows, columns in grids:
                self.packet_of_block[first : first + rows * columns] = packet
        self._known_points: dict[tuple[int, int], int] = {}
        self._scratch = np.empty(HEADER_BYTES_A_BLOCK * len(blocks.passes) + 2 * len(packets) + 64, np.uint8)

    def slope(self, packet_bytes: int) -> float:
        """Slope of the first truncation point that does not fit; 0 where all fit."""
        return self._slope_after(self._points_that_fit(packet_bytes, self._plan(self._initial_state(), 0)))

    def bytes_down_to(self, slopes: np.ndarray) -> np.ndarray:
        """int64: bytes of all packets of a single layer with all truncation points that are at least so steep."""
        plan = self._plan(self._initial_state(), 0)
        sizes = np.empty(len(slopes), np.int64)
        measured = -1
        for place, points in enumerate(np.searchsorted(-self.point_slope, -np.asarray(slopes), side="right")):
            if points != measured:
                _take_points(points, self.point_block, self.point_passes, self.blocks.lengths, plan)
                measured = points
            sizes[place] = bytes_of_layer(plan)
        return np.maximum.accumulate(sizes)

    def _slope_after(self, points: int) -> float:
        return float(self.point_slope[points]) if points < len(self.point_slope) else 0.0

    def _initial_state(self) -> SignalledState:
        return nothing_signalled(self.packets, len(self.blocks.passes))

    def _plan(self, signalled: SignalledState, layer: int) -> LayerPlan:
        return LayerPlan(
            signalled, layer, self.packet_of_block, self.blocks.zero_planes.copy(),
            np.zeros(len(signalled.passes), np.int32), signalled.passes.copy(), signalled.lengths.copy(),
            np.empty(len(self.packets), np.int64), self._scratch,
        )  # fmt: skip

    def allocate(
        self, packet_bytes: int, signalled: SignalledState | None = None, layer: int = 0, *, filler: bool = True
    ) -> Allocation:
        """Choose passes so that all packets of a layer together are exactly `packet_bytes` long.

        Parameters
        ----------
        packet_bytes : int
        signalled : SignalledState, optional
            After the layers before; without it there is only one layer.
        layer : int
        filler : bool
            Whether filler may follow where all coded data are used.

        Raises
        ------
        LayerError
            All coded data are used, and filler is not allowed or has no place.
        """
        blocks = self.blocks
        plan = self._plan(signalled or self._initial_state(), layer)
        points = self._points_that_fit(packet_bytes, plan)
        _take_points(points, self.point_block, self.point_passes, blocks.lengths, plan)
        left = packet_bytes - bytes_of_layer(plan)
        left = _add_passes(left, blocks.passes, blocks.lengths, blocks.gains, plan)
        return Allocation(plan, fill(left, blocks, plan, filler), self._slope_after(points))

    def allocate_rest(self, signalled: SignalledState, layer: int) -> LayerPlan:
        """Put all remaining passes into a layer."""
        plan, blocks = self._plan(signalled, layer), self.blocks
        coded = np.flatnonzero(blocks.passes)
        plan.passes[:] = blocks.passes
        plan.lengths[coded] = blocks.lengths[coded, blocks.passes[coded] - 1]
        plan.headers[:] = [measure_header(plan, packet) for packet in range(len(self.packets))]
        return plan

    def _points_that_fit(self, packet_bytes: int, plan: LayerPlan) -> int:
        """Number of hull points that fit; `plan` is scratch.

        Headers grow slowly with the points, so the bytes that one guess leaves or lacks lead to the next guess.
        """
        key = plan.layer, packet_bytes
        if key in self._known_points:
            return self._known_points[key]
        fits, too_many = 0, len(self.point_block) + 1
        target = packet_bytes - len(self.packets) + int(plan.signalled.lengths.sum())
        while too_many - fits > 1:
            guess = int(np.searchsorted(self._bytes_of_points, target, side="right"))
            guess = min(max(guess, fits + 1), too_many - 1)
            _take_points(guess, self.point_block, self.point_passes, self.blocks.lengths, plan)
            left = packet_bytes - bytes_of_layer(plan)
            if left >= 0:
                fits = guess
            else:
                too_many = guess
            target = int(self._bytes_of_points[guess - 1]) + left
        self._known_points[key] = fits
        return fits


def bytes_of_layer(plan: LayerPlan) -> int:
    """Length in bytes of the layer's packets."""
    return int(plan.headers.sum() + plan.lengths.sum() - plan.signalled.lengths.sum())


def truncation_points(blocks: CodedBlocks) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points on the convex hulls, steepest first: block, number of passes, slope, and bytes added to the block's."""
    block, passes, slope = _hull_points(blocks.passes, blocks.lengths, blocks.gains)
    length = blocks.lengths[block, passes - 1].astype(np.int64)
    more = np.diff(length, prepend=0)
    first = np.diff(block, prepend=-1) != 0
    more[first] = length[first]
    order = np.argsort(-slope, kind="stable")
    return block[order], passes[order], slope[order], more[order]


@kernel
def _hull_points(passes, lengths, gains):
    """Truncation points on the convex hulls (J.14.3): block, number of passes, and slope of each."""
    total = 0
    for block in range(passes.size):
        total += passes[block]
    point_block, point_passes = np.empty(total, np.int32), np.empty(total, np.int32)
    point_slope = np.empty(total, np.float64)
    used = 0
    for block in range(passes.size):
        first = used
        for n in range(passes[block]):
            rate, gain = lengths[block, n] + INCLUSION_BYTES, gains[block, n]
            while True:
                previous_rate, previous_gain = 0.0, 0.0
                if used > first:
                    before = point_passes[used - 1] - 1
                    previous_rate, previous_gain = lengths[block, before] + INCLUSION_BYTES, gains[block, before]
                if gain <= previous_gain:
                    break
                slope = (gain - previous_gain) / (rate - previous_rate) if rate > previous_rate else np.inf
                if used > first and slope >= point_slope[used - 1]:
                    used -= 1
                    continue
                point_block[used], point_passes[used], point_slope[used] = block, n + 1, slope
                used += 1
                break
    return point_block[:used], point_passes[:used], point_slope[:used]


@kernel
def _take_points(points, point_block, point_passes, all_lengths, plan):
    """Include the passes up to the first `points` hull points and no others; measures all headers."""
    plan.passes[:] = plan.signalled.passes
    for point in range(points):
        block = point_block[point]
        plan.passes[block] = max(plan.passes[block], point_passes[point])
    for block in range(plan.passes.size):
        plan.lengths[block] = bytes_with(plan, all_lengths, block, plan.passes[block])
    for packet in range(plan.headers.size):
        plan.headers[packet] = measure_header(plan, packet)


@kernel
def _gain_so_far(plan, all_lengths, gains, block):
    """Distortion that a block's passes remove, without a pass that an earlier layer truncated."""
    last = plan.passes[block] - 1
    if last >= 0 and plan.lengths[block] < all_lengths[block, last]:
        last -= 1
    return gains[block, last] if last >= 0 else 0.0


@kernel
def _add_passes(left, all_passes, all_lengths, gains, plan):
    """Add single passes, on the hull or not, steepest first, while any fits; returns the bytes left."""
    passes, lengths = plan.passes, plan.lengths
    count = 0
    for block in range(passes.size):
        count += all_passes[block] - passes[block]
    candidate_block, candidate_passes = np.empty(count, np.int32), np.empty(count, np.int32)
    slopes = np.empty(count, np.float64)
    count = 0
    for block in range(passes.size):
        gain = _gain_so_far(plan, all_lengths, gains, block)
        for n in range(passes[block], all_passes[block]):
            more = all_lengths[block, n] - lengths[block]
            if more <= left and gains[block, n] > gain:
                rate = max(more, 0) + (0.25 if passes[block] > 0 else INCLUSION_BYTES)
                candidate_block[count], candidate_passes[count] = block, n + 1
                slopes[count] = (gain - gains[block, n]) / rate
                count += 1
    for candidate in np.argsort(slopes[:count]):
        owner, target = np.int64(candidate_block[candidate]), np.int64(candidate_passes[candidate])
        if left == 0:
            break
        gain = _gain_so_far(plan, all_lengths, gains, owner)
        if gains[owner, target - 1] <= gain or all_lengths[owner, target - 1] - lengths[owner] > left:
            continue
        length = np.int64(bytes_with(plan, all_lengths, owner, target))
        rest = change_block(plan, owner, target, length, left)
        if rest >= 0:
            left = rest
    return left
