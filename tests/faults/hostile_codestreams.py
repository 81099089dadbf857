"""What a decoder is attacked with: a corpus of small valid codestreams of every kind, and ways to damage them."""

import os
import struct
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from openjpeg_streams import image, write_streams
from rearranged_streams import POC, PPM, PPT, RGN, in_order, take_apart

import codec

MAX_PIXELS = 2**18  # the limit that attacked decoders are given


def corpus(glymur, folder):
    """{name: codestream}: OpenJPEG's options, rearranged packets, our own, JP2, and T.803's where they lie at hand."""
    codestreams = {name: path.read_bytes() for name, path in write_streams(glymur, folder, (70, 90)).items()}
    path = folder / "markers.j2k"
    glymur.Jp2k(path, data=image(40, 56, 8), cratios=(20, 4), numres=3, tilesize=(32, 32), sop=True, eph=True)
    taken = take_apart(path.read_bytes())
    codestreams["packed in the main header"] = replace(taken, packed=PPM, tile_parts=2, cut=50).write()
    codestreams["packed in the tiles"] = replace(taken, packed=PPT, tile_parts=3, cut=9, sop=False).write()
    codestreams["region of interest"] = replace(taken, segments=taken.segments | {RGN: bytes([0, 0, 5])}).write()
    changed, poc = in_order(taken, [(0, 0, 3, 1), (1, 0, 3, 2)], 2, 3)
    codestreams["progression changes"] = replace(
        changed, segments=changed.segments | {POC: poc[4:]}, tile_parts=2
    ).write()
    for bits, ratio in ((8, 3), (12, 20), (16, 1)):
        codestreams[f"ours, {bits} bits"] = codec.encode(image(48, 40, bits), ratio, bits_stored=bits).codestream
    codestreams["jp2"] = codec.wrap_jp2(codestreams["ours, 12 bits"], pixel_pitch=0.1)
    conformance = Path(os.environ.get("MAMMO_SHARED_DATA", "/nowhere")) / "j2k-conformance"
    return codestreams | {path.stem: path.read_bytes() for path in sorted(conformance.glob("*.j2k"))}


def damaged(codestream, rng, changes):
    """Flip bits, overwrite, cut out or repeat bytes at random places after the SOC marker."""
    data = bytearray(codestream)
    for _ in range(changes):
        if len(data) < 12:
            break
        at, kind = int(rng.integers(2, len(data))), rng.integers(0, 5)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            data[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            data[at:at] = data[max(2, at - 8) : at]
        else:
            del data[at:]
    return bytes(data)


def with_open_length(codestream):
    """The last tile-part made to reach to the end of the data (Psot = 0), so that damage does not end it early."""
    at = codestream.rfind(b"\xff\x90\x00\x0a")
    return codestream if at < 0 else codestream[: at + 6] + bytes(4) + codestream[at + 10 :]


def with_size(codestream, rows, columns, tile_rows, tile_columns):
    """The same packets in an image of another size (SIZ, A.5.1)."""
    at = codestream.index(b"\xff\x51") + 6
    fields = struct.pack(">8I", columns, rows, 0, 0, tile_columns, tile_rows, 0, 0)
    return codestream[:at] + fields + codestream[at + len(fields) :]


def extreme_sizes(rng):
    """Rows and columns of an image and of its tiles, both far from square, within `MAX_PIXELS`."""
    log2_long, log2_short = int(rng.integers(9, 18)), int(rng.integers(0, 5))
    long = int(rng.integers(1, 1 << min(log2_long, 18 - log2_short)))
    sizes = [long, int(rng.integers(1, 1 << log2_short, endpoint=True))]
    tile = [int(rng.choice([1, 2, 64, size, size, 2**31])) for size in sizes]
    if rng.integers(0, 2):
        sizes, tile = sizes[::-1], tile[::-1]
    return *sizes, *tile


def attack(codestream, **options):
    """Any bytes give an image within the limit, or a `codec.CodecError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", codec.CodecWarning)
            pixels = codec.decode(codestream, max_pixels=MAX_PIXELS, **options)
    except codec.CodecError:
        return
    assert 0 < pixels.size <= MAX_PIXELS
    assert pixels.dtype in (np.uint8, np.uint16, np.int8, np.int16)
