"""Damage is an error, an early end a warning, and nothing is lost in silence."""

import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openjpeg_streams import image
from rearranged_streams import POC, PPM, PPT, in_order, segment, take_apart

import codec
from codec import CodestreamError, DamageWarning, TruncatedWarning

SOT, EOC = b"\xff\x90\x00\x0a", b"\xff\xd9"
PACKETS = 2 * 3  # of a tile: layers × resolutions
TILES = 4


@pytest.fixture(scope="module")
def taken(openjpeg_glymur, tmp_path_factory):
    """A codestream of four tiles, two layers and three resolutions, taken apart."""
    path = tmp_path_factory.mktemp("stream") / "image.j2k"
    openjpeg_glymur.Jp2k(path, data=image(60, 90, 12), cratios=(20, 3), numres=3, tilesize=(35, 50), sop=True, eph=True)
    return take_apart(path.read_bytes())


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


def parts_of(codestream):
    """The main header, the tile-parts, and EOC."""
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
    """An error that says where, and with strict=False an image and a warning."""
    with pytest.raises(CodestreamError, match=rf"{message}.*strict=False"):
        codec.decode(codestream)
    with pytest.raises(CodestreamError, match=message):
        codec.check_codestream(codestream)
    with pytest.warns(DamageWarning, match=message) as caught:
        pixels = codec.decode(codestream, strict=False)
    (warning,) = caught
    assert warning.filename == __file__
    return pixels, warning.message


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


def test_what_is_missing_is_counted(taken):
    head, parts = parts_of(replace(taken, tile_parts=3).write())  # part 0 of every tile, part 1 of every tile, …
    with pytest.warns(TruncatedWarning) as caught:
        codec.decode(head + b"".join(parts[: TILES + 2]))
    assert caught[0].message.lost_tiles == ()
    assert caught[0].message.packets == {0: (4, 6), 1: (4, 6), 2: (2, 6), 3: (2, 6)}
    with pytest.warns(TruncatedWarning, match="tile 2 has none; tile 3 has none") as caught:
        codec.decode(head + b"".join(parts[:2]))
    assert caught[0].message.lost_tiles == (2, 3)
    assert caught[0].message.packets == {0: (2, 6), 1: (2, 6)}


def test_packets_that_nobody_asks_for_are_not_missed(taken):
    """The first layer comes first, and of it the lowest resolution."""
    head, parts = parts_of(taken.write())
    whole = joined(head, [*parts[:-1], parts[-1]])
    first = taken.packets[TILES - 1]
    lowest = sum(len(header) + len(body) + 8 for header, body in first[:1])
    layer = sum(len(header) + len(body) + 8 for header, body in first[:3])
    start = len(head) + sum(map(len, parts[:-1])) + 14
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            codec.decode(whole[: start + lowest], layers=1, reduce=2), codec.decode(whole, layers=1, reduce=2)
        )
        np.testing.assert_array_equal(codec.decode(whole[: start + layer], layers=1), codec.decode(whole, layers=1))
    with pytest.warns(TruncatedWarning):
        codec.decode(whole[: start + layer])
    with pytest.warns(TruncatedWarning):
        codec.decode(whole[: start + layer - 1], layers=1)


def test_a_shortened_tile_ends_early_and_a_cut_packet_is_damage(taken):
    """The number of packets tells them apart: Psot and EOC are right in both."""
    head, parts = parts_of(taken.write())
    for tile in (1, TILES - 1):
        body = sum(len(header) + len(data) + 8 for header, data in taken.packets[tile][:5])
        for length, warning in ((14 + body, TruncatedWarning), (14 + body - 1, None), (14 + body + 3, None)):
            shorter = with_psot(parts[tile][:length], length)
            codestream = joined(head, [*parts[:tile], shorter, *parts[tile + 1 :]])
            if warning is None:
                assert_damaged(codestream, f"tile {tile}, packet [45] at byte .*past the end")
            else:
                with pytest.warns(warning, match=f"tile {tile} has 5 of 6 packets"):
                    codec.decode(codestream)


def test_bytes_after_the_last_packet(taken):
    head, parts = parts_of(taken.write())
    longer = with_psot(parts[1] + b"\0", len(parts[1]) + 1)
    at = len(head) + len(parts[0]) + len(parts[1])
    assert_damaged(joined(head, [parts[0], longer, *parts[2:]]), f"tile 1: 1 bytes .* at byte {at}")


def test_packed_headers_that_do_not_fit(taken):
    packets = {tile: list(packets) for tile, packets in taken.packets.items()}
    packets[2][3] = (b"", packets[2][3][1])
    for packed in (PPM, PPT):
        assert_damaged(replace(taken, packets=packets, packed=packed, eph=False, sop=False).write(), "tile 2")
        assert_damaged(replace(taken, packets=packets, packed=packed).write(), "tile 2")


def test_a_lost_packet_shows_in_the_numbers_of_sop(taken):
    packets = {tile: list(packets) for tile, packets in taken.packets.items()}
    whole = replace(taken, packets=packets).write()
    second = whole.index(b"\xff\x91\x00\x04\x00\x01")
    third = whole.index(b"\xff\x91\x00\x04\x00\x02")
    head, parts = parts_of(whole)
    part = parts[0][: second - len(head)] + parts[0][third - len(head) :]
    _, warning = assert_damaged(
        joined(head, [with_psot(part, len(part)), *parts[1:]]), f"tile 0, packet 1 at byte {second}: .*SOP"
    )
    assert warning.packets == {0: (1, PACKETS)}


def test_numbers_of_sop_may_jump_between_tile_parts(taken, streams):
    """As Grok 10 writes them."""
    head, parts = parts_of(replace(taken, tile_parts=3, eph=False).write())
    for number, part in enumerate(parts):
        for packet in range(2):
            old = struct.pack(">HH", 4, 2 * part[10] + packet)
            new = struct.pack(">HH", 4, 7 * part[10] + packet)
            part = part.replace(b"\xff\x91" + old, b"\xff\x91" + new)
        parts[number] = part
    np.testing.assert_array_equal(codec.decode(joined(head, parts)), streams[1])
    wrong = parts[5].replace(b"\xff\x91\x00\x04\x00\x08", b"\xff\x91\x00\x04\x00\x09")
    assert_damaged(joined(head, [*parts[:5], wrong, *parts[6:]]), "tile 1, packet 3 .*SOP")


def test_tnsot_may_be_wrong_where_nothing_is_missing(taken, streams):
    head, parts = parts_of(replace(taken, tile_parts=3).write())
    for count in (0, 2, 9):
        np.testing.assert_array_equal(
            codec.decode(joined(head, [part[:11] + bytes([count]) + part[12:] for part in parts])), streams[1]
        )
    without = [part[:11] + b"\0" + part[12:] for part in parts]
    assert_damaged(joined(head, without[:5] + without[6:]), "tile 1, part 2|tile 1 ")


def test_progressions_that_a_missing_tile_part_would_have_signalled(taken):
    changes = [(0, 0, 3, 1), (1, 0, 3, 2)]
    arrangement, poc = in_order(taken, changes, 2, 3)
    arrangement = replace(arrangement, tile_segments=segment(POC, poc[4:11]), tile_parts=2, interleaved=False)
    head, parts = parts_of(arrangement.write())
    for number in range(1, len(parts), 2):
        parts[number] = with_psot(parts[number], len(parts[number]) + 11)
        parts[number] = parts[number][:12] + segment(POC, poc[11:]) + parts[number][12:]
    np.testing.assert_array_equal(codec.decode(joined(head, parts)), codec.decode(taken.write()))
    with pytest.warns(TruncatedWarning, match="tile 3 has 3 of 6 packets"):
        codec.decode(head + b"".join(parts[:-1]))
    assert_damaged(joined(head, parts[:-1]), r"tile 3, packet 3 .*it has 1 of 2 tile-parts")


def test_many_losses_are_told_in_short():
    codestream = codec.encode_lossless(image(40, 48, 8)).codestream
    at = codestream.index(b"\xff\x51") + 4 + 2 + 16
    tiny = codestream[:at] + struct.pack(">II", 1, 1) + codestream[at + 8 :]
    with pytest.warns(DamageWarning, match="and 1914 more") as caught:
        codec.decode(tiny, strict=False)
    assert len(str(caught[0].message)) < 1000
    assert len(caught[0].message.lost_tiles) >= 40 * 48 - 1
