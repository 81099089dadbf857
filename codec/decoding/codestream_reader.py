"""Reading the markers of a codestream: main header, tile-part headers, packed packet headers (T.800 Annex A).

Nothing is decoded here. A truncated codestream gives the tile-parts that it has; a header that contradicts itself or
the standard is an error.
"""

from dataclasses import dataclass, field
from functools import cached_property

from codec.decoding.coding_parameters import (
    MAX_PROGRESSION_CHANGES,
    BlockCoding,
    CodingStyle,
    ImageSize,
    Progression,
    read_progressions,
)
from codec.errors import CodestreamError, UnsupportedCodestreamError
from codec.markers import (
    CAP,
    COC,
    COD,
    EOC,
    POC,
    PPM,
    PPT,
    QCC,
    QCD,
    RGN,
    SIZ,
    SOC,
    SOD,
    SOT,
    SOT_BYTES,
    TILE_HEADER_BYTES,
    unpack_fields,
)
from codec.quantization import Quantization

MAIN_HEADER_ONLY = {SIZ, CAP, PPM}
MAX_ROI_SHIFT = 37  # Table A.25


@dataclass
class Header:
    """The parameters of a main or a tile-part header; None where it does not set one."""

    coding_style: CodingStyle | None = None
    block_coding: BlockCoding | None = None
    component_block_coding: BlockCoding | None = None
    quantization: Quantization | None = None
    component_quantization: Quantization | None = None
    roi_shift: int | None = None
    progressions: list[Progression] = field(default_factory=list)


NO_PARAMETERS = Header()


@dataclass
class Tile:
    """One tile of the codestream: its headers' parameters and its packets' bytes, with tile-parts joined.

    `packet_headers` holds the packed packet headers of PPM or PPT, or is None where the headers are in the packets.
    """

    index: int
    header: Header = field(default_factory=Header)
    bodies: list[bytes] = field(default_factory=list)
    packet_headers: list[bytes] | None = None

    @property
    def has_packets(self) -> bool:
        """Whether there is at least one byte of a packet header."""
        return any(self.bodies if self.packet_headers is None else self.packet_headers)

    def add_packet_headers(self, parts: list[bytes]) -> None:
        """Append packed packet headers."""
        if self.packet_headers is None:
            self.packet_headers = []
        self.packet_headers += parts


@dataclass(frozen=True)
class TileParameters:
    """The parameters of one tile: its own headers override the main header, and COC overrides COD (A.6.1)."""

    coding_style: CodingStyle
    block_coding: BlockCoding
    quantization: Quantization
    roi_shift: int
    progressions: tuple[Progression, ...]


@dataclass
class Codestream:
    """A parsed codestream: size, main header, and the tiles with at least one tile-part."""

    size: ImageSize
    header: Header
    tiles: dict[int, Tile]

    def parameters(self, tile: Tile) -> TileParameters:
        """The parameters of `tile`."""
        return self._parameters if tile.header == NO_PARAMETERS else self._overridden_by(tile.header)

    @cached_property
    def _parameters(self) -> TileParameters:
        """The parameters of tiles whose headers set none."""
        return self._overridden_by(NO_PARAMETERS)

    def _overridden_by(self, own: Header) -> TileParameters:
        """The parameters of a tile with this header."""
        main = self.header
        style = own.coding_style or main.coding_style
        block_coding = (
            own.component_block_coding or own.block_coding or main.component_block_coding or main.block_coding
        )
        quantization = (
            own.component_quantization or own.quantization or main.component_quantization or main.quantization
        )
        if style is None or block_coding is None or quantization is None:
            raise CodestreamError("the main header lacks COD or QCD")
        shift = own.roi_shift if own.roi_shift is not None else main.roi_shift or 0
        levels = block_coding.levels
        progressions = own.progressions or main.progressions
        progressions = progressions or [Progression(style.order, 0, levels + 1, style.layers)]
        return TileParameters(style, block_coding, quantization, shift, tuple(progressions))


def read_codestream(data: bytes) -> Codestream:
    """Parse a codestream.

    Parameters
    ----------
    data : bytes
        From SOC on (T.800 Annex A).

    Returns
    -------
    Codestream

    Raises
    ------
    CodestreamError
        The headers are damaged or end too early.
    UnsupportedCodestreamError
        The codestream is well-formed, but has features that this codec does not decode.
    """
    return _Parser(data).parse()


class _Parser:
    """Reads all markers once, in order."""

    def __init__(self, data: bytes):
        self.data = data
        self.size: ImageSize | None = None
        self.main = Header()
        self.tiles: dict[int, Tile] = {}
        self.packed: dict[int, bytes] = {}
        self.tile_parts = 0

    def parse(self) -> Codestream:
        if self.data[:2] != SOC.to_bytes(2, "big"):
            raise CodestreamError("no JPEG 2000 codestream: it does not begin with the SOC marker")
        position = self._header(2, self.main, None)
        if position is None or self.size is None:
            raise CodestreamError("the main header ends too early or lacks SIZ")
        part_headers = _split_packed(self.packed) if self.packed else None
        while position is not None and position + SOT_BYTES <= len(self.data):
            if int.from_bytes(self.data[position : position + 2], "big") != SOT:
                break
            position = self._tile_part(position, part_headers)
        if not self.tiles:
            raise CodestreamError("the codestream holds no tile-part")
        return Codestream(self.size, self.main, self.tiles)

    def _header(self, position: int, header: Header, tile: Tile | None) -> int | None:
        """Read marker segments up to SOT (main header) or SOD; returns its position, None where the data end before."""
        end_marker = SOT if tile is None else SOD
        packed: dict[int, bytes] = self.packed if tile is None else {}
        while position + 2 <= len(self.data):
            marker = int.from_bytes(self.data[position : position + 2], "big")
            if marker == end_marker:
                if tile is not None and packed:
                    tile.add_packet_headers([packed[index] for index in sorted(packed)])
                return position
            if marker < 0xFF01 or marker in (SOC, SOT, SOD, EOC):
                raise CodestreamError(f"unexpected {marker:#06x} in a header")
            if 0xFF30 <= marker <= 0xFF3F:  # reserved markers without a segment
                position += 2
                continue
            length = int.from_bytes(self.data[position + 2 : position + 4], "big")
            end = position + 2 + length
            if end > len(self.data):
                return None
            if length < 2:
                raise CodestreamError(f"marker segment {marker:#06x} of {length} bytes")
            if tile is not None and marker in MAIN_HEADER_ONLY:
                raise CodestreamError(f"marker segment {marker:#06x} in a tile-part header")
            self._segment(marker, self.data[position + 4 : end], header, packed)
            position = end
        return None

    def _segment(self, marker: int, body: bytes, header: Header, packed: dict[int, bytes]) -> None:
        """Set the parameters of one marker segment."""
        if marker == SIZ:
            self.size = ImageSize.read(body)
        elif marker == COD:
            header.coding_style = CodingStyle.read(body)
            header.block_coding = BlockCoding.read(body, 5, bool(body[0] & 1), "COD")
        elif marker == COC and unpack_fields("B", body, 0, "COC") == (0,):
            (style,) = unpack_fields("B", body, 1, "COC")
            header.component_block_coding = BlockCoding.read(body, 2, bool(style & 1), "COC")
        elif marker == QCD:
            header.quantization = Quantization.read(body, 0, "QCD")
        elif marker == QCC and unpack_fields("B", body, 0, "QCC") == (0,):
            header.component_quantization = Quantization.read(body, 1, "QCC")
        elif marker == RGN:
            _, style, header.roi_shift = unpack_fields("BBB", body, 0, "RGN")
            if style != 0:
                raise UnsupportedCodestreamError(f"RGN: region of interest style {style}")
            if header.roi_shift > MAX_ROI_SHIFT:
                raise CodestreamError(f"RGN: a shift of {header.roi_shift}; at most {MAX_ROI_SHIFT} is possible")
        elif marker == POC:
            header.progressions += read_progressions(body)
            if len(header.progressions) > MAX_PROGRESSION_CHANGES:
                raise UnsupportedCodestreamError(f"more than {MAX_PROGRESSION_CHANGES} progression changes")
        elif marker in (PPM, PPT):
            (index,) = unpack_fields("B", body, 0, "PPM or PPT")
            packed[index] = body[1:]
        elif marker == CAP:
            raise UnsupportedCodestreamError("CAP: extended capabilities (as of high-throughput JPEG 2000)")

    def _tile_part(self, position: int, part_headers: list[bytes] | None) -> int | None:
        """Read one tile-part (A.4.2); returns the position of the next, None where the data end before.

        Two kinds of files break A.4.2 and are read all the same: those with tile-parts that are an SOT marker segment
        alone, and those with more than 255 tile-parts in a tile, whose TPsot counts on from 0.
        """
        length, index, part_length = unpack_fields("HHI", self.data[position + 2 : position + 10], 0, "SOT")
        assert self.size is not None
        if length != 10 or index >= self.size.tiles:
            raise CodestreamError(f"SOT: length {length}, tile {index} of {self.size.tiles}")
        if part_length not in (0, SOT_BYTES) and part_length < TILE_HEADER_BYTES:
            raise CodestreamError(f"SOT: a tile-part of {part_length} bytes")
        end = position + part_length if part_length else len(self.data)
        tile = self.tiles.get(index) or Tile(index)
        if part_length == SOT_BYTES:
            self.tiles[index] = tile
            self.tile_parts += 1
            return end
        start = self._header(position + SOT_BYTES, tile.header, tile)
        if start is None or start + 2 > len(self.data):
            return None
        if start + 2 > end:
            raise CodestreamError(f"SOT: the header of a tile-part is longer than its {part_length} bytes")
        body = self.data[start + 2 : end]
        if not part_length and body.endswith(EOC.to_bytes(2, "big")):
            body = body[:-2]
        self.tiles[index] = tile
        tile.bodies.append(body)
        if part_headers is not None:
            part = part_headers[self.tile_parts] if self.tile_parts < len(part_headers) else b""
            tile.add_packet_headers([part])
        self.tile_parts += 1
        return end


def _split_packed(packed: dict[int, bytes]) -> list[bytes]:
    """The packet headers of each tile-part, in order, from the PPM marker segments (A.7.4)."""
    data = b"".join(packed[index] for index in sorted(packed))
    parts, position = [], 0
    while position + 4 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        parts.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return parts
