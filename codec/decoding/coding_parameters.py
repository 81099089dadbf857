"""The parameters in marker segments: image size, coding style, progression (T.800 A.5, A.6).

Each class reads itself from the body of its marker segment (the bytes after marker and length) and checks every
field, so that its users need no checks.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codec.errors import CodestreamError, UnsupportedCodestreamError
from codec.markers import unpack_fields
from codec.packets import LOG2_MAX_PRECINCT

MAX_PRECISION = 16
MAX_LEVELS = 32  # Table A.20
MAX_TILES = 65535
MAX_PROGRESSION_CHANGES = 64
PROGRESSION_ORDERS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")

# Code-block style, Table A.19. Predictable termination, 16, needs nothing of a decoder.
BYPASS = 1
RESET_CONTEXTS = 2
TERMINATE_EACH_PASS = 4
VERTICALLY_CAUSAL = 8
SEGMENTATION_SYMBOLS = 32


def ceil_div(dividend: int, divisor: int) -> int:
    """Quotient rounded up."""
    return -(-dividend // divisor)


@dataclass(frozen=True)
class ImageSize:
    """SIZ (T.800 A.5.1): the reference grid, its tiles, and the one component.

    Image area and tiles are on the reference grid as left, top (inclusive) and right, bottom (exclusive).
    """

    x0: int
    y0: int
    x1: int
    y1: int
    tile_x0: int
    tile_y0: int
    tile_width: int
    tile_height: int
    precision: int
    signed: bool
    step_x: int
    step_y: int

    @classmethod
    def read(cls, body: bytes) -> "ImageSize":
        """Parse and check a SIZ marker segment."""
        _, x1, y1, x0, y0, width, height, tile_x0, tile_y0, components = unpack_fields("HIIIIIIIIH", body, 0, "SIZ")
        if components != 1:
            raise UnsupportedCodestreamError(f"{components} components: only greyscale (one) is decoded")
        depth, step_x, step_y = unpack_fields("BBB", body, 36, "SIZ")
        size = cls(
            x0, y0, x1, y1, tile_x0, tile_y0, width, height, (depth & 127) + 1, depth > 127, step_x, step_y
        )  # fmt: skip
        size._check()
        return size

    def _check(self) -> None:
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise CodestreamError("SIZ: the image area is empty")
        if self.step_x == 0 or self.step_y == 0:
            raise CodestreamError("SIZ: the sample separation is 0")
        if self.tile_width == 0 or self.tile_height == 0:
            raise CodestreamError("SIZ: the tile size is 0")
        if not (self.tile_x0 <= self.x0 < self.tile_x0 + self.tile_width):
            raise CodestreamError("SIZ: the first tile does not overlap the image horizontally")
        if not (self.tile_y0 <= self.y0 < self.tile_y0 + self.tile_height):
            raise CodestreamError("SIZ: the first tile does not overlap the image vertically")
        if self.tiles > MAX_TILES:
            raise CodestreamError(f"SIZ: {self.tiles} tiles; at most {MAX_TILES} are possible")
        if self.precision > MAX_PRECISION:
            raise UnsupportedCodestreamError(f"samples of {self.precision} bits: at most {MAX_PRECISION} are decoded")

    @cached_property
    def tiles_across(self) -> int:
        """Number of tiles in a row (equation B-5)."""
        return ceil_div(self.x1 - self.tile_x0, self.tile_width)

    @cached_property
    def tiles(self) -> int:
        """Number of tiles (equation B-5)."""
        return self.tiles_across * ceil_div(self.y1 - self.tile_y0, self.tile_height)

    def component_area(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of the component on its own grid (equation B-1)."""
        return self.on_component_grid((self.x0, self.y0, self.x1, self.y1))

    def tile_area(self, tile: int) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of one tile on the reference grid (equations B-6 to B-10)."""
        down, across = divmod(tile, self.tiles_across)
        left = self.tile_x0 + across * self.tile_width
        top = self.tile_y0 + down * self.tile_height
        right, bottom = left + self.tile_width, top + self.tile_height
        return max(left, self.x0), max(top, self.y0), min(right, self.x1), min(bottom, self.y1)

    def tile_component_area(self, tile: int, reduce: int = 0) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of one tile on the component's own grid (equations B-12, B-14), `reduce` resolutions down."""
        x0, y0, x1, y1 = self.on_component_grid(self.tile_area(tile))
        scale = 1 << reduce
        return ceil_div(x0, scale), ceil_div(y0, scale), ceil_div(x1, scale), ceil_div(y1, scale)

    def on_component_grid(self, area: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """An area of the reference grid on the component's own grid (equation B-12)."""
        (x0, y0, x1, y1), dx, dy = area, self.step_x, self.step_y
        return ceil_div(x0, dx), ceil_div(y0, dy), ceil_div(x1, dx), ceil_div(y1, dy)


@dataclass(frozen=True)
class BlockCoding:
    """The part of COD that COC can replace (T.800 Table A.20): levels, code-blocks, transform, precincts.

    Widths and heights are exponents of two; `precincts` holds one (width, height) per resolution, lowest first.
    """

    levels: int
    block_width: int
    block_height: int
    style: int
    reversible: bool
    precincts: tuple[tuple[int, int], ...]

    @cached_property
    def precinct_table(self) -> np.ndarray:
        """`precincts` as int64 [resolutions, 2]."""
        return np.array(self.precincts, dtype=np.int64)

    @classmethod
    def read(cls, body: bytes, offset: int, has_precincts: bool, marker: str) -> "BlockCoding":
        """Parse and check the fields from `offset` on."""
        levels, width, height, style, transform = unpack_fields("BBBBB", body, offset, marker)
        width, height = width + 2, height + 2
        if levels > MAX_LEVELS:
            raise CodestreamError(f"{marker}: {levels} decomposition levels; at most {MAX_LEVELS} are possible")
        if width > 10 or height > 10 or width + height > 12:
            raise CodestreamError(f"{marker}: code-blocks of 2^{width} x 2^{height} samples are too large")
        if style >= 64:
            raise UnsupportedCodestreamError(f"{marker}: code-block style {style:#x} (high throughput or unknown)")
        if transform > 1:
            raise UnsupportedCodestreamError(f"{marker}: wavelet transform {transform}")
        precincts = ((LOG2_MAX_PRECINCT, LOG2_MAX_PRECINCT),) * (levels + 1)
        if has_precincts:
            sizes = unpack_fields(f"{levels + 1}B", body, offset + 5, marker)
            precincts = tuple((size & 15, size >> 4) for size in sizes)
        if any(min(size) == 0 for size in precincts[1:]):
            raise CodestreamError(f"{marker}: a precinct of width or height 1 above the lowest resolution")
        return cls(levels, width, height, style, transform == 1, precincts)


@dataclass(frozen=True)
class CodingStyle:
    """COD (T.800 A.6.1) without the part that COC can replace: packet markers, progression order, layers."""

    may_have_sop: bool
    has_eph: bool
    order: str
    layers: int

    @classmethod
    def read(cls, body: bytes) -> "CodingStyle":
        """Parse and check the first fields of a COD marker segment."""
        style, order, layers = unpack_fields("BBH", body, 0, "COD")
        if order >= len(PROGRESSION_ORDERS):
            raise CodestreamError(f"COD: progression order {order} is not defined")
        if layers == 0:
            raise CodestreamError("COD: 0 layers")
        return cls(bool(style & 2), bool(style & 4), PROGRESSION_ORDERS[order], layers)


@dataclass(frozen=True)
class Progression:
    """One progression: the default one of COD, or one entry of POC (T.800 A.6.6)."""

    order: str
    first_resolution: int
    end_resolution: int
    end_layer: int


def read_progressions(body: bytes) -> list[Progression]:
    """Parse and check a POC marker segment for the one component."""
    progressions = []
    for offset in range(0, len(body), 7):
        first, _, end_layer, end, _, order = unpack_fields("BBHBBB", body, offset, "POC")
        if order >= len(PROGRESSION_ORDERS):
            raise CodestreamError(f"POC: progression order {order} is not defined")
        progressions.append(Progression(PROGRESSION_ORDERS[order], first, end, end_layer))
    return progressions
