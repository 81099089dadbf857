"""The packets of one tile: its layout, and where the bytes of each code-block are."""

from itertools import accumulate

from codec.decoding.codestream import Tile, TileParameters
from codec.decoding.coding_parameters import ImageSize
from codec.decoding.packet_reader import read_packets
from codec.decoding.packet_results import Contributions, PacketCount
from codec.decoding.tile_layout import LayoutBudget, TileLayout, lay_out_tile


def read_tile(
    size: ImageSize,
    tile: Tile,
    parameters: TileParameters,
    budget: LayoutBudget,
    *,
    resolutions: int | None = None,
    layers: int | None = None,
) -> tuple[TileLayout, Contributions, PacketCount]:
    """Lay out a tile and read its packet headers.

    Parameters
    ----------
    size : ImageSize
    tile : Tile
    parameters : TileParameters
        Of this tile.
    budget : LayoutBudget
    resolutions, layers : int or None
        How many to read; None for all.

    Raises
    ------
    CodestreamError, UnsupportedCodestreamError, LimitError
        As `lay_out_tile` and `read_packets`.
    """
    coding, reference_area = parameters.block_coding, size.tile_area(tile.index)
    area = size.on_component_grid(reference_area)
    layout = lay_out_tile(area, reference_area, (size.step_x, size.step_y), coding, budget)
    contributions, count = read_packets(
        tile.packets,
        None if tile.packet_headers is None else b"".join(tile.packet_headers),
        layout,
        parameters.progressions,
        parameters.coding_style,
        coding.style,
        resolutions=coding.levels + 1 if resolutions is None else resolutions,
        layers=parameters.coding_style.layers if layers is None else layers,
        max_pieces=budget.max_blocks,
        part_starts=[0, *accumulate(map(len, tile.bodies[:-1]))],
    )
    return layout, contributions, count
