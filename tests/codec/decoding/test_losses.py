"""What is missing is told and counted, and the rule that tells an early end from damage."""

import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
from damaged_streams import assert_damaged, joined, parts_of, small_stream, with_psot
from openjpeg_streams import image
from rearranged_streams import POC, PPM, PPT, in_order, segment

import codec
from codec import DamageWarning, TruncatedWarning

PACKETS = 2 * 3  # of a tile: layers × resolutions
TILES = 4


@pytest.fixture(scope="module")
def taken(openjpeg_glymur, tmp_path_factory):
    return small_stream(openjpeg_glymur, tmp_path_factory.mktemp("stream") / "image.j2k")


@pytest.fixture(scope="module")
def pixels(taken):
    return codec.decode(taken.write())


def test_what_is_missing_is_counted(taken):
    head, parts = parts_of(replace(taken, tile_parts=3).write())  # part 0 of every tile, part 1 of every tile, …
    with pytest.warns(TruncatedWarning) as caught:
        codec.decode(head + b"".join(parts[: TILES + 2]))
    assert caught[0].filename == __file__
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


def test_numbers_of_sop_may_jump_between_tile_parts(taken, pixels):
    """As Grok 10 writes them."""
    head, parts = parts_of(replace(taken, tile_parts=3, eph=False).write())
    for number, part in enumerate(parts):
        for packet in range(2):
            old = struct.pack(">HH", 4, 2 * part[10] + packet)
            new = struct.pack(">HH", 4, 7 * part[10] + packet)
            part = part.replace(b"\xff\x91" + old, b"\xff\x91" + new)
        parts[number] = part
    np.testing.assert_array_equal(codec.decode(joined(head, parts)), pixels)
    wrong = parts[5].replace(b"\xff\x91\x00\x04\x00\x08", b"\xff\x91\x00\x04\x00\x09")
    assert_damaged(joined(head, [*parts[:5], wrong, *parts[6:]]), "tile 1, packet 3 .*SOP")


def test_tnsot_may_be_wrong_where_nothing_is_missing(taken, pixels):
    head, parts = parts_of(replace(taken, tile_parts=3).write())
    for count in (0, 2, 9):
        np.testing.assert_array_equal(
            codec.decode(joined(head, [part[:11] + bytes([count]) + part[12:] for part in parts])), pixels
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
