"""What a codestream holds, subband by subband: code-blocks, coding passes, bytes and binary decisions.

The number of decisions is the work of the arithmetic coder (T.800 Annex D).
"""

from dataclasses import dataclass

import numpy as np

from codec.decoding.block_state import SubbandCoding
from codec.decoding.codestream import TileParameters
from codec.decoding.codestream_reader import read_codestream
from codec.decoding.losses import Losses
from codec.decoding.packet_header_reader import FIRST_PASS, LENGTH, NEXT, PASSES
from codec.decoding.packet_results import Contributions
from codec.decoding.subband_decoder import block_area, decode_subband
from codec.decoding.tile_layout import (
    FIRST_BLOCK,
    GRID_HEIGHT,
    GRID_WIDTH,
    LayoutBudget,
    Subband,
    TileLayout,
)
from codec.decoding.tile_reader import read_tile
from codec.errors import UnsupportedCodestreamError
from codec.jit import kernel
from codec.mq_tables import ORIENTATION_CLASSES, ZERO_CODING_CONTEXTS
from codec.options import as_bytes


@dataclass(frozen=True)
class SubbandContents:
    """What a codestream holds of one subband of one tile.

    Attributes
    ----------
    tile : int
    orientation : str
        "LL", "HL", "LH" or "HH".
    level : int
        Decomposition level, 1 the finest.
    code_blocks : int
        Code-blocks with at least one coding pass.
    passes, segment_bytes : int
        Coding passes, and bytes of codeword segments.
    decisions : int
        Binary decisions of these passes, signs and run lengths included.
    """

    tile: int
    orientation: str
    level: int
    code_blocks: int
    passes: int
    segment_bytes: int
    decisions: int


def inspect_codestream(codestream: bytes, *, max_pixels: int = 2**28) -> list[SubbandContents]:
    """Count what a codestream holds of each subband, in the order of the codestream.

    The decisions follow from the decoded coefficients. A pass that is truncated counts as a whole.

    Parameters
    ----------
    codestream : bytes
        With MQ codewords of the default code-block style only, as this codec's encoder writes them.
    max_pixels : int
        The largest number of pixels to allocate memory for.

    Raises
    ------
    CodestreamError, LimitError
        As `codec.decode`, which says what a damaged codestream is.
    UnsupportedCodestreamError
        As `codec.decode`, or another code-block style, or a region of interest.

    Warns
    -----
    TruncatedWarning
        The codestream ends early.
    """
    codestream = as_bytes(codestream)
    parsed = read_codestream(codestream)
    budget = LayoutBudget(max_pixels, len(codestream))
    losses = Losses(parsed, strict=True)
    losses.add_absent_tiles(0)
    contents = []
    for tile in parsed.tiles.values():
        parameters = parsed.parameters(tile)
        coding = parameters.block_coding
        if coding.style or parameters.roi_shift:
            raise UnsupportedCodestreamError(f"decisions of code-block style {coding.style:#x} or a region of interest")
        layout, contributions, count = read_tile(parsed.size, tile, parameters, budget)
        losses.add(tile, count)
        totals = _block_totals(layout, contributions)
        contents += [
            _subband_contents(tile.index, index, band, layout, contributions, parameters, totals)
            for index, band in enumerate(layout.subbands)
        ]
    losses.warn()
    return contents


def _block_totals(layout: TileLayout, contributions: Contributions) -> tuple[np.ndarray, np.ndarray]:
    """int64 [blocks] each: coding passes and bytes of every code-block."""
    passes, lengths = np.zeros(layout.blocks, np.int64), np.zeros(layout.blocks, np.int64)
    for block in np.flatnonzero(contributions.first >= 0):
        piece = int(contributions.first[block])
        while piece >= 0:
            passes[block] = contributions.pieces[piece, FIRST_PASS] + contributions.pieces[piece, PASSES]
            lengths[block] += contributions.pieces[piece, LENGTH]
            piece = int(contributions.pieces[piece, NEXT])
    return passes, lengths


def _subband_contents(
    tile: int,
    index: int,
    band: Subband,
    layout: TileLayout,
    contributions: Contributions,
    parameters: TileParameters,
    totals: tuple[np.ndarray, np.ndarray],
) -> SubbandContents:
    """Contents of one subband; its coefficients are decoded as integers for that."""
    passes, lengths = totals
    x0, y0, x1, y1 = band.area
    rows = layout.rows_of(index)
    coefficients = np.zeros((y1 - y0, x1 - x0), np.int32)
    coding = SubbandCoding(
        x0=x0,
        y0=y0,
        block_width=band.block_width,
        block_height=band.block_height,
        planes=parameters.quantization.magnitude_bits(index, band.level, parameters.block_coding.levels),
        roi_shift=0,
        block_style=0,
        zero_coding=ZERO_CODING_CONTEXTS[ORIENTATION_CLASSES[band.orientation]],
        half_step=np.float32(1),
        reversible=True,
    )
    decode_subband(contributions, rows, coding, coefficients, 0, 1)
    decisions = _count_subband(np.abs(coefficients), rows, coding, contributions.zero_planes, passes)
    members = np.concatenate(
        [np.arange(row[FIRST_BLOCK], row[FIRST_BLOCK] + row[GRID_WIDTH] * row[GRID_HEIGHT]) for row in rows]
        or [np.zeros(0, np.int64)]
    )
    return SubbandContents(
        tile=tile,
        orientation=band.orientation,
        level=band.level,
        code_blocks=int(np.count_nonzero(passes[members])),
        passes=int(passes[members].sum()),
        segment_bytes=int(lengths[members].sum()),
        decisions=int(decisions),
    )


@kernel
def _count_subband(magnitudes, rows, coding, zero_planes, passes):
    """Decisions of a subband's code-blocks."""
    total = 0
    for row in range(rows.shape[0]):
        for k in range(rows[row, GRID_WIDTH] * rows[row, GRID_HEIGHT]):
            block = rows[row, FIRST_BLOCK] + k
            if passes[block] == 0:
                continue
            left, right, top, bottom = block_area(rows[row], k, coding.block_width, coding.block_height)
            part = magnitudes[top - coding.y0 : bottom - coding.y0, left - coding.x0 : right - coding.x0]
            total += count_block(part, coding.planes - zero_planes[block], passes[block])
    return total


@kernel
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


@kernel
def _any_around(significant, top, bottom, x):
    """Whether any coefficient in or around rows [top, bottom) of column x is significant."""
    return significant[top : bottom + 2, x : x + 3].any()


@kernel
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
