"""The division of a tile into resolutions, subbands, precincts and code-blocks (T.800 Annex B.5 to B.7).

There can be as many precincts and code-blocks as samples, so they are rows of arrays, not objects.
"""

from dataclasses import dataclass

import numpy as np

from codec.decoding.coding_parameters import BlockCoding, ceil_div
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


@dataclass(frozen=True)
class Subband:
    """One subband: orientation ("LL", "HL", "LH", "HH"), level (1 the finest), and area in its own coordinates."""

    orientation: str
    level: int
    resolution: int
    area: Area
    block_width: int
    block_height: int


@dataclass(frozen=True)
class TileLayout:
    """Resolutions, subbands, precincts and code-blocks of one tile-component.

    Attributes
    ----------
    resolutions : list of tuple
        x0, y0, x1, y1 of each resolution, lowest first.
    subbands : list of Subband
        In the order of the quantisation marker segments.
    precincts : numpy.ndarray
        int64 [precincts, 5], resolution by resolution, each in raster order.
    precinct_bands : numpy.ndarray
        int64 [rows, 11]; a precinct's rows follow each other.
    blocks, nodes : int
        Numbers of code-blocks and of nodes of their tag trees.
    """

    resolutions: list[Area]
    subbands: list[Subband]
    precincts: np.ndarray
    precinct_bands: np.ndarray
    blocks: int
    nodes: int


class LayoutBudget:
    """Limits the precincts and code-blocks of a codestream's tiles, as their tables take time and memory.

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
        self.max_blocks = ALWAYS_ALLOWED_BLOCKS + max_pixels // SAMPLES_PER_BLOCK
        self._precincts = ALWAYS_ALLOWED_PRECINCTS + codestream_bytes
        self._blocks = self.max_blocks + codestream_bytes

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


def _resolution_area(area: Area, halvings: int) -> Area:
    """Equation B-14."""
    x0, y0, x1, y1 = area
    scale = 1 << halvings
    return ceil_div(x0, scale), ceil_div(y0, scale), ceil_div(x1, scale), ceil_div(y1, scale)


def _subband_area(area: Area, level: int, orientation: str) -> Area:
    """Equation B-15."""
    if level == 0:
        return area
    scale, half = 1 << level, 1 << (level - 1)
    across = half if orientation in ("HL", "HH") else 0
    down = half if orientation in ("LH", "HH") else 0
    x0, y0, x1, y1 = area
    return (
        ceil_div(x0 - across, scale),
        ceil_div(y0 - down, scale),
        ceil_div(x1 - across, scale),
        ceil_div(y1 - down, scale),
    )


def _subbands(area: Area, coding: BlockCoding) -> list[Subband]:
    bands = []
    for resolution in range(coding.levels + 1):
        width, height = coding.precincts[resolution]
        level = coding.levels - resolution + (resolution > 0)
        for orientation in ("HL", "LH", "HH") if resolution else ("LL",):
            block_width = min(coding.block_width, width - (resolution > 0))
            block_height = min(coding.block_height, height - (resolution > 0))
            band_area = _subband_area(area, level, orientation)
            bands.append(Subband(orientation, level, resolution, band_area, block_width, block_height))
    return bands


def _grid(start: int, end: int, exponent: int) -> tuple[int, int]:
    """First and end index of the cells of width 2^exponent that meet [start, end); (0, 0) where it is empty."""
    return (start >> exponent, ceil_div(end, 1 << exponent)) if start < end else (0, 0)


def _cells(area: Area, width: int, height: int) -> int:
    left, right = _grid(area[0], area[2], width)
    top, bottom = _grid(area[1], area[3], height)
    return (right - left) * (bottom - top)


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
    resolutions = [_resolution_area(area, coding.levels - r) for r in range(coding.levels + 1)]
    subbands = _subbands(area, coding)
    precincts = sum(_cells(a, *size) for a, size in zip(resolutions, coding.precincts))
    blocks = sum(_cells(band.area, band.block_width, band.block_height) for band in subbands)
    budget.charge(precincts, blocks)
    numbered = list(enumerate(subbands))
    precinct_rows, band_rows, first_row = [], [], 0
    for resolution, resolution_area in enumerate(resolutions):
        exponents = coding.precincts[resolution]
        bands = numbered[max(3 * resolution - 2, 0) : 3 * resolution + 1]
        columns = np.arange(*_grid(resolution_area[0], resolution_area[2], exponents[0]))
        rows = np.arange(*_grid(resolution_area[1], resolution_area[3], exponents[1]))
        if len(columns) * len(rows) == 0:
            continue
        table = np.zeros((len(rows), len(columns), 5), dtype=np.int64)
        table[..., RESOLUTION] = resolution
        table[..., FIRST_BAND_ROW] = first_row + len(bands) * np.arange(table[..., 0].size).reshape(table.shape[:2])
        table[..., BAND_ROWS] = len(bands)
        halvings = coding.levels - resolution
        scale_x, scale_y = steps[0] << (exponents[0] + halvings), steps[1] << (exponents[1] + halvings)
        table[..., POSITION_X] = _positions(columns, scale_x, reference_area[0])
        table[..., POSITION_Y] = _positions(rows, scale_y, reference_area[1])[:, None]
        first_row += table[..., 0].size * len(bands)
        precinct_rows.append(table.reshape(-1, 5))
        halved = resolution > 0
        band_rows.append(_precinct_bands(bands, columns, rows, exponents[0] - halved, exponents[1] - halved))
    return _assemble(resolutions, subbands, precinct_rows, band_rows)


def _positions(indices: np.ndarray, scale: int, start: int) -> np.ndarray:
    """Where precincts begin on the reference grid; the first ones begin where the tile does.

    Only the first precinct can have index 0 or begin before the tile, so the product is formed in Python's integers
    and clipped to the range of an int64: it exceeds that only for forged sample separations and 32 levels.
    """
    return np.array([min(max(int(index) * scale, start), 2**62) for index in indices], dtype=np.int64)


def _precinct_bands(
    bands: list[tuple[int, Subband]], columns: np.ndarray, rows: np.ndarray, width: int, height: int
) -> np.ndarray:
    """Rows of `TileLayout.precinct_bands` of one resolution, without the last two columns' running sums."""
    table = np.zeros((len(rows), len(columns), len(bands), 11), dtype=np.int64)
    described = np.array([(index, *band.area, band.block_width, band.block_height) for index, band in bands], np.int64)
    _fill_precinct_bands(described, columns[0], rows[0], width, height, table)
    return table.reshape(-1, 11)


@kernel
def _fill_precinct_bands(bands, first_column, first_row, width, height, table):
    """Fill in all rows. Compiled, because many small tiles have tables of one row or three."""
    for row in range(table.shape[0]):
        for column in range(table.shape[1]):
            for k in range(table.shape[2]):
                index, x0, y0, x1, y1, block_width, block_height = bands[k]
                left = min(max((first_column + column) << width, x0), x1)
                right = min(max((first_column + column + 1) << width, x0), x1)
                top = min(max((first_row + row) << height, y0), y1)
                bottom = min(max((first_row + row + 1) << height, y0), y1)
                part = table[row, column, k]
                part[SUBBAND], part[X0], part[Y0], part[X1], part[Y1] = index, left, top, right, bottom
                part[GRID_X0], part[GRID_Y0] = left >> block_width, top >> block_height
                if left < right:
                    part[GRID_WIDTH] = ((right - 1) >> block_width) + 1 - part[GRID_X0]
                if top < bottom:
                    part[GRID_HEIGHT] = ((bottom - 1) >> block_height) + 1 - part[GRID_Y0]


@kernel
def _count_all_nodes(rows, columns):
    """Nodes of the tag tree over each grid of code-blocks."""
    nodes = np.empty(rows.size, np.int64)
    for grid in range(rows.size):
        nodes[grid] = count_nodes(rows[grid], columns[grid])
    return nodes


def _assemble(resolutions: list[Area], subbands: list[Subband], precinct_rows: list, band_rows: list) -> TileLayout:
    """Join the resolutions' rows, and number all code-blocks and tag-tree nodes."""
    precincts = np.concatenate([np.zeros((0, 5), dtype=np.int64), *precinct_rows])
    table = np.concatenate([np.zeros((0, 11), dtype=np.int64), *band_rows])
    width, height = table[:, GRID_WIDTH], table[:, GRID_HEIGHT]
    blocks = width * height
    nodes = _count_all_nodes(height, width)
    for column, counts in ((FIRST_BLOCK, blocks), (FIRST_NODE, nodes)):
        table[:, column] = np.cumsum(counts) - counts
    return TileLayout(resolutions, subbands, precincts, table, int(blocks.sum()), int(nodes.sum()))
