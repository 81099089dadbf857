import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from codec.decoding.codestream_reader import read_codestream
from codec.decoding.coding_parameters import ImageSize, Progression
from codec.errors import CodecError, CodestreamError, UnsupportedCodestreamError
from codec.quantization import Quantization


def segment(marker, layout, *values):
    body = struct.pack(">" + layout, *values)
    return struct.pack(">HH", marker, len(body) + 2) + body


def siz(x1=64, y1=48, x0=0, y0=0, tile=(64, 48), tile_origin=(0, 0), components=1, depth=7, step=(1, 1)):
    return segment(
        0xFF51, "HIIIIIIIIHBBB", 0, x1, y1, x0, y0, *tile, *tile_origin, components, depth, *step
    )  # fmt: skip


def cod(order=0, layers=1, levels=1, block=(4, 4), style=0, transform=1, scod=0, precincts=b""):
    return segment(
        0xFF52, f"BBHBBBBBB{len(precincts)}s", scod, order, layers, 0, levels, *block, style, transform, precincts
    )


QCD = segment(0xFF5C, "BBBBB", 0x40, 8 << 3, 9 << 3, 9 << 3, 10 << 3)
SOC, SOD, EOC = b"\xff\x4f", b"\xff\x93", b"\xff\xd9"


def tile_part(body=b"\x00", index=0, header=b"", length=None, parts=1, part=0):
    whole = 12 + len(header) + 2 + len(body)
    sot = segment(0xFF90, "HIBB", index, whole if length is None else length, part, parts)
    return sot + header + SOD + body


def stream(*, size=None, style=None, quantization=QCD, extra=b"", parts=None):
    main = SOC + (size or siz()) + (style or cod()) + quantization + extra
    return main + (tile_part() if parts is None else parts) + EOC


def test_main_header_is_read():
    parsed = read_codestream(stream(size=siz(70, 61, 6, 5, (40, 40), (3, 2), depth=0x8B, step=(2, 3))))
    assert parsed.size == ImageSize(6, 5, 70, 61, 3, 2, 40, 40, 12, True, 2, 3)
    assert parsed.size.tiles == 4
    assert parsed.size.component_area() == (3, 2, 35, 21)
    assert parsed.size.tile_area(3) == (43, 42, 70, 61)
    assert parsed.size.tile_component_area(3) == (22, 14, 35, 21)
    parameters = parsed.parameters(parsed.tiles[0])
    assert parameters.block_coding.reversible
    assert parameters.quantization.exponents == (8, 9, 9, 10)
    assert parameters.progressions == (Progression("LRCP", 0, 2, 1),)


def test_what_stands_nearer_to_the_tile_wins():
    coc = segment(0xFF53, "BBBBBBB", 0, 0, 2, 2, 2, 0, 1)
    qcc = segment(0xFF5D, "BBB", 0, 0x20, 5 << 3)
    other = segment(0xFF53, "BBBBBBB", 1, 0, 5, 2, 2, 0, 1)
    rgn = segment(0xFF5E, "BBB", 0, 0, 9)
    main = stream(extra=coc + qcc + other + rgn)
    parameters = read_codestream(main).parameters(read_codestream(main).tiles[0])
    assert parameters.block_coding.levels == 2
    assert parameters.quantization.guard_bits == 1
    assert parameters.roi_shift == 9
    header = cod(levels=3, order=2) + segment(0xFF5E, "BBB", 0, 0, 0) + segment(0xFF5F, "BBHBBB", 1, 0, 7, 4, 1, 3)
    parsed = read_codestream(stream(extra=coc + qcc + rgn, parts=tile_part(header=header)))
    parameters = parsed.parameters(parsed.tiles[0])
    assert parameters.block_coding.levels == 3
    assert parameters.coding_style.order == "RPCL"
    assert parameters.roi_shift == 0
    assert parameters.progressions == (Progression("PCRL", 1, 4, 7),)


def test_tile_parts_are_joined_and_packed_headers_found():
    ppm = segment(0xFF60, "B4s3s4s", 0, b"\0\0\0\3", b"abc", b"\0\0\0\2") + segment(0xFF60, "B2s", 1, b"de")
    parts = tile_part(b"12", 1, parts=2) + tile_part(b"3", 0) + tile_part(b"45", 1, parts=2, part=1)
    parsed = read_codestream(stream(size=siz(tile=(32, 48)), extra=ppm, parts=parts))
    assert parsed.tiles[1].bodies == [b"12", b"45"]
    assert parsed.tiles[1].packet_headers == [b"abc", b""]
    assert parsed.tiles[0].packet_headers == [b"de"]
    ppt = segment(0xFF61, "B2s", 1, b"yz") + segment(0xFF61, "B2s", 0, b"wx")
    assert read_codestream(stream(parts=tile_part(header=ppt))).tiles[0].packet_headers == [b"wx", b"yz"]


def test_last_tile_part_may_leave_its_length_open():
    assert read_codestream(stream(parts=tile_part(b"abc", length=0))).tiles[0].bodies == [b"abc"]


def test_derived_steps_follow_the_level():
    quantization = Quantization.read(bytes([0x41]) + struct.pack(">H", 9 << 11 | 77), 0, "QCD")
    assert quantization.exponent_and_mantissa(0, 5, 5) == (9, 77)
    assert quantization.exponent_and_mantissa(15, 1, 5) == (5, 77)


BROKEN = {
    "does not begin with the SOC": b"no image",
    "lacks SIZ": SOC + cod() + QCD + tile_part(),
    "lacks COD or QCD": SOC + siz() + cod() + tile_part(),
    "ends too early": SOC + siz() + cod()[:8],
    "holds no tile-part": SOC + siz() + cod() + QCD + b"\xff\x90",
    "image area is empty": stream(size=siz(x0=64)),
    "tile size is 0": stream(size=siz(tile=(0, 48))),
    "sample separation is 0": stream(size=siz(step=(1, 0))),
    "overlap the image horizontally": stream(size=siz(x0=70, x1=99)),
    "overlap the image vertically": stream(size=siz(tile_origin=(0, 1))),
    "at most 65535 are possible": stream(size=siz(4000, 4000, tile=(1, 1))),
    "progression order 5": stream(style=cod(order=5)),
    "0 layers": stream(style=cod(layers=0)),
    "33 decomposition levels": stream(style=cod(levels=33)),
    "too large": stream(style=cod(block=(5, 6))),
    "precinct of width or height 1": stream(style=cod(scod=1, precincts=b"\x00\x10")),
    "COD marker segment is too short": stream(style=cod(scod=1, precincts=b"\x00")),
    "quantisation style 3": stream(quantization=segment(0xFF5C, "BB", 0x43, 0)),
    "no step sizes": stream(quantization=segment(0xFF5C, "B", 0x40)),
    "unexpected 0xff93": SOC + siz() + SOD,
    "of 1 bytes": SOC + siz() + struct.pack(">HH", 0xFF64, 1),
    "tile 1 of 1": stream(parts=tile_part(index=1)),
    "tile-part of 5 bytes": stream(parts=tile_part(length=5)),
    "longer than its 14 bytes": stream(parts=tile_part(header=cod(), length=14)),
    "in a tile-part header": stream(parts=tile_part(header=siz())),
    "a shift of 38": stream(extra=segment(0xFF5E, "BBB", 0, 0, 38)),
}
UNSUPPORTED = {
    "3 components": stream(size=siz(components=3)),
    "samples of 17 bits": stream(size=siz(depth=16)),
    "code-block style 0x40": stream(style=cod(style=0x40)),
    "wavelet transform 2": stream(style=cod(transform=2)),
    "region of interest style 1": stream(extra=segment(0xFF5E, "BBB", 0, 1, 0)),
    "progression changes": stream(extra=segment(0xFF5F, "455s", b"\0\0\0\1\1\0\0" * 65)),
    "extended capabilities": stream(extra=segment(0xFF50, "I", 0x20000)),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_headers_are_named(message):
    with pytest.raises(CodestreamError, match=message):
        parsed = read_codestream(BROKEN[message])
        parsed.parameters(parsed.tiles[0])


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_unsupported_features_are_named(message):
    with pytest.raises(UnsupportedCodestreamError, match=message):
        read_codestream(UNSUPPORTED[message])


@settings(deadline=None, max_examples=300)
@given(seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 5), cut=st.integers(0, 200), data=st.binary(max_size=60))
def test_damaged_headers_raise_codec_errors_only(seed, changes, cut, data):
    rng = np.random.default_rng(seed)
    damaged = bytearray(stream(extra=segment(0xFF5F, "BBHBBB", 0, 0, 1, 2, 1, 3) + segment(0xFF61, "B2s", 0, b"ab")))
    for _ in range(changes):
        damaged[rng.integers(0, len(damaged))] = rng.integers(0, 256)
    for attempt in (bytes(damaged), bytes(damaged[: len(damaged) - cut]), SOC + data, SOC + siz() + data):
        try:
            parsed = read_codestream(attempt)
            for tile in parsed.tiles.values():
                parsed.parameters(tile)
        except CodecError:
            continue


@pytest.mark.parametrize("packed", ["", "PPM", "PPT"])
def test_a_tile_of_more_parts_than_can_be_numbered(packed):
    """As opj_compress -TP R writes them, where a tile has many packets."""
    ppm = segment(0xFF60, "B4s1s", 0, b"\0\0\0\1", b"a") if packed == "PPM" else b""
    ppt = segment(0xFF61, "B1s", 0, b"a") if packed == "PPT" else b""
    parts = b"".join(tile_part(header=ppt, part=number % 256, parts=0) for number in range(300))
    (tile,) = read_codestream(stream(extra=ppm, parts=parts)).tiles.values()
    assert len(tile.bodies) == 300
    assert tile.packet_headers is None if not packed else len(tile.packet_headers) == 300


def test_tile_parts_without_sod_hold_nothing(openjpeg_glymur, tmp_path):
    """Some satellite images have tile-parts that are an SOT marker segment alone: Psot = 12 (openjpeg issue 162)."""
    pixels = np.random.default_rng(1).integers(0, 256, (96, 64)).astype(np.uint8)
    openjpeg_glymur.Jp2k(tmp_path / "tiles.j2k", data=pixels, irreversible=False, tilesize=(32, 64), numres=3)
    whole = (tmp_path / "tiles.j2k").read_bytes()
    stub = segment(0xFF90, "HIBB", 1, 12, 7, 0)
    sot = [match.start() for match in re.finditer(b"\xff\x90\x00\x0a", whole)]
    assert len(sot) == 3
    for place in (*sot, len(whole) - 2):
        changed = whole[:place] + stub + whole[place:]
        np.testing.assert_array_equal(codec.decode(changed), pixels)
    only_stubs = whole[: sot[0]] + stub + EOC
    with pytest.warns(codec.DamageWarning) as caught:
        assert (codec.decode(only_stubs, strict=False) == 128).all()
    assert sorted(caught[0].message.lost_tiles) == [0, 1, 2]


def test_headers_that_overlap_are_not_read_without_end():
    """Each of many SOT marker segments begins a header that leads to the end of the data, over all the others."""
    part = segment(0xFF90, "HIBB", 0, 0, 1, 2) + struct.pack(">HH", 0xFF64, 4094)  # a COM over 256 such parts
    forged = stream(parts=tile_part(parts=2) + part * 20_000)
    parsed = read_codestream(forged, strict=False)
    assert len(parsed.damage) < 200
    assert "overlap" in parsed.damage[-1]
    assert len(parsed.tiles[0].bodies) == 1
