"""What a codestream lacks, and whether it ends early or is damaged; `codec.decode` has the rule."""

import warnings

from codec.decoding.codestream import Codestream, Tile
from codec.decoding.codestream_reader import WAY_OUT
from codec.decoding.packet_results import (
    BAD_HEADER,
    BAD_SOP,
    COMPLETE,
    ENDED_BETWEEN,
    ENDED_WITHIN,
    NO_EPH,
    PacketCount,
)
from codec.errors import CodecWarning, CodestreamError, DamageWarning, TruncatedWarning

NOTHING_READ = PacketCount(ENDED_BETWEEN, 0, 0, 0, 0, 0)
REASONS = {
    COMPLETE: "the progressions that later tile-parts signal are missing",
    ENDED_BETWEEN: "the tile ends before it",
    ENDED_WITHIN: "it reaches past the end of the tile",
    BAD_HEADER: "its header is impossible",
    BAD_SOP: "the packets' SOP markers are not in sequence; bytes or packets are missing",
    NO_EPH: "its header has no EPH marker, which COD signals",
}
MAX_LISTED = 5


class Losses:
    """What is missing of the packets that were asked for, tile by tile.

    Parameters
    ----------
    parsed : Codestream
    strict : bool
        Whether damage is an error. A codestream that ends early is none.
    """

    def __init__(self, parsed: Codestream, strict: bool):
        self._parsed, self._strict = parsed, strict
        self._damage = list(parsed.damage)
        self._lost_tiles: list[int] = []
        self._packets: dict[int, tuple[int, int]] = {}

    def add_absent_tiles(self, reduce: int) -> None:
        """Add the tiles without a tile-part that have samples where the `reduce` finest resolutions are left out.

        Raises
        ------
        CodestreamError
            That is damage.
        """
        size, tiles = self._parsed.size, self._parsed.tiles
        for index in range(size.tiles) if len(tiles) < size.tiles else ():
            x0, y0, x1, y1 = size.tile_component_area(index, reduce)
            if index not in tiles and x0 < x1 and y0 < y1:
                self._lost_tiles.append(index)
                if not self._parsed.ends_early:
                    self._add_damage(f"tile {index} has no tile-part")

    def add(self, tile: Tile, count: PacketCount = NOTHING_READ) -> None:
        """Add what reading a tile's packets gave.

        Raises
        ------
        CodestreamError
            Packets are missing because of damage.
        """
        if count.left_over and not (tile.index == self._parsed.cut_tile and _is_cut_end(tile, count.position)):
            where = tile.byte_at(count.position)
            self._add_damage(f"tile {tile.index}: {count.left_over} bytes follow its last packet, at byte {where}")
        if count.end == COMPLETE and (count.read == count.wanted or self._has_all_parts(tile)):
            return
        if count.read == 0:
            self._lost_tiles.append(tile.index)
        else:
            self._packets[tile.index] = count.read, count.wanted
        if not self._ends_early(tile, count.end):
            place = f"tile {tile.index}, packet {count.number} at byte {tile.byte_at(count.position)}"
            parts = f" (it has {tile.parts} of {tile.signalled_parts} tile-parts)"
            self._add_damage(f"{place}: {REASONS[count.end]}{parts if tile.parts < tile.signalled_parts else ''}")

    def _has_all_parts(self, tile: Tile) -> bool:
        """Whether no more tile-parts of a tile can be missing than those that TNsot does not count."""
        return tile.parts >= tile.signalled_parts and not (self._parsed.ends_early and tile.signalled_parts == 0)

    def _ends_early(self, tile: Tile, end: int) -> bool:
        """Whether it is the end of the data that took packets away from a tile, and nothing else."""
        if end not in (COMPLETE, ENDED_BETWEEN, ENDED_WITHIN):
            return False
        if tile.index == self._parsed.cut_tile:
            return True
        if end == ENDED_WITHIN:
            return False
        if self._has_all_parts(tile):
            shortened = tile.signalled_parts > 0 or tile.index == self._parsed.last_tile
            return shortened and not self._parsed.suspicion
        return self._parsed.ends_early

    def _add_damage(self, message: str) -> None:
        if self._parsed.suspicion:
            message = f"{self._parsed.suspicion}; {message}"
        if self._strict:
            raise CodestreamError(message + WAY_OUT)
        self._damage.append(message)

    def warning(self) -> CodecWarning | None:
        """What is missing, in words and numbers; None where nothing is."""
        if not (self._damage or self._lost_tiles or self._packets):
            return None
        missing = [f"tile {tile} has {read} of {wanted} packets" for tile, (read, wanted) in self._packets.items()]
        missing += [f"tile {tile} has none" for tile in self._lost_tiles]
        kind = DamageWarning if self._damage else TruncatedWarning
        text = f"a damaged codestream: {_listed(self._damage)}" if self._damage else "the codestream ends early"
        text += f": {_listed(missing)}" if missing else "; no packet is known to be lost"
        return kind(text, tuple(self._lost_tiles), self._packets)

    def warn(self) -> None:
        """Warn the caller of the caller of what is missing."""
        warning = self.warning()
        if warning is not None:
            warnings.warn(warning, stacklevel=3)


def _is_cut_end(tile: Tile, position: int) -> bool:
    """Whether the bytes from `position` on may be what a cut leaves of the end: zeros, and the first byte of EOC.

    Other bytes there mean that the packets before them were misread.
    """
    return bytes(tile.packets[position:]).strip(b"\0") in (b"", b"\xff")


def _listed(parts: list[str]) -> str:
    """The first few of many."""
    more = len(parts) - MAX_LISTED
    return "; ".join([*parts[:MAX_LISTED], *([f"and {more} more"] if more > 0 else [])])
