"""Writing a JP2 file: boxes around a codestream (T.800 Annex I).

A JP2 file adds what a viewer needs: that the samples are grey levels, and the size of a pixel. It is some 85 bytes
longer than its codestream. Compression ratios count the codestream alone, as archives store it without boxes.
"""

import math
import struct
from fractions import Fraction

from codec.decoding.codestream_reader import read_codestream
from codec.decoding.jp2_reader import SIGNATURE
from codec.errors import OptionError
from codec.options import as_bytes

WAVELET_COMPRESSION = 7  # the only value of C in the image header box (I.5.3.1)
ENUMERATED = 1
GREYSCALE = 17  # Table I.10
MILLIMETRES_A_METRE = 1000
MAX_TERM = 6553  # ten times as much still fits the 16 bits of a resolution's numerator


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
        The bytes are no codestream that `codec.decode` can read.
    OptionError
        A `pixel_pitch` that is not between 1e-9 and 1e9.
    """
    codestream = as_bytes(codestream)
    size = read_codestream(codestream).size
    depth = size.precision - 1 | size.signed << 7
    # One component: the image header gives its bit depth, and a bits-per-component box would be wrong.
    header = _box(
        b"ihdr", struct.pack(">IIHBBBB", size.y1 - size.y0, size.x1 - size.x0, 1, depth, WAVELET_COMPRESSION, 0, 0)
    )
    header += _box(b"colr", struct.pack(">BBBI", ENUMERATED, 0, 0, GREYSCALE))
    if pixel_pitch is not None:
        header += _box(b"res ", _box(b"resc", _resolution(pixel_pitch)))
    file_type = _box(b"ftyp", b"jp2 ", bytes(4), b"jp2 ")
    return SIGNATURE + file_type + _box(b"jp2h", header) + _box(b"jp2c", codestream)


def _box(kind: bytes, *contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, contents)), kind) + b"".join(contents)


def _resolution(pixel_pitch: float) -> bytes:
    """Pixels a metre, vertically and horizontally, each as numerator / denominator · 10^exponent (I.5.3.7.1)."""
    if not 1e-9 <= pixel_pitch <= 1e9:
        raise OptionError(f"pixel_pitch={pixel_pitch}: must be a distance in mm")
    exact = Fraction(MILLIMETRES_A_METRE) / Fraction(pixel_pitch)
    exponent = math.floor(math.log10(exact))
    nearest = (exact / Fraction(10) ** exponent).limit_denominator(MAX_TERM)
    terms = nearest.numerator, nearest.denominator
    return struct.pack(">HHHHbb", *terms, *terms, exponent, exponent)
