"""Reading the markers of a codestream: main header, tile-part headers, packed packet headers (T.800 Annex A).

Nothing is decoded here. A truncated codestream gives the tile-parts that it has; a header that contradicts itself or
the standard is an error, or, in a tile-part, by option a note of what is damaged.
"""

from codec.decoding.codestream import NO_PARAMETERS, Codestream, Header, Tile
from codec.decoding.coding_parameters import (
    MAX_PROGRESSION_CHANGES,
    BlockCoding,
    CodingStyle,
    ImageSize,
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
SOT_START = SOT.to_bytes(2) + (SOT_BYTES - 2).to_bytes(2)  # marker and Lsot; cannot occur in packets (B.10.1, D.2.3)
END = EOC.to_bytes(2)
PART_NUMBERS = 256  # TPsot is a byte
MAX_PADDING = 64
MAX_REREADINGS = (
    8  # how often a byte of damaged data may be read as part of a header; overlapping headers could be endless
)
WAY_OUT = "; codec.decode(…, strict=False) reads what is left"


def read_codestream(data: bytes, strict: bool = True) -> Codestream:
    """Parse a codestream.

    Parameters
    ----------
    data : bytes
        From SOC on (T.800 Annex A).
    strict : bool
        Whether a damaged tile-part is an error. Otherwise it is noted in `Codestream.damage`, and reading goes on at
        the next SOT marker segment.

    Returns
    -------
    Codestream

    Raises
    ------
    CodestreamError
        The main header is damaged or ends too early; or, if `strict`, a tile-part is damaged.
    UnsupportedCodestreamError
        The codestream is well-formed, but has features that this codec does not decode.
    """
    return _Parser(data, strict).parse()


class _Parser:
    """Reads all markers once, in order."""

    def __init__(self, data: bytes, strict: bool):
        self.data, self.strict = data, strict
        self.size: ImageSize | None = None
        self.main = Header()
        self.tiles: dict[int, Tile] = {}
        self.packed: dict[int, bytes] = {}
        self.tile_parts = 0
        self.header_bytes = 0
        self.last_tile = 0
        self.ends_early = False
        self.cut_tile: int | None = None
        self.damage: list[str] = []
        self.suspicion: str | None = None

    def parse(self) -> Codestream:
        if self.data[:2] != SOC.to_bytes(2, "big"):
            raise CodestreamError("no JPEG 2000 codestream: it does not begin with the SOC marker")
        position = self._header(2, self.main, None)
        if position is None or self.size is None:
            raise CodestreamError("the main header ends too early or lacks SIZ")
        part_headers = _split_packed(self.packed) if self.packed else None
        while position is not None and position + SOT_BYTES <= len(self.data):
            start = position
            try:
                end = self._tile_part(start, part_headers)
                position = None if end is None else self._after_tile_part(end)
            except CodestreamError as error:
                self.damage.append(f"the tile-part at byte {start}: {error}")
                position = self._next_sot(start + SOT_BYTES)
            self.tile_parts += 1
            if self.strict and self.damage:
                raise CodestreamError(self.damage[0] + WAY_OUT)
            if position is not None and self.header_bytes > MAX_REREADINGS * len(self.data):
                self.damage.append(f"from byte {position} on: not read, as headers overlap too often")
                position = None
        if not self.tiles:
            raise CodestreamError("the codestream holds no tile-part")
        return Codestream(
            self.size,
            self.main,
            self.tiles,
            self.last_tile,
            self.ends_early,
            self.cut_tile,
            self.damage,
            self.suspicion,
        )

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
            if max(end, position + 4) > len(self.data):
                return None
            if length < 2:
                raise CodestreamError(f"marker segment {marker:#06x} of {length} bytes")
            if tile is not None and marker in MAIN_HEADER_ONLY:
                raise CodestreamError(f"marker segment {marker:#06x} in a tile-part header")
            if tile is not None and header is NO_PARAMETERS:
                header = tile.header = Header()
            self._segment(marker, self.data[position + 4 : end], header, packed)
            self.header_bytes += end - position
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
        """Read one tile-part (A.4.2); returns where it ends, None where the data end within its header.

        Two kinds of files break A.4.2 and are read all the same: those with tile-parts that are an SOT marker segment
        alone, and those with more than 255 tile-parts in a tile, whose TPsot counts on from 0.
        """
        length, index, part_length, number, parts = unpack_fields(
            "HHIBB", self.data[position + 2 : position + SOT_BYTES], 0, "SOT"
        )
        assert self.size is not None
        if length != SOT_BYTES - 2 or index >= self.size.tiles:
            raise CodestreamError(f"SOT: length {length}, tile {index} of {self.size.tiles}")
        if part_length not in (0, SOT_BYTES) and part_length < TILE_HEADER_BYTES:
            raise CodestreamError(f"SOT: a tile-part of {part_length} bytes")
        tile = self.tiles.get(index) or Tile(index)
        if part_length == SOT_BYTES:
            tile.stubs += 1
            self._add(tile, parts)
            return position + SOT_BYTES
        if number not in (tile.parts % PART_NUMBERS, (tile.parts - tile.stubs) % PART_NUMBERS):
            raise CodestreamError(
                f"SOT: part {number} of tile {index} (TPsot), where part {tile.parts % PART_NUMBERS} should follow:"
                " parts are missing or out of order"
            )
        start = self._header(position + SOT_BYTES, tile.header, tile)
        if start is None or start + 2 > len(self.data):
            if self._next_sot(position + SOT_BYTES) is not None or self._eoc(position) is not None:
                raise CodestreamError("its header reaches past the end of the data")
            self.ends_early = True
            return None
        if part_length and start + 2 > position + part_length:
            raise CodestreamError(f"SOT: the header of a tile-part is longer than its {part_length} bytes")
        end = self._part_end(position, start + 2, part_length, index)
        tile.bodies.append(memoryview(self.data)[start + 2 : end])
        tile.starts.append(start + 2)
        if part_headers is not None:
            part = part_headers[self.tile_parts] if self.tile_parts < len(part_headers) else b""
            tile.add_packet_headers([part])
        self.last_tile = index
        self._add(tile, parts)
        return end

    def _add(self, tile: Tile, parts: int) -> None:
        """Count one more tile-part of `tile`, whose TNsot is `parts`."""
        tile.parts += 1
        tile.signalled_parts = max(tile.signalled_parts, parts)
        self.tiles[tile.index] = tile

    def _part_end(self, position: int, start: int, part_length: int, tile: int) -> int:
        """Where the tile-part at `position` ends, whose packets begin at `start`; notes a wrong `part_length`, Psot."""
        data = self.data
        end = position + part_length if part_length else len(data)
        if data.startswith((SOT_START, END), end):
            return end
        following = data.find(SOT_START, start, end)
        if following >= 0:
            self.damage.append(
                f"the tile-part at byte {position}: Psot {part_length} is wrong, as another follows at byte {following}"
            )
            return following
        if end < len(data):
            return end
        eoc = self._eoc(start)
        if eoc is not None:
            if part_length:
                self.suspicion = f"the tile-part at byte {position}: Psot {part_length} passes EOC at byte {eoc}"
            return eoc
        if not part_length or end > len(data):
            self.cut_tile = tile
        return len(data)

    def _after_tile_part(self, end: int) -> int | None:
        """Where the tile-part after one that ends at `end` begins; None after the last. Notes bytes between them."""
        data = self.data
        if data.startswith(END, end):
            return None
        following = self._next_sot(end)
        if following == end:
            return end
        if following is None:
            rest = data[end:].lstrip(b"\0")  # zeros are padding
            self.ends_early = SOT_START.startswith(rest[: len(SOT_START)])
            if self.ends_early or rest.startswith(END):
                return None
        last = (len(data) if following is None else following) - 1
        self.damage.append(f"bytes {end} to {last}, after a tile-part, belong to none")
        return following

    def _next_sot(self, start: int) -> int | None:
        """Where the first whole SOT marker segment from `start` on begins; None where there is none."""
        found = self.data.find(SOT_START, start)
        return found if 0 <= found <= len(self.data) - SOT_BYTES else None

    def _eoc(self, start: int) -> int | None:
        """Where EOC stands, if the data from `start` on end with it; zeros may follow, as DICOM pads with one."""
        first = max(start, len(self.data) - MAX_PADDING)
        tail = self.data[first:].rstrip(b"\0")
        return first + len(tail) - len(END) if tail.endswith(END) else None


def _split_packed(packed: dict[int, bytes]) -> list[bytes]:
    """The packet headers of each tile-part, in order, from the PPM marker segments (A.7.4)."""
    data = b"".join(packed[index] for index in sorted(packed))
    parts, position = [], 0
    while position + 4 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        parts.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return parts
