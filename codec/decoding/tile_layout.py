"""The division of a tile into resolutions, subbands, precincts and code-blocks (T.800 Annex B.5 to B.7).

There can be as many precincts and code-blocks as samples, and 65 535 tiles: all are rows of arrays, not objects, and
the division is compiled.
"""

from typing import NamedTuple

import numpy as np

from codec.decoding.coding_parameters import BlockCoding
from codec.errors import LimitError
from codec.jit import kernel
from codec.tag_trees import count_nodes

Area = tuple[int, int, int, int]
# Precincts and code-blocks that a codestream of any length may have.
ALWAYS_ALLOWED_PRECINCTS = 2**17
ALWAYS_ALLOWED_BLOCKS = 2**16
# A code-block, or a piece of one, costs about as much memory as sixteen samples; small images may have blocks of one
# sample.
SAMPLES_PER_BLOCK = 16

# Columns of TileLayout.precincts. Positions are on the reference grid (B.12.1.3).
RESOLUTION, FIRST_BAND_ROW, BAND_ROWS, POSITION_X, POSITION_Y = range(5)
# Columns of TileLayout.precinct_bands: the part of one subband that lies in one precinct.
SUBBAND, X0, Y0, X1, Y1, GRID_X0, GRID_Y0, GRID_WIDTH, GRID_HEIGHT, FIRST_BLOCK, FIRST_NODE = range(11)
# Columns of the tables of resolutions and of subbands: the area in its own coordinates, and the exponents of precincts
# and of code-blocks. Subbands also have the number of their resolution.
AREA, WIDTH, HEIGHT, BAND_RESOLUTION = slice(0, 4), 4, 5, 6
ORIENTATIONS = "HL", "LH", "HH"
# Counts and positions are clipped to this; they exceed it only in forged headers.
MAX_COUNT = 1 << 62


class Subband(NamedTuple):
    """One subband: orientation ("LL", "HL", "LH", "HH"), level (1 the finest), and area in its own coordinates.

    The block's sizes are exponents of two.
    """

    orientation: str
    level: int
    resolution: int
    area: Area
    block_width: int
    block_height: int


class TileLayout(NamedTuple):
    """Resolutions, subbands, precincts and code-blocks of one tile-component.

    Attributes
    ----------
    band_table : numpy.ndarray
        int64 [subbands, 7]: columns AREA, WIDTH, HEIGHT and BAND_RESOLUTION, in the order of the quantisation marker
        segments.
    precincts : numpy.ndarray
        int64 [precincts, 5], resolution by resolution, each in raster order.
    precinct_bands : numpy.ndarray
        int64 [rows, 11]; a precinct's rows follow each other.
    blocks, nodes : int
        Numbers of code-blocks and of nodes of their tag trees.
    """

    band_table: np.ndarray
    precincts: np.ndarray
    precinct_bands: np.ndarray
    blocks: int
    nodes: int

    @property
    def resolutions(self) -> int:
        """Number of resolutions."""
        return len(self.band_table) // 3 + 1

    @property
    def subbands(self) -> list[Subband]:
        """The rows of `band_table`."""
        levels = len(self.band_table) // 3
        bands = []
        for index, row in enumerate(self.band_table.tolist()):
            orientation = ORIENTATIONS[(index - 1) % 3] if index else "LL"
            level = levels - row[BAND_RESOLUTION] + (index > 0)
            area = row[0], row[1], row[2], row[3]
            bands.append(Subband(orientation, level, row[BAND_RESOLUTION], area, row[WIDTH], row[HEIGHT]))
        return bands

    def rows_of(self, index: int) -> np.ndarray:
        """The rows of `precinct_bands` of one subband."""
        return self.precinct_bands[self.precinct_bands[:, SUBBAND] == index]


class LayoutBudget:
    """Limits the image, and the precincts and code-blocks of its tiles, as their tables take time and memory.

    All tiles together may have one precinct for each byte of the codestream (every precinct has a packet, and that at
    least one byte) and one code-block for each byte and each 16 pixels, and a fixed number in any case. The tables of
    one tile must also fit the memory that `max_pixels` allows.

    Parameters
    ----------
    max_pixels : int
        The largest number of pixels to allocate memory for.
    codestream_bytes : int
        Length of the codestream.
    """

    def __init__(self, max_pixels: int, codestream_bytes: int):
        self._max_pixels = max_pixels
        self.max_blocks = ALWAYS_ALLOWED_BLOCKS + max_pixels // SAMPLES_PER_BLOCK
        self._precincts = ALWAYS_ALLOWED_PRECINCTS + codestream_bytes
        self._blocks = self.max_blocks + codestream_bytes

    def check_image(self, rows: int, columns: int) -> None:
        """`LimitError` where the image has more pixels than are allowed."""
        if rows * columns > self._max_pixels:
            raise LimitError(f"{rows} x {columns} pixels: more than max_pixels={self._max_pixels}")

    def charge(self, precincts: int, blocks: int) -> None:
        """Subtract those of one tile; `LimitError` where they are too many."""
        self._precincts -= precincts
        self._blocks -= blocks
        # Rows of precincts are four times as long.
        if blocks > self.max_blocks or 4 * precincts > self.max_blocks:
            raise LimitError(
                f"a tile of {precincts} precincts and {blocks} code-blocks: the limit of memory allows "
                f"{self.max_blocks // 4} and {self.max_blocks}; raise max_pixels"
            )
        if self._precincts < 0 or self._blocks < 0:
            raise LimitError("more precincts and code-blocks than a codestream of this length can have")


def lay_out_tile(
    area: Area, reference_area: Area, steps: tuple[int, int], coding: BlockCoding, budget: LayoutBudget
) -> TileLayout:
    """Divide a tile-component.

    Parameters
    ----------
    area : tuple of int
        x0, y0, x1, y1 on the component's grid.
    reference_area : tuple of int
        The same tile on the reference grid.
    steps : tuple of int
        Horizontal and vertical sample separation of the component.
    coding : BlockCoding
        Levels, code-block and precinct sizes.
    budget : LayoutBudget
        Is charged with the tile's precincts and code-blocks before memory is allocated for them.

    Raises
    ------
    LimitError
        There are more than it allows.
    """
    resolutions = np.empty((coding.levels + 1, 6), np.int64)
    bands = np.empty((3 * coding.levels + 1, 7), np.int64)
    precincts, blocks = _divide(
        area, coding.precinct_table, coding.block_width, coding.block_height, resolutions, bands
    )
    budget.charge(precincts, blocks)
    return TileLayout(bands, *_tables(resolutions, bands, precincts, reference_area, steps))


@kernel
def _ceil_shift(value, exponent):
    """`value` / 2^exponent, rounded up."""
    return -(-value >> exponent)


@kernel
def _cells(start, end, exponent):
    """First index and number of the cells of width 2^exponent that meet [start, end)."""
    if start >= end:
        return np.int64(0), np.int64(0)
    first = start >> exponent
    return first, _ceil_shift(end, exponent) - first


@kernel
def _count_cells(row):
    """Number of cells of the area of a resolution or subband, up to `MAX_COUNT`."""
    _, across = _cells(row[0], row[2], row[WIDTH])
    _, down = _cells(row[1], row[3], row[HEIGHT])
    return across * down if across == 0 or down <= MAX_COUNT // across else np.int64(MAX_COUNT)


@kernel
def _divide(area, precincts, block_width, block_height, resolutions, bands):
    """Fill the tables of resolutions (equation B-14) and subbands (B-15); returns numbers of precincts and blocks."""
    levels = resolutions.shape[0] - 1
    precinct_count, block_count = np.int64(0), np.int64(0)
    for resolution in range(levels + 1):
        row = resolutions[resolution]
        for edge in range(4):
            row[edge] = _ceil_shift(area[edge], levels - resolution)
        row[WIDTH], row[HEIGHT] = precincts[resolution, 0], precincts[resolution, 1]
        precinct_count = min(precinct_count + _count_cells(row), np.int64(MAX_COUNT))
        halved = resolution > 0
        level = levels - resolution + halved
        for index in range(max(3 * resolution - 2, 0), 3 * resolution + 1):
            band, kind = bands[index], index - 3 * resolution + 3 if halved else 0  # bit 0: HL or HH, bit 1: LH or HH
            half = np.int64(1) << level >> 1
            for edge in range(4):
                high_pass = kind >> (edge & 1) & 1
                band[edge] = _ceil_shift(area[edge] - half * high_pass, level)
            band[WIDTH] = min(block_width, row[WIDTH] - halved)
            band[HEIGHT] = min(block_height, row[HEIGHT] - halved)
            band[BAND_RESOLUTION] = resolution
            block_count = min(block_count + _count_cells(band), np.int64(MAX_COUNT))
    return precinct_count, block_count


@kernel
def _tables(resolutions, bands, precinct_count, reference_area, steps):
    """The tables of precincts and of their bands, with the numbers of code-blocks and of tag-tree nodes."""
    levels = resolutions.shape[0] - 1
    precincts = np.empty((precinct_count, 5), np.int64)
    rows = np.empty((3 * precinct_count, 11), np.int64)  # more than are used: the lowest resolution has one band
    precinct, row, blocks, nodes = 0, 0, np.int64(0), np.int64(0)
    for resolution in range(levels + 1):
        x0, y0, x1, y1, width, height = resolutions[resolution]
        left, across = _cells(x0, x1, width)
        top, down = _cells(y0, y1, height)
        halvings, halved = levels - resolution, resolution > 0
        first_band, end_band = max(3 * resolution - 2, 0), 3 * resolution + 1
        for k in range(across * down):
            column, line = left + k % across, top + k // across
            entry = precincts[precinct]
            entry[RESOLUTION], entry[FIRST_BAND_ROW], entry[BAND_ROWS] = resolution, row, end_band - first_band
            entry[POSITION_X] = _position(column, steps[0] << (width + halvings), reference_area[0])
            entry[POSITION_Y] = _position(line, steps[1] << (height + halvings), reference_area[1])
            precinct += 1
            for index in range(first_band, end_band):
                _fill_precinct_band(bands, index, column, line, width - halved, height - halved, rows[row])
                grid_rows, grid_columns = rows[row, GRID_HEIGHT], rows[row, GRID_WIDTH]
                rows[row, FIRST_BLOCK], rows[row, FIRST_NODE] = blocks, nodes
                blocks += grid_rows * grid_columns
                nodes += count_nodes(grid_rows, grid_columns)
                row += 1
    return precincts, rows[:row], blocks, nodes


@kernel
def _position(index, scale, start):
    """Where a precinct begins on the reference grid; the first ones begin where the tile does."""
    return max(index * scale if index <= MAX_COUNT // scale else np.int64(MAX_COUNT), start)


@kernel
def _fill_precinct_band(bands, index, column, line, width, height, part):
    """Fill in the part of a subband that lies in the precinct of a column and line, but for its running sums."""
    x0, y0, x1, y1, block_width, block_height, _ = bands[index]
    left, right = min(max(column << width, x0), x1), min(max((column + 1) << width, x0), x1)
    top, bottom = min(max(line << height, y0), y1), min(max((line + 1) << height, y0), y1)
    part[SUBBAND], part[X0], part[Y0], part[X1], part[Y1] = index, left, top, right, bottom
    part[GRID_X0], part[GRID_Y0] = left >> block_width, top >> block_height
    part[GRID_WIDTH] = ((right - 1) >> block_width) + 1 - part[GRID_X0] if left < right else 0
    part[GRID_HEIGHT] = ((bottom - 1) >> block_height) + 1 - part[GRID_Y0] if top < bottom else 0
