"""Takes codestreams apart into tile-parts that tests damage, and says how the decoder must answer."""

import struct

import pytest
from openjpeg_streams import image
from rearranged_streams import EOC, take_apart

import codec

SOT = b"\xff\x90\x00\x0a"


def small_stream(glymur, path):
    """A codestream of four tiles, each with two layers of three resolutions, taken apart."""
    glymur.Jp2k(path, data=image(60, 90, 12), cratios=(20, 3), numres=3, tilesize=(35, 50), sop=True, eph=True)
    return take_apart(path.read_bytes())


def parts_of(codestream):
    """The main header, and the tile-parts before EOC."""
    at = codestream.index(SOT)
    head, parts = codestream[:at], []
    while codestream[at : at + 4] == SOT:
        (length,) = struct.unpack_from(">I", codestream, at + 6)
        parts.append(codestream[at : at + length])
        at += length
    assert codestream[at:] == EOC
    return head, parts


def joined(head, parts):
    return head + b"".join(parts) + EOC


def with_psot(part, length):
    return part[:6] + struct.pack(">I", length) + part[10:]


def assert_damaged(codestream, message="(tile|bytes)"):
    """An error that says where, and with strict=False an image and a warning, which are returned."""
    with pytest.raises(codec.CodestreamError, match=rf"{message}.*strict=False"):
        codec.decode(codestream)
    with pytest.raises(codec.CodestreamError, match=message):
        codec.check_codestream(codestream)
    with pytest.warns(codec.DamageWarning, match=message) as caught:
        pixels = codec.decode(codestream, strict=False)
    (warning,) = caught
    return pixels, warning.message
