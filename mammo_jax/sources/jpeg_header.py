"""What the headers of a JPEG, JPEG-LS, JPEG XL or JPEG 2000 codestream say, read without decoding.

A compressed frame states its own size, besides that in the DICOM header. It is checked first, because a decoder would
allocate memory for any size. A JPEG 2000 codestream says how long each of its tile-parts is.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from mammo_jax.sources.jpegxl_header import jpegxl_size

_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ: ITU-T T.800 A.4.1, A.5.1
_SOT, _EOC = 0xFF90, b"\xff\xd9"
_SOT_BYTES = 12  # T.800 A.4.2
_JPEG_START = b"\xff\xd8"  # SOI: ITU-T T.81 B.2.1
# SOF0 … SOF15 without DHT, JPG and DAC (T.81 table B.1), and SOF55 of JPEG-LS (T.87 C.1.1).
_JPEG_FRAMES = (set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}


class FrameHeader(NamedTuple):
    """The size of a frame in samples."""

    rows: int
    columns: int
    components: int


def frame_header(codestream: bytes) -> FrameHeader | None:
    """Read the frame header; None if the bytes are not the start of such a codestream."""
    try:
        if codestream.startswith(_J2K_START):
            right, bottom, left, top = struct.unpack_from(">4I", codestream, 8)
            return FrameHeader(bottom - top, right - left, *struct.unpack_from(">H", codestream, 40))
        if size := jpegxl_size(codestream):
            return FrameHeader(*size, 1)  # how many components there are is only known from the decoded samples
        if codestream.startswith(_JPEG_START):
            return _jpeg_frame_header(codestream)
    except struct.error:  # the bytes end inside the header
        return None
    return None


def _jpeg_frame_header(codestream: bytes) -> FrameHeader | None:
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", codestream, position)
        if marker == 0xFFFF:  # fill byte, T.81 B.1.1.2
            position += 1
            continue
        if marker >> 8 != 0xFF or length < 2:
            return None
        if marker & 0xFF in _JPEG_FRAMES:
            return FrameHeader(*struct.unpack_from(">HHB", codestream, position + 5))
        position += 2 + length


def missing_of_tile_parts(codestream: bytes) -> str:
    """Say what is missing of a JPEG 2000 codestream by the lengths of its tile-parts (T.800 A.4.2); "" for nothing.

    This is the same for HTJ2K (T.814). Damage within a tile-part is not seen.
    """
    position, parts = 2, 0
    try:
        while struct.unpack_from(">H", codestream, position)[0] != _SOT:
            position += 2 + struct.unpack_from(">H", codestream, position + 2)[0]
        while struct.unpack_from(">H", codestream, position)[0] == _SOT:
            (length,) = struct.unpack_from(">I", codestream, position + 6)
            parts += 1
            if length == 0:  # the last one reaches to the end
                return "" if codestream.rstrip(b"\0").endswith(_EOC) else "the marker of the end is missing"
            if length < _SOT_BYTES or position + length > len(codestream):
                return f"tile-part {parts} ends early"
            position += length
    except struct.error:
        return "it ends early" if parts == 0 else "the marker of the end is missing"
    if codestream[position : position + 2] != _EOC:
        return f"no tile-part begins at byte {position}, after tile-part {parts}"
    return ""
