"""A parsed codestream: the parameters of its headers, and the bytes of its tiles (T.800 Annex A)."""

from dataclasses import dataclass, field
from functools import cached_property

from codec.decoding.coding_parameters import BlockCoding, CodingStyle, ImageSize, Progression
from codec.errors import CodestreamError
from codec.quantization import Quantization


@dataclass(slots=True)
class Header:
    """The parameters of a main or a tile-part header; None where it does not set one."""

    coding_style: CodingStyle | None = None
    block_coding: BlockCoding | None = None
    component_block_coding: BlockCoding | None = None
    quantization: Quantization | None = None
    component_quantization: Quantization | None = None
    roi_shift: int | None = None
    progressions: list[Progression] = field(default_factory=list)


NO_PARAMETERS = Header()  # never changed


@dataclass(slots=True)
class Tile:
    """One tile of the codestream: its headers' parameters and its packets' bytes, with tile-parts joined.

    Attributes
    ----------
    index : int
    header : Header
    bodies : list of memoryview
        The packets of each tile-part, in the codestream itself.
    starts : list of int
        Where in the codestream each of `bodies` begins.
    packet_headers : list of bytes or None
        The packed packet headers of PPM or PPT; None where the headers are in the packets.
    parts, stubs : int
        Number of tile-parts, and of those among them that are an SOT marker segment alone.
    signalled_parts : int
        The largest TNsot (A.4.2): how many tile-parts there should be; 0 where none says so.
    """

    index: int
    header: Header = field(default_factory=lambda: NO_PARAMETERS)  # one for all: there may be 65 535 tiles
    bodies: list[memoryview] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    packet_headers: list[bytes] | None = None
    parts: int = 0
    stubs: int = 0
    signalled_parts: int = 0

    @property
    def has_packets(self) -> bool:
        """Whether there is at least one byte of a packet header."""
        return any(self.bodies if self.packet_headers is None else self.packet_headers)

    @property
    def packets(self) -> bytes | memoryview:
        """All `bodies` joined; those of a single one are not copied."""
        return self.bodies[0] if len(self.bodies) == 1 else b"".join(self.bodies)

    def byte_at(self, position: int) -> int:
        """Where in the codestream the byte at `position` of all `bodies` joined is, or the end of the last of them."""
        place = 0
        for start, body in zip(self.starts, self.bodies):
            place = start + position
            if position < len(body):
                break
            position -= len(body)
        return place

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
    """A parsed codestream.

    Attributes
    ----------
    size : ImageSize
    header : Header
        The main header.
    tiles : dict of int to Tile
        Those with at least one tile-part, by their index.
    last_tile : int
        The tile of the last tile-part.
    ends_early : bool
        Whether the data end before EOC, and before anything contradicts the headers.
    cut_tile : int or None
        The tile in whose last tile-part they do so; None where they end between two tile-parts.
    damage : list of str
        What contradicts the headers, and where.
    suspicion : str or None
        What does not fit at the end of the data. It means damage only if packets are missing.
    """

    size: ImageSize
    header: Header
    tiles: dict[int, Tile]
    last_tile: int
    ends_early: bool
    cut_tile: int | None
    damage: list[str]
    suspicion: str | None

    def parameters(self, tile: Tile) -> TileParameters:
        """The parameters of `tile`."""
        return self._parameters if tile.header is NO_PARAMETERS else self._overridden_by(tile.header)

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
