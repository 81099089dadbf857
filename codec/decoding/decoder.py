"""Decoding a codestream into pixels (T.800 Annexes A to H)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from codec.decoding.codestream import Codestream, Tile, TileParameters
from codec.decoding.codestream_reader import read_codestream
from codec.decoding.coding_parameters import ImageSize, ceil_div
from codec.decoding.inverse_transform import inverse_53, inverse_97
from codec.decoding.jp2_reader import codestream_of
from codec.decoding.losses import Losses
from codec.decoding.packet_results import Contributions
from codec.decoding.subband_decoder import TileCoding, decode_subbands
from codec.decoding.tile_layout import AREA, LayoutBudget, TileLayout
from codec.decoding.tile_reader import read_tile
from codec.errors import CodestreamError, UnsupportedCodestreamError
from codec.mq_tables import ORIENTATION_CLASSES
from codec.options import whole_number
from codec.subbands import subband_names
from codec.workers import Workers

SMALL_TILE = 1 << 16  # samples


def decode(
    codestream: bytes,
    *,
    reduce: int = 0,
    layers: int | None = None,
    max_pixels: int = 2**28,
    threads: int = 1,
    strict: bool = True,
) -> np.ndarray:
    """Decode a greyscale JPEG 2000 Part 1 codestream (ITU-T T.800 | ISO/IEC 15444-1), or a JP2 file that holds one.

    A codestream that ends early gives the image that its bytes allow, and a warning. A damaged one is an error, or with
    ``strict=False`` an image of what is left, and a warning. The notes have the rule that tells them apart.

    Parameters
    ----------
    codestream : bytes
        From the SOC marker on, or a JP2 file; also any other object that holds bytes.
    reduce : int
        Number of finest resolutions to leave out: the image has 1 / 2^reduce of its size.
    layers : int or None
        Number of quality layers to decode; None for all.
    max_pixels : int
        The largest number of pixels to allocate memory for.
    threads : int
        Number of threads.
    strict : bool
        Whether damage is an error. Otherwise each tile is decoded up to its first packet that contradicts the standard,
        and reading goes on at the next tile-part that can be found.

    Returns
    -------
    numpy.ndarray
        uint8 or uint16 [rows, columns], by the samples' precision; int8 or int16 where they are signed. A subsampled
        component is on its own grid.

    Raises
    ------
    CodestreamError
        The bytes are no JPEG 2000 codestream, its headers contradict each other, or it has too few resolutions; or, if
        `strict`, it is damaged. The message says what is wrong at which byte of which tile.
    UnsupportedCodestreamError
        It has features that this decoder does not have: several components, more than 16 bits, high-throughput blocks.
    LimitError
        The image has more than `max_pixels` pixels, or tables for its code-blocks and their pieces would need more
        memory.
    OptionError
        `reduce` or `max_pixels` below 0, `layers` or `threads` below 1.

    Warns
    -----
    TruncatedWarning
        The codestream ends early. Its attributes say which tiles and packets are missing.
    DamageWarning
        The codestream is damaged, and `strict` is False.

    Notes
    -----
    A codestream *ends early* where its data stop before the last packet that its headers signal, and nothing before
    contradicts these headers. Either there is no EOC, and the data stop in a tile-part or between two. Or there is, but
    a tile was shortened: it has its TNsot tile-parts, or the last of all, and stops there after a whole packet.

    Where anything else is missing or contradictory, the codestream is *damaged*: bytes between tile-parts; a Psot that
    reaches into another tile-part or beyond EOC; tile-parts that are missing or out of order (TPsot, TNsot), tiles
    without any; a packet with an impossible header, a wrong number in its SOP marker segment, or without the EPH marker
    that COD signals; a packet that its tile ends within; bytes after the last packet of a tile.

    Only what the image needs is missed: with `reduce` and `layers`, packets of other resolutions and layers are not.
    Harmless as long as no packet is missing: no EOC, zeros before it, anything after it, a wrong TNsot, a Psot of the
    last tile-part that is too large. The bytes of code-blocks are not checked, segmentation symbols (D.5) included: if
    they change, pixels change.

    OpenJPEG (2.5.0 to 2.5.4) shows other pixels where a region of interest (RGN, Annex H) with the shift s meets either
    of these; a decoder that imitates both gives OpenJPEG's pixels:

    - Arithmetic coding bypass begins with the fifth significant bit-plane of a code-block, which is its 11th pass (D.6,
      Table D.9), of the M_b + s planes that it has with the shift (equation H-1). OpenJPEG finds the passes' segments
      so, but decides which are raw by the planes without s: it takes raw ones of the next s planes for arithmetic ones.
      It does so with its own encoder's codestreams too. Grok 10.0.5 does not.
    - A coefficient belongs to the region if any of its first M_b of M_b + s bits is 1 (H.1): from 2^s on. OpenJPEG
      compares its magnitudes, which it holds times two, with 2^s, and so shifts background from 2^(s-1) on too, as
      Grok does.
    """
    reduce, max_pixels = whole_number("reduce", reduce, 0), whole_number("max_pixels", max_pixels, 0)
    layers = None if layers is None else whole_number("layers", layers, 1)
    workers = Workers(threads)
    codestream = codestream_of(codestream)
    parsed = read_codestream(codestream, strict)
    levels = min(parsed.parameters(tile).block_coding.levels for tile in parsed.tiles.values())
    if reduce > levels:
        raise CodestreamError(f"reduce={reduce}: the codestream has only {levels} decomposition levels")
    x0, y0, x1, y1 = (ceil_div(edge, 1 << reduce) for edge in parsed.size.component_area())
    if x0 == x1 or y0 == y1:
        raise CodestreamError("the image has no samples at this resolution")
    budget = LayoutBudget(max_pixels, len(codestream))
    budget.check_image(y1 - y0, x1 - x0)
    losses = Losses(parsed, strict)
    losses.add_absent_tiles(reduce)
    pixels = _blank_image(parsed.size, (y1 - y0, x1 - x0))
    with workers:
        request = _Request(reduce, layers, budget, workers, losses)
        for tile in parsed.tiles.values():
            left, top, right, bottom = parsed.size.tile_component_area(tile.index, reduce)
            if left < right and top < bottom:
                part = pixels[top - y0 : bottom - y0, left - x0 : right - x0]
                _decode_tile(parsed, tile, parsed.parameters(tile), request, part, (top, left))
    losses.warn()
    return pixels


@dataclass(frozen=True)
class _Request:
    """What `decode` shares with every tile."""

    reduce: int
    layers: int | None
    budget: LayoutBudget
    workers: Workers
    losses: Losses


def _sample_range(size: ImageSize) -> dict[str, Any]:
    """Level shift and range of the samples (G.1.2)."""
    half = 1 << (size.precision - 1)
    if size.signed:
        return {"level_shift": 0, "lowest": -half, "largest": half - 1}
    return {"level_shift": half, "lowest": 0, "largest": 2 * half - 1}


def _blank_image(size: ImageSize, shape: tuple[int, int]) -> np.ndarray:
    """The image where all tiles are missing: every coefficient is 0."""
    dtype = f"{'int' if size.signed else 'uint'}{8 if size.precision <= 8 else 16}"
    return np.full(shape, _sample_range(size)["level_shift"], dtype=dtype)


def _decode_tile(
    parsed: Codestream,
    tile: Tile,
    parameters: TileParameters,
    request: _Request,
    pixels: np.ndarray,
    origin: tuple[int, int],
) -> None:
    """Decode one tile into its part of the image."""
    if not tile.has_packets:
        request.losses.add(tile)
        return
    size, coding = parsed.size, parameters.block_coding
    resolutions = coding.levels + 1 - request.reduce
    layout, contributions, count = read_tile(
        size, tile, parameters, request.budget, resolutions=resolutions, layers=request.layers
    )
    request.losses.add(tile, count)
    if not len(contributions.pieces):
        return  # the image is blank there already
    bands = _decoded_bands(layout, contributions, _tile_coding(parameters, size.precision), resolutions, request)
    inverse = inverse_53 if coding.reversible else inverse_97
    inverse(bands, pixels, resolutions - 1, origin=origin, workers=request.workers, **_sample_range(size))


@lru_cache(maxsize=4)
def _tile_coding(parameters: TileParameters, precision: int) -> TileCoding:
    """How the code-blocks of tiles with these parameters are coded."""
    levels, quantization = parameters.block_coding.levels, parameters.quantization
    bands = list(enumerate(subband_names(levels)))
    planes = [quantization.magnitude_bits(index, level, levels) + parameters.roi_shift for index, (_, level) in bands]
    steps = [quantization.step(index, name, level, levels, precision) for index, (name, level) in bands]
    return TileCoding(
        planes=np.array(planes, np.int64),
        half_steps=np.array([0.5 * step for step in steps], np.float32),
        orientation_classes=np.array([ORIENTATION_CLASSES[name] for _, (name, _) in bands], np.int64),
        roi_shift=parameters.roi_shift,
        block_style=parameters.block_coding.style,
        reversible=parameters.block_coding.reversible,
    )


def _decoded_bands(
    layout: TileLayout, contributions: Contributions, coding: TileCoding, resolutions: int, request: _Request
) -> Iterator[np.ndarray | None]:
    """Dequantised coefficients of the subbands, in their order; None where all are 0.

    Those of a large tile are decoded resolution by resolution, when they are asked for, so that coarser ones are gone
    by then. A small tile costs less in one call.
    """
    areas = layout.band_table[: 3 * resolutions - 2, AREA]
    shapes = np.maximum(areas[:, 2:] - areas[:, :2], 0)[:, ::-1]
    ends = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
    groups = [(0, len(shapes))]
    if ends[-1] > SMALL_TILE:
        groups = [(max(3 * resolution - 2, 0), 3 * resolution + 1) for resolution in range(resolutions)]
    for first, end in groups:
        coefficients = np.zeros(ends[end] - ends[first], np.int32 if coding.reversible else np.float32)
        decoded = _decode_group(layout, contributions, coding, first, coefficients, end - first, request.workers)
        for index in range(first, end):
            band = coefficients[ends[index] - ends[first] : ends[index + 1] - ends[first]]
            yield band.reshape(shapes[index]) if decoded[index - first] else None
        del coefficients, band


def _decode_group(
    layout: TileLayout,
    contributions: Contributions,
    coding: TileCoding,
    first: int,
    coefficients: np.ndarray,
    count: int,
    workers: Workers,
) -> np.ndarray:
    """Decode `count` subbands; returns the number of code-blocks with data of each."""

    def decode_share(share: int) -> np.ndarray:
        decoded = np.empty(count, np.int64)
        tables = layout.band_table, layout.precinct_bands
        decode_subbands(contributions, *tables, coding, first, coefficients, decoded, share, workers.threads)
        return decoded

    decoded = np.array(workers.map(decode_share, range(workers.threads)))
    if decoded.min() < 0:
        raise UnsupportedCodestreamError("a code-block with more than 30 bit-planes")
    return decoded.sum(axis=0)
