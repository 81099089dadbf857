"""Takes codestreams with SOP and EPH markers apart, and puts their packets together in other ways that T.800 allows."""

import struct
from dataclasses import dataclass, replace

SOC, EOC, SOD = b"\xff\x4f", b"\xff\xd9", b"\xff\x93"
SOP, EPH = b"\xff\x91\x00\x04", b"\xff\x92"
COD, COC, QCD, QCC, RGN, POC, PPM, PPT = 0xFF52, 0xFF53, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61
MIN_PSOT = 14


def segment(marker, body):
    return struct.pack(">HH", marker, len(body) + 2) + body


@dataclass
class Arrangement:
    """How the packets are put together; `segments` of the main header by marker, `packets` by tile."""

    segments: dict
    packets: dict
    tile_segments: bytes = b""
    tile_parts: int = 1
    interleaved: bool = True
    sop: bool = True
    eph: bool = True
    packed: int | None = None
    cut: int = 1 << 15

    def write(self):
        parts = [
            (tile, n, packets[n * len(packets) // self.tile_parts : (n + 1) * len(packets) // self.tile_parts])
            for n in range(self.tile_parts)
            for tile, packets in self.packets.items()
        ]
        if not self.interleaved:
            parts.sort(key=lambda part: part[:2])
        segments = dict(self.segments)
        style = bytearray(segments[COD])
        style[0] = style[0] & 1 | self.sop << 1 | self.eph << 2
        segments[COD] = bytes(style)
        out = SOC + b"".join(segment(marker, body) for marker, body in segments.items())
        if self.packed == PPM:
            headers = [b"".join(header + EPH * self.eph for header, _ in packets) for _, _, packets in parts]
            out += self._packed(b"".join(len(each).to_bytes(4, "big") + each for each in headers))[0]
        indices = dict.fromkeys(self.packets, 0)
        for tile, number, packets in parts:
            part, indices[tile] = self._tile_part(tile, number, packets, indices[tile])
            out += part
        return out + EOC

    def _packed(self, headers, index=0):
        """PPM or PPT segments of at most `cut` bytes each, the first with this index; and the next index."""
        pieces = [headers[at : at + self.cut] for at in range(0, len(headers), self.cut)]
        segments = (segment(self.packed, bytes([index + n]) + piece) for n, piece in enumerate(pieces))
        return b"".join(segments), index + len(pieces)

    def _tile_part(self, tile, number, packets, index):
        extra, body = self.tile_segments if number == 0 else b"", b""
        if self.packed == PPT:
            packed, index = self._packed(b"".join(header + EPH * self.eph for header, _ in packets), index)
            extra += packed
        first = number * len(self.packets[tile]) // self.tile_parts
        for n, (header, data) in enumerate(packets):
            body += SOP + struct.pack(">H", first + n) if self.sop else b""
            body += header + EPH * self.eph if self.packed is None else b""
            body += data
        length = MIN_PSOT + len(extra) + len(body)
        return segment(0xFF90, struct.pack(">HIBB", tile, length, number, self.tile_parts)) + extra + SOD + body, index


def take_apart(codestream):
    """Undo `Arrangement.write` for a stream of one tile-part a tile whose packets all have SOP and EPH."""
    segments, at = {}, 2
    while codestream[at : at + 2] != b"\xff\x90":
        marker, length = struct.unpack_from(">HH", codestream, at)
        segments[marker] = codestream[at + 4 : at + 2 + length]
        at += 2 + length
    packets = {}
    while codestream[at : at + 2] == b"\xff\x90":
        tile, length = struct.unpack_from(">HI", codestream, at + 4)
        body = codestream[codestream.index(SOD, at) + 2 : at + length]
        packets[tile] = [tuple(packet[2:].split(EPH, 1)) for packet in body.split(SOP)[1:]]
        at += length
    assert codestream[at:] == EOC
    return Arrangement(segments, packets)


def in_order(arrangement, progressions, layers, resolutions):
    """Put packets of LRCP, one precinct a resolution, in the order of `progressions` and say so with POC.

    A progression is (order, first resolution, end resolution, end layer).
    """
    places = []
    for order, first, end, end_layer in progressions:
        pairs = [(layer, r) for layer in range(end_layer) for r in range(first, end)]
        places += pairs if order == 0 else sorted(pairs, key=lambda pair: pair[::-1])
    places = list(dict.fromkeys(places))
    assert len(places) == layers * resolutions
    packets = {
        tile: [lrcp[layer * resolutions + r] for layer, r in places] for tile, lrcp in arrangement.packets.items()
    }
    entries = [
        struct.pack(">BBHBBB", first, 0, end_layer, end, 1, order) for order, first, end, end_layer in progressions
    ]
    return replace(arrangement, packets=packets), segment(POC, b"".join(entries))
