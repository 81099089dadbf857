"""Damage to the structure of a codestream is an error, an early end a warning: nothing is lost in silence."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from damaged_streams import SOT, assert_damaged, joined, parts_of, small_stream, with_psot
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rearranged_streams import EOC, PPM, PPT

import codec
from codec import CodestreamError, TruncatedWarning

PACKETS = 2 * 3  # of a tile: layers × resolutions
TILES = 4


@pytest.fixture(scope="module")
def taken(openjpeg_glymur, tmp_path_factory):
    return small_stream(openjpeg_glymur, tmp_path_factory.mktemp("stream") / "image.j2k")


ARRANGEMENTS = {
    "one part a tile": {},
    "parts": {"tile_parts": 3},
    "parts in turn": {"tile_parts": 3, "interleaved": False},
    "no markers": {"tile_parts": 2, "sop": False, "eph": False},
    "packed in the main header": {"tile_parts": 3, "packed": PPM},
    "packed in the tiles": {"tile_parts": 2, "packed": PPT, "eph": False},
}


@pytest.fixture(scope="module")
def streams(taken):
    """{name: codestream}, and the pixels of all of them."""
    made = {name: replace(taken, **options).write() for name, options in ARRANGEMENTS.items()}
    return made, codec.decode(made["parts"])


def test_whole_streams_decode_without_a_word(streams):
    made, pixels = streams
    for codestream in made.values():
        for strict in (True, False):
            np.testing.assert_array_equal(codec.decode(codestream, strict=strict), pixels)
        codec.check_codestream(codestream)
        codec.check_codestream(codec.wrap_jp2(codestream))


@settings(deadline=None, max_examples=100)
@given(data=st.data(), junk=st.binary(min_size=1, max_size=9))
def test_bytes_between_tile_parts(streams, data, junk):
    made, pixels = streams
    head, parts = parts_of(made[data.draw(st.sampled_from(sorted(made)))])
    place = data.draw(st.integers(1, len(parts)))
    assume(not junk.startswith((EOC, SOT)))
    if place == len(parts) and not any(junk):  # padding
        np.testing.assert_array_equal(codec.decode(joined(head, [*parts, junk])), pixels)
        return
    at = len(head) + sum(map(len, parts[:place]))
    found, warning = assert_damaged(joined(head, [*parts[:place], junk, *parts[place:]]), f"bytes {at} to")
    # The next SOT is found, so that nothing is lost.
    np.testing.assert_array_equal(found, pixels)
    assert (warning.lost_tiles, warning.packets) == ((), {})


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_missing_tile_part(streams, data):
    made, _ = streams
    head, parts = parts_of(made[data.draw(st.sampled_from(sorted(made)))])
    gone = data.draw(st.integers(0, len(parts) - 1))
    (tile,) = struct.unpack_from(">H", parts[gone], 4)
    _, warning = assert_damaged(joined(head, parts[:gone] + parts[gone + 1 :]), rf"tile {tile}\b")
    assert tile in {*warning.lost_tiles, *warning.packets}
    # Without EOC too it is damage, unless the data may just end before the part.
    later = [struct.unpack_from(">H", part, 4)[0] for part in parts[gone + 1 :]]
    if tile in later:
        with pytest.raises(CodestreamError, match=rf"tile {tile} \(TPsot\)"):
            codec.decode(head + b"".join(parts[:gone] + parts[gone + 1 :]))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_tile_parts_out_of_order(streams, data):
    made, pixels = streams
    head, parts = parts_of(made[data.draw(st.sampled_from(sorted(made)))])
    first, second = sorted(data.draw(st.lists(st.sampled_from(range(len(parts))), min_size=2, max_size=2, unique=True)))
    order = [*parts[:first], parts[second], *parts[first + 1 : second], parts[first], *parts[second + 1 :]]
    tiles = [part[4:6] for part in order[first : second + 1]]
    if len({*tiles}) < len(tiles) and tiles.count(tiles[0]) + tiles.count(tiles[-1]) > 2:
        assert_damaged(joined(head, order), "out of order")
    elif b"\xff\x60" not in head:  # PPM has the tile-parts in their order
        np.testing.assert_array_equal(codec.decode(joined(head, order)), pixels)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), change=st.integers(-40, 40) | st.integers(1 << 16, 1 << 31))
def test_a_wrong_psot(streams, data, change):
    made, pixels = streams
    head, parts = parts_of(made[data.draw(st.sampled_from(sorted(made)))])
    place = data.draw(st.integers(0, len(parts) - 1))
    length = len(parts[place]) + change
    assume(length > 0 and change != 0)
    changed = joined(head, [*parts[:place], with_psot(parts[place], length), *parts[place + 1 :]])
    if place == len(parts) - 1 and change > 0:  # EOC says where it ends
        np.testing.assert_array_equal(codec.decode(changed), pixels)
    else:
        assert_damaged(changed, "byte")


@settings(deadline=None, max_examples=150)
@given(data=st.data(), change=st.integers(-8, 8), filler=st.binary(min_size=8, max_size=8))
def test_bytes_lost_from_or_added_to_a_tile_part(streams, data, change, filler):
    made, pixels = streams
    head, parts = parts_of(made[data.draw(st.sampled_from(sorted(made)))])
    place = data.draw(st.integers(0, len(parts) - 1))
    part, at = parts[place], data.draw(st.integers(12, len(parts[place])))
    changed = part[:at] + filler[:change] + part[at:] if change > 0 else part[:at] + part[at - change :]
    last_byte_is_padding = place == len(parts) - 1 and change > 0 and not any(changed[len(part) :])
    assume(len(changed) != len(part) and not last_byte_is_padding)
    whole = joined(head, [*parts[:place], changed, *parts[place + 1 :]])
    if part[at : at + 4] == b"\xff\x91\x00\x04" and change == -6 and place == len(parts) - 1:  # SOP may be left out
        np.testing.assert_array_equal(codec.decode(whole), pixels)
    else:
        assert_damaged(whole)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), value=st.integers(0, 255))
def test_a_changed_byte_of_a_marker(streams, data, value):
    """Of SOT, SOD, SOP or EPH; only TNsot, and Psot of the last tile-part, can be wrong without loss."""
    made, pixels = streams
    codestream = bytearray(made[data.draw(st.sampled_from(["one part a tile", "parts", "parts in turn"]))])
    places = []
    # Of SOP all but Lsop, which the decoder does not need.
    for marker, parts in (
        (SOT, range(12)), (b"\xff\x93", (0, 1)), (b"\xff\x91\x00\x04", (0, 1, 4, 5)), (b"\xff\x92", (0, 1)),
    ):  # fmt: skip
        at = codestream.index(SOT) - 1
        while (at := codestream.find(marker, at + 1)) >= 0:
            places += [at + n for n in parts]
    place = data.draw(st.sampled_from(places))
    assume(codestream[place] != value)
    codestream[place] = value
    try:
        found = codec.decode(bytes(codestream))
    except CodestreamError:
        return
    np.testing.assert_array_equal(found, pixels)
    part = codestream.rfind(SOT, 0, place + 1)
    last = SOT not in codestream[part + 12 :]
    assert place - part == 11 or (last and place - part in range(6, 10))


@settings(deadline=None, max_examples=150)
@given(data=st.data(), open_length=st.booleans())
def test_an_early_end(streams, data, open_length):
    made, pixels = streams
    head, parts = parts_of(made[data.draw(st.sampled_from(sorted(made)))])
    if open_length:
        parts[-1] = with_psot(parts[-1], 0)
    whole = joined(head, parts)
    cut = data.draw(st.integers(len(head) + len(parts[0]) - 3, len(whole)))
    if cut >= len(whole) - len(EOC):  # nothing but EOC is lost
        np.testing.assert_array_equal(codec.decode(whole[:cut]), pixels)
        codec.check_codestream(whole[:cut])
        return
    for strict in (True, False):
        with pytest.warns(TruncatedWarning, match="ends early") as caught:
            codec.decode(whole[:cut], strict=strict)
    with pytest.raises(CodestreamError, match="ends early"):
        codec.check_codestream(whole[:cut])
    (warning,) = caught
    lost, packets = warning.message.lost_tiles, warning.message.packets
    assert lost or packets
    assert {*lost} <= {*range(TILES)} - {*packets}
    assert all(0 < read < wanted == PACKETS for read, wanted in packets.values())
