"""The JP2 file: boxes around a codestream (T.800 Annex I).

A JP2 file says what a viewer wants to know beside the pixels: that they are grey levels, and how large they are. It
is some 85 bytes longer than its codestream; compression ratios count the codestream alone, as do archives, which
hold codestreams without a file around them.
"""

import math
import struct
from collections.abc import Iterator
from fractions import Fraction

from codec.codestream_reader import read_codestream
from codec.errors import CodestreamError, OptionError, UnsupportedCodestreamError

SIGNATURE = bytes.fromhex("0000000c6a5020200d0a870a")
WAVELET_COMPRESSION = 7  # the only value of C in the image header box (I.5.3.1)
ENUMERATED = 1
GREYSCALE = 17  # Table I.10
MILLIMETRES_A_METRE = 1000
LARGEST_TERM = 6553  # ten times as much still fits the 16 bits of a resolution's numerator


def wrap_jp2(codestream: bytes, *, pixel_pitch: float | None = None) -> bytes:
    """Put a greyscale codestream into a JP2 file.

    Parameters
    ----------
    codestream : bytes
        From the SOC to the EOC marker; it is in the file as it is.
    pixel_pitch : float, optional
        Distance of neighbouring pixels in mm, which becomes the capture resolution (I.5.3.7.1).

    Raises
    ------
    CodestreamError, UnsupportedCodestreamError
        What is given is no codestream that `codec.decode` would take.
    OptionError
        A `pixel_pitch` that is not between 1e-9 and 1e9.
    """
    size = read_codestream(codestream).size
    depth = size.precision - 1 | size.signed << 7
    # One component, so that the image header tells all bit depths, and a bits-per-component box would be wrong.
    header = _box(
        b"ihdr", struct.pack(">IIHBBBB", size.y1 - size.y0, size.x1 - size.x0, 1, depth, WAVELET_COMPRESSION, 0, 0)
    )
    header += _box(b"colr", struct.pack(">BBBI", ENUMERATED, 0, 0, GREYSCALE))
    if pixel_pitch is not None:
        header += _box(b"res ", _box(b"resc", _resolution(pixel_pitch)))
    file_type = _box(b"ftyp", b"jp2 ", bytes(4), b"jp2 ")
    return SIGNATURE + file_type + _box(b"jp2h", header) + _box(b"jp2c", codestream)


def unwrap_jp2(file: bytes) -> bytes:
    """Give the codestream in a JP2 file: the contents of its first contiguous codestream box (I.5.4).

    Raises
    ------
    CodestreamError
        The file has none, or is no JP2 file.
    UnsupportedCodestreamError
        The samples are indices into a palette of colours (I.5.3.4).
    """
    if not file.startswith(SIGNATURE):
        raise CodestreamError("no JP2 file: it does not begin with the JPEG 2000 signature box")
    for kind, contents in _boxes(file):
        if kind == b"jp2h" and any(inner == b"pclr" for inner, _ in _boxes(contents)):
            raise UnsupportedCodestreamError("a JP2 file with a palette: only grey levels are decoded")
        if kind == b"jp2c":
            return contents
    raise CodestreamError("the JP2 file holds no codestream")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and contents of each box that follows another (I.4), as far as they make sense."""
    position = 0
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        start = position + 8
        if length == 1:  # the length stands in eight bytes of its own
            length = int.from_bytes(data[position + 8 : position + 16])
            start = position + 16
        end = len(data) if length == 0 else position + length
        if end < start:
            return
        yield kind, data[start:end]
        position = end


def _box(kind: bytes, *contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, contents)), kind) + b"".join(contents)


def _resolution(pixel_pitch: float) -> bytes:
    """Pixels a metre, vertically and horizontally, each as numerator / denominator · 10^exponent (I.5.3.7.1)."""
    if not 1e-9 <= pixel_pitch <= 1e9:
        raise OptionError(f"pixel_pitch={pixel_pitch}: must be a distance in mm")
    exact = Fraction(MILLIMETRES_A_METRE) / Fraction(pixel_pitch)
    exponent = math.floor(math.log10(exact))
    nearest = (exact / Fraction(10) ** exponent).limit_denominator(LARGEST_TERM)
    terms = nearest.numerator, nearest.denominator
    return struct.pack(">HHHHbb", *terms, *terms, exponent, exponent)
