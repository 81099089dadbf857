"""A slow packet writer, straight from T.800 Annex B, with a tile's division worked out place by place."""

import itertools
from dataclasses import dataclass, field

import numpy as np


class BitWriter:
    """B.10.1: a bit 0 is stuffed after a byte 0xFF."""

    def __init__(self):
        self.data, self.value, self.room = bytearray(), 0, 8

    def bits(self, value, count):
        for n in range(count - 1, -1, -1):
            self.value |= ((value >> n) & 1) << (self.room - 1)
            self.room -= 1
            if self.room == 0:
                self._next_byte()

    def _next_byte(self):
        self.data.append(self.value)
        self.room = 7 if self.value == 0xFF else 8
        self.value = 0

    def finish(self):
        if self.room < (7 if self.data and self.data[-1] == 0xFF else 8) or (self.data and self.data[-1] == 0xFF):
            self._next_byte()
        return bytes(self.data)


class TagTree:
    """B.10.2."""

    def __init__(self, leaves):
        self.levels = [np.array(leaves)]
        while self.levels[-1].size > 1:
            below = self.levels[-1]
            rows, columns = ((n + 1) // 2 for n in below.shape)
            parents = [[below[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].min() for x in range(columns)] for y in range(rows)]
            self.levels.append(np.array(parents))
        self.low = [np.zeros(level.shape, int) for level in self.levels]
        self.known = [np.zeros(level.shape, bool) for level in self.levels]

    def write(self, out, y, x, threshold):
        low = 0
        for k in range(len(self.levels) - 1, -1, -1):
            node = y >> k, x >> k
            low = max(low, self.low[k][node])
            while low < threshold and not self.known[k][node]:
                if self.levels[k][node] <= low:
                    out.bits(1, 1)
                    self.known[k][node] = True
                else:
                    out.bits(0, 1)
                    low += 1
            self.low[k][node] = low


@dataclass
class Block:
    """A code-block: for each layer that adds to it, its new passes and their segments' bytes."""

    zero_planes: int
    layers: dict = field(default_factory=dict)
    lblock: int = 3
    passes: int = 0


@dataclass
class Grid:
    """The code-blocks of one subband in one precinct."""

    subband: int
    blocks: dict
    inclusion: TagTree | None = None
    planes: TagTree | None = None


def ceil_div(a, b):
    return -(-a // b)


BYPASS, TERMINATE_EACH_PASS = 1, 4  # code-block styles of Table A.19


def is_terminated(index, style):
    """Whether a codeword segment ends after coding pass `index`, 0 the first (Table D.9; styles as in Table A.19).

    The first bit-plane has a cleanup pass alone. With the bypass, passes are raw from the fifth bit-plane on: the
    arithmetic coder terminates after the cleanup pass of the fourth and of every later one, the raw bits after each
    refinement pass.
    """
    if style & TERMINATE_EACH_PASS:
        return True
    if not style & BYPASS:
        return False
    bit_plane, kind = 1 + (index + 2) // 3, ("significance", "refinement", "cleanup")[(index + 2) % 3]
    if bit_plane < 4:
        return False
    return kind == "cleanup" or (kind == "refinement" and bit_plane > 4)


def passes_of_segment(index, most, style):
    """How many of the next `most` passes from `index` on belong to one codeword segment."""
    passes = 1
    while passes < most and not is_terminated(index + passes - 1, style):
        passes += 1
    return passes


def make_block(rng, layers, style):
    block, index = Block(int(rng.integers(0, 6))), 0
    for layer in range(layers):
        if rng.random() < 0.5:
            continue
        passes = int(rng.choice([1, 2, 4, 7, 20, 40]))
        if index + passes > 160:
            continue
        segments, left = [], passes
        while left:
            taken = passes_of_segment(index, left, style)
            segments.append((taken, rng.bytes(int(rng.choice([0, 1, 9, 150])))))
            index += taken
            left -= taken
        block.layers[layer] = segments
    return block


def make_precincts(rng, area, coding, layers, style):
    """{resolution: {(row, column): grids}} by B.5 to B.7."""
    tree = {}
    for r in range(coding.levels + 1):
        level = coding.levels - r
        tx0, ty0, tx1, ty1 = (ceil_div(edge, 1 << level) for edge in area)
        ppx, ppy = coding.precincts[r]
        tree[r] = {}
        if tx0 == tx1 or ty0 == ty1:
            continue
        rows = range(ty0 >> ppy, ceil_div(ty1, 1 << ppy))
        for py, px in itertools.product(rows, range(tx0 >> ppx, ceil_div(tx1, 1 << ppx))):
            tree[r][py, px] = [
                make_grid(rng, area, coding, r, band, py, px, layers, style) for band in range(3 if r else 1)
            ]
    return tree


def make_grid(rng, area, coding, r, band, py, px, layers, style):
    level = coding.levels - r + (r > 0)
    xo, yo = ((band != 1), (band != 0)) if r else (0, 0)
    half = (1 << level) // 2
    x0, y0, x1, y1 = (ceil_div(edge - half * offset, 1 << level) for edge, offset in zip(area, (xo, yo, xo, yo)))
    ppx, ppy = (n - (r > 0) for n in coding.precincts[r])
    x0, x1 = max(x0, px << ppx), min(x1, (px + 1) << ppx)
    y0, y1 = max(y0, py << ppy), min(y1, (py + 1) << ppy)
    bw, bh = 1 << min(ppx, coding.block_width), 1 << min(ppy, coding.block_height)
    corners = sorted({(y // bh, x // bw) for y in range(y0, y1) for x in range(x0, x1)})
    blocks = {corner: make_block(rng, layers, style) for corner in corners}
    grid = Grid(3 * (r - 1) + 1 + band if r else 0, blocks)
    if corners:
        top, left = corners[0]
        first = np.full((corners[-1][0] - top + 1, corners[-1][1] - left + 1), layers)
        planes = np.zeros(first.shape, int)
        for (y, x), block in blocks.items():
            first[y - top, x - left] = min(block.layers, default=layers)
            planes[y - top, x - left] = block.zero_planes
        grid.inclusion, grid.planes = TagTree(first), TagTree(planes)
    return grid


def write_packet(grids, layer):
    """Header and body of one packet (B.10)."""
    out, body = BitWriter(), b""
    if not any(layer in block.layers for grid in grids for block in grid.blocks.values()):
        out.bits(0, 1)
        return out.finish(), b""
    out.bits(1, 1)
    for grid in grids:
        for (y, x), block in grid.blocks.items():
            top, left = next(iter(grid.blocks))
            if block.passes:
                out.bits(layer in block.layers, 1)
            else:
                grid.inclusion.write(out, y - top, x - left, layer + 1)
            if layer in block.layers:
                if not block.passes:
                    grid.planes.write(out, y - top, x - left, block.zero_planes + 1)
                write_block(out, block, block.layers[layer])
                body += b"".join(data for _, data in block.layers[layer])
    return out.finish(), body


def write_block(out, block, segments):
    """Table B.4 and B.10.7."""
    passes = sum(count for count, _ in segments)
    for code, bits, lowest, highest in (
        (0b0, 1, 1, 1), (0b10, 2, 2, 2), (0b1100, 4, 3, 5), (0b111100000, 9, 6, 36), (0b111111111 << 7, 16, 37, 164),
    ):  # fmt: skip
        if lowest <= passes <= highest:
            out.bits(code + passes - lowest, bits)
    growth = max(len(data).bit_length() - (count.bit_length() - 1) - block.lblock for count, data in segments)
    growth = max(growth, 0)
    out.bits((1 << (growth + 1)) - 2, growth + 1)
    block.lblock += growth
    for count, data in segments:
        out.bits(len(data), block.lblock + count.bit_length() - 1)
    block.passes += passes


def packet_sequence(tree, area, reference, steps, coding, order, resolutions, layers):
    """B.12.1: layer, resolution, precinct, by loops over every place of the reference grid."""
    everything = [(r, p) for r in resolutions for p in tree[r]]
    if order == "LRCP":
        return [(layer, r, p) for layer in range(layers) for r, p in everything]
    if order == "RLCP":
        return [(layer, r, p) for r in resolutions for layer in range(layers) for p in tree[r]]
    places = itertools.product(range(reference[1], reference[3]), range(reference[0], reference[2]))
    starts = []
    for (y, x), r in itertools.product(places, resolutions):
        level = coding.levels - r
        ppx, ppy = coding.precincts[r]
        tx0, ty0 = ceil_div(area[0], 1 << level), ceil_div(area[1], 1 << level)
        at_x = x % (steps[0] << (ppx + level)) == 0 or (x == reference[0] and (tx0 << level) % (1 << (ppx + level)))
        at_y = y % (steps[1] << (ppy + level)) == 0 or (y == reference[1] and (ty0 << level) % (1 << (ppy + level)))
        if at_x and at_y:
            p = (ceil_div(y, steps[1] << level) >> ppy, ceil_div(x, steps[0] << level) >> ppx)
            if p in tree[r]:
                starts.append((r, p))
    if order == "RPCL":
        starts.sort(key=lambda item: item[0])
    return [(layer, r, p) for r, p in starts for layer in range(layers)]


def write_tile(tree, sequence, sop, eph, packed):
    headers, bodies, seen = b"", b"", set()
    for number, (layer, r, p) in enumerate(item for item in sequence if item not in seen and not seen.add(item)):
        header, body = write_packet(tree[r][p], layer)
        header += b"\xff\x92" if eph else b""
        bodies += b"\xff\x91\x00\x04" + (number & 0xFFFF).to_bytes(2, "big") if sop else b""
        if packed:
            headers += header
        else:
            bodies += header
        bodies += body
    return bodies, headers if packed else None
