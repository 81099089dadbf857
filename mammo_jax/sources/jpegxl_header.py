"""What the header of a JPEG XL codestream says of its size, read without decoding (ISO/IEC 18181-1, 18181-2)."""

from __future__ import annotations

import struct

CODESTREAM_START = b"\xff\x0a"
CONTAINER_START = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_HEADER_BYTES = 16  # more than the longest SizeHeader
_DISTRIBUTION = (9, 13, 18, 30)  # bits of a dimension by its selector
# Width to height by the 3-bit ratio; 0 stands for a width of its own.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def jpegxl_size(data: bytes) -> tuple[int, int] | None:
    """Read rows and columns; None if the bytes are not the start of a JPEG XL codestream or container."""
    codestream = _in_container(data) if data.startswith(CONTAINER_START) else data[:_HEADER_BYTES]
    if not codestream.startswith(CODESTREAM_START) or len(codestream) < _HEADER_BYTES:
        return None
    bits = _Bits(int.from_bytes(codestream[2:], "little"))
    in_eighths = bits.take(1)
    rows = _dimension(bits, in_eighths)
    ratio = bits.take(3)
    if not ratio:
        return rows, _dimension(bits, in_eighths)
    numerator, denominator = _RATIOS[ratio]
    return rows, rows * numerator // denominator


class _Bits:
    """Bits of a number, taken from the lowest up."""

    def __init__(self, number: int):
        self._number = number

    def take(self, count: int) -> int:
        taken = self._number & (1 << count) - 1
        self._number >>= count
        return taken


def _dimension(bits: _Bits, in_eighths: int) -> int:
    if in_eighths:
        return 8 * (bits.take(5) + 1)
    return bits.take(_DISTRIBUTION[bits.take(2)]) + 1


def _in_container(data: bytes) -> bytes:
    """The first bytes of the codestream in a container's jxlc box, or its first jxlp box."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        if kind in (b"jxlc", b"jxlp"):
            begin = position + header + 4 * (kind == b"jxlp")  # a part's number
            return data[begin : begin + _HEADER_BYTES]
        if length < header:  # 0: to the end
            break
        position += length
    return b""
