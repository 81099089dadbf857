"""Packets of OpenJPEG in other arrangements (tile-parts, packed headers, progression changes) give the same image.

That OpenJPEG decodes each to the same image too shows that the rearrangement itself is right.
"""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import rearranged_streams
from rearranged_streams import COC, COD, POC, PPM, PPT, QCC, QCD, RGN, in_order, segment, take_apart

from codec import decode

LAYERS, RESOLUTIONS = 3, 4
LRCP, RLCP, RPCL, PCRL, CPRL = range(5)


@pytest.fixture(scope="module", params=[False, True], ids=["reversible", "irreversible"])
def stream(request, openjpeg_glymur, tmp_path_factory):
    """A codestream of six tiles and three layers, taken apart, and its pixels as OpenJPEG decodes them."""
    y, x = np.mgrid[:131, :190]
    noise = np.random.default_rng(3).normal(size=x.shape)
    pixels = (2000 + 900 * np.sin(x / 9) * np.cos(y / 13) + 400 * (x > y) + 60 * noise).astype(np.uint16)
    path = tmp_path_factory.mktemp("stream") / "image.j2k"
    openjpeg_glymur.Jp2k(
        path, data=pixels, irreversible=request.param, cratios=(30, 10, 3), numres=RESOLUTIONS, tilesize=(70, 80),
        sop=True, eph=True, modesw=36, prog="LRCP",
    )  # fmt: skip
    codestream = path.read_bytes()
    taken = take_apart(codestream)
    del taken.segments[0xFF64]  # the comment
    assert len(taken.packets) == 6
    assert all(len(packets) == LAYERS * RESOLUTIONS for packets in taken.packets.values())
    return taken, imagecodecs.jpeg2k_decode(codestream)


def assert_decodes(arrangement, pixels, tolerance=1):
    codestream = arrangement.write()
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(codestream), pixels)
    assert np.abs(decode(codestream).astype(int) - pixels.astype(int)).max() <= tolerance
    return codestream


@pytest.mark.parametrize("markers", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("tile_parts", [1, 5])
@pytest.mark.parametrize("packed", [None, PPM, PPT])
def test_tile_parts_and_packed_headers(stream, packed, tile_parts, markers):
    taken, pixels = stream
    sop, eph = markers
    # Pieces of 11 bytes end within packet headers, and within the lengths that PPM puts before them.
    rearranged = replace(
        taken, packed=packed, tile_parts=tile_parts, sop=sop, eph=eph, cut=11 if packed == PPT else 509
    )
    assert_decodes(replace(rearranged, interleaved=False), pixels)
    # OpenJPEG takes the headers of PPM tile by tile; A.7.4 has them in the order of the tile-parts.
    np.testing.assert_array_equal(decode(rearranged.write()), decode(taken.write()))
    if packed != PPM:
        assert_decodes(rearranged, pixels)


CHANGES = {
    "a layer first": [(LRCP, 0, RESOLUTIONS, 1), (RLCP, 0, RESOLUTIONS, LAYERS)],
    "low resolutions first": [(RLCP, 0, 2, LAYERS), (LRCP, 0, RESOLUTIONS, LAYERS)],
    "high resolutions first": [(RPCL, 2, RESOLUTIONS, 2), (CPRL, 0, 2, 1), (LRCP, 0, RESOLUTIONS, LAYERS)],
    "by place": [(PCRL, 1, 3, LAYERS), (RLCP, 0, RESOLUTIONS, LAYERS)],
}


@pytest.mark.parametrize("in_tiles", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_progression_changes(stream, name, in_tiles):
    taken, pixels = stream
    arrangement, poc = in_order(taken, CHANGES[name], LAYERS, RESOLUTIONS)
    if in_tiles:
        arrangement = replace(arrangement, tile_segments=poc, tile_parts=3)
    else:
        arrangement = replace(arrangement, segments=arrangement.segments | {POC: poc[4:]})
    assert_decodes(arrangement, pixels)


def test_a_progression_change_can_come_with_a_later_tile_part(stream):
    taken, pixels = stream
    changes = [(LRCP, 0, RESOLUTIONS, 1), (RLCP, 0, RESOLUTIONS, LAYERS)]
    arrangement, poc = in_order(taken, changes, LAYERS, RESOLUTIONS)
    first, second = poc[4:11], poc[11:]
    arrangement = replace(arrangement, tile_segments=segment(POC, first), tile_parts=3)
    codestream = arrangement.write()
    # The second tile-part begins after the packets of the first layer: there the rest of POC goes.
    whole, at = b"", 0
    while (start := codestream.find(b"\xff\x90\x00\x0a", at)) >= 0:
        head = bytearray(codestream[start : start + 12])
        whole += codestream[at:start]
        extra = segment(POC, second) if head[10] == 1 else b""
        head[6:10] = (int.from_bytes(head[6:10], "big") + len(extra)).to_bytes(4, "big")
        whole += bytes(head) + extra
        at = start + 12
    whole += codestream[at:]
    np.testing.assert_array_equal(decode(whole), decode(taken.write()))
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(whole), pixels)


@pytest.mark.parametrize(
    ("by_component", "in_tiles"), [(False, True), (True, False), (True, True)], ids=["tile", "component", "both"]
)
def test_parameters_nearer_to_the_tile_win(stream, by_component, in_tiles):
    taken, pixels = stream
    style, steps = taken.segments[COD], taken.segments[QCD]
    true = {COD: style, QCD: steps}
    if by_component:
        true = {COC: bytes([0, style[0] & 1]) + style[5:], QCC: b"\0" + steps}
    # Fewer levels, smaller blocks, no code-block style.
    false = {COD: style[:5] + bytes([2, 3, 3, 0]) + style[9:], QCD: bytes([0x40, *(9 << 3,) * 7])}
    if in_tiles:
        own = b"".join(segment(marker, body) for marker, body in true.items())
        arrangement = replace(taken, segments=taken.segments | false, tile_segments=own)
    else:
        arrangement = replace(taken, segments=taken.segments | false | true)
    assert_decodes(arrangement, pixels)


@pytest.mark.parametrize("shift", [1, 6, 11])
def test_region_of_interest_everywhere(stream, shift):
    # The same passes, but of bit-planes that RGN lifts: every coefficient is in the region and comes down again.
    taken, pixels = stream
    assert_decodes(replace(taken, segments=taken.segments | {RGN: bytes([0, 0, shift])}), pixels)


MARKERS = {
    "PLT": segment(0xFF58, b"\0\x05\x81\x02"), "TLM": segment(0xFF55, b"\0\x50\0\0\0\0\x20"),
    "PLM": segment(0xFF57, b"\0\1\5"), "CRG": segment(0xFF63, bytes(4)), "COM": segment(0xFF64, b"\0\1made by hand"),
    "unknown": segment(0xFF6F, b"whatever"), "without a segment": b"\xff\x31",
}  # fmt: skip


@pytest.mark.parametrize("name", MARKERS)
def test_markers_that_a_decoder_may_pass_over(stream, name):
    taken, _ = stream
    codestream, pixels = taken.write(), decode(taken.write())
    for place in (b"\xff\x90", b"\xff\x93"):
        at = codestream.index(place)
        changed = bytearray(codestream[:at] + MARKERS[name] + codestream[at:])
        if place == b"\xff\x93":
            psot = codestream.index(b"\xff\x90") + 6
            longer = int.from_bytes(changed[psot : psot + 4], "big") + len(MARKERS[name])
            changed[psot : psot + 4] = longer.to_bytes(4, "big")
        np.testing.assert_array_equal(decode(bytes(changed)), pixels)


def test_helper_puts_back_what_it_took_apart(stream):
    taken, _ = stream
    again = take_apart(taken.write())
    assert again.packets == taken.packets
    assert again.segments == taken.segments
    assert rearranged_streams.take_apart(again.write()).write() == taken.write()
