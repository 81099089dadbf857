"""How many binary decisions a codestream holds: what its arithmetic coder had to do (T.800 Annex D)."""

from __future__ import annotations

import numba
import numpy as np

from codec.decoding.codestream_reader import read_codestream
from codec.decoding.packet_header_reader import FIRST_PASS, NEXT, PASSES
from codec.decoding.packet_reader import read_packets
from codec.decoding.subband_decoder import decode_subband
from codec.decoding.tile_layout import (
    FIRST_BLOCK,
    GRID_HEIGHT,
    GRID_WIDTH,
    GRID_X0,
    GRID_Y0,
    SUBBAND,
    X0,
    X1,
    Y0,
    Y1,
    LayoutBudget,
    lay_out_tile,
)
from codec.mq_tables import ORIENTATION_CLASSES, ZERO_CODING_CONTEXTS

ENOUGH = 1 << 24


def count_decisions(codestream: bytes) -> int:
    """Decisions that the coding passes in a codestream of ours consist of, signs and run lengths included.

    The decoded coefficients tell them all: a pass is empty of what was not coded.
    """
    parsed = read_codestream(codestream)
    (tile,) = parsed.tiles.values()
    parameters = parsed.parameters(tile)
    coding, size = parameters.block_coding, parsed.size
    layout = lay_out_tile(size.tile_component_area(0), size.tile_area(0), (1, 1), coding, LayoutBudget(ENOUGH, ENOUGH))
    found = read_packets(
        b"".join(tile.bodies), None, layout, parameters.progressions, parameters.coding_style, coding.style,
        resolutions=coding.levels + 1, layers=parameters.coding_style.layers, max_pieces=ENOUGH,
    )  # fmt: skip
    passes = np.zeros(layout.blocks, np.int64)
    for block in np.flatnonzero(found.first >= 0):
        piece = int(found.first[block])
        while piece >= 0:
            passes[block] = found.pieces[piece, FIRST_PASS] + found.pieces[piece, PASSES]
            piece = int(found.pieces[piece, NEXT])
    total = 0
    for index, band in enumerate(layout.subbands):
        x0, y0, x1, y1 = band.area
        planes = parameters.quantization.magnitude_bits(index, band.level, coding.levels)
        rows = layout.precinct_bands[layout.precinct_bands[:, SUBBAND] == index]
        coefficients = np.zeros((y1 - y0, x1 - x0), np.int32)
        table = ZERO_CODING_CONTEXTS[ORIENTATION_CLASSES[band.orientation]]
        decode_subband(
            found.data, found.pieces, found.first, found.truncated, found.zero_planes, rows, x0, y0, band.block_width,
            band.block_height, planes, 0, coding.style, table, np.float32(1), True, coefficients, 0, 1,
        )  # fmt: skip
        magnitudes = np.abs(coefficients)
        blocks = (planes - found.zero_planes.astype(np.int64), passes)
        total += _count_subband(magnitudes, rows, x0, y0, band.block_width, band.block_height, *blocks)
    return total


@numba.njit(nogil=True, cache=True)
def _count_subband(magnitudes, rows, x0, y0, block_width, block_height, planes, passes):
    total = 0
    for row in range(rows.shape[0]):
        width = rows[row, GRID_WIDTH]
        for k in range(width * rows[row, GRID_HEIGHT]):
            block = rows[row, FIRST_BLOCK] + k
            if passes[block] == 0:
                continue
            column, line = rows[row, GRID_X0] + k % width, rows[row, GRID_Y0] + k // width
            left, right = max(rows[row, X0], column << block_width), min(rows[row, X1], (column + 1) << block_width)
            top, bottom = max(rows[row, Y0], line << block_height), min(rows[row, Y1], (line + 1) << block_height)
            part = magnitudes[top - y0 : bottom - y0, left - x0 : right - x0]
            total += count_block(part, planes[block], passes[block])
    return total


@numba.njit(nogil=True, cache=True)
def count_block(magnitudes, planes, passes):
    """Decisions of the first `passes` coding passes over a code-block with `planes` bit-planes."""
    height, width = magnitudes.shape
    significant = np.zeros((height + 2, width + 2), np.uint8)  # with a border
    coded = np.zeros((height, width), np.uint8)
    total, kind, plane = 0, 2, planes - 1
    for _ in range(passes):
        for top in range(0, height, 4):
            bottom = min(top + 4, height)
            for x in range(width):
                y = top
                if kind == 2 and bottom - top == 4 and not _any_around(significant, top, bottom, x):
                    total += 1
                    while y < bottom and not (magnitudes[y, x] >> plane) & 1:
                        y += 1
                    if y == bottom:
                        continue
                    total += 3  # two bits of the run's length, and the sign
                    significant[y + 1, x + 1] = 1
                    y += 1
                while y < bottom:
                    total += _decide(magnitudes, significant, coded, y, x, plane, kind)
                    y += 1
        if kind == 2:
            coded[:] = 0
            plane -= 1
        kind = (kind + 1) % 3
    return total


@numba.njit(nogil=True, cache=True)
def _any_around(significant, top, bottom, x):
    """Whether any coefficient in or around rows [top, bottom) of column x is significant."""
    return significant[top : bottom + 2, x : x + 3].any()


@numba.njit(nogil=True, cache=True)
def _decide(magnitudes, significant, coded, y, x, plane, kind):
    """Decisions about one coefficient in a pass: 0 significance propagation, 1 refinement, 2 cleanup."""
    if kind == 1:
        return np.int64(significant[y + 1, x + 1] and not coded[y, x])
    if significant[y + 1, x + 1] or coded[y, x]:
        return np.int64(0)
    if kind == 0 and not _any_around(significant, y, y + 1, x):
        return np.int64(0)
    if kind == 0:
        coded[y, x] = 1
    if (magnitudes[y, x] >> plane) & 1:
        significant[y + 1, x + 1] = 1
        return np.int64(2)
    return np.int64(1)
