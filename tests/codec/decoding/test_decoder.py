import struct
import tracemalloc
from contextlib import nullcontext

import imagecodecs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openjpeg_streams import STREAMS, image, write_streams

from codec import (
    CodestreamError,
    DamageWarning,
    LimitError,
    OptionError,
    TruncatedWarning,
    UnreachableRatioError,
    UnsupportedCodestreamError,
    decode,
    encode,
    encode_lossless,
)
from codec.decoding import decoder


def assert_same(pixels, reference, tolerance):
    assert pixels.shape == reference.shape
    assert pixels.dtype == reference.dtype
    assert np.abs(pixels.astype(int) - reference.astype(int)).max() <= tolerance


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 150), columns=st.integers(1, 150), bits=st.integers(2, 16), resolutions=st.integers(1, 6),
    level=st.sampled_from([None, 30, 45, 60, 90]), seed=st.integers(0, 99),
)  # fmt: skip
def test_openjpeg_streams(rows, columns, bits, resolutions, level, seed):
    pixels = image(rows, columns, bits, seed)
    options = {"reversible": True} if level is None else {"level": level}
    codestream = imagecodecs.jpeg2k_encode(
        pixels, codecformat="j2k", bitspersample=bits, resolutions=resolutions, **options
    )
    assert_same(decode(codestream), imagecodecs.jpeg2k_decode(codestream), 0 if level is None else 1)
    if level is None:
        np.testing.assert_array_equal(decode(codestream), pixels)


@pytest.fixture(scope="module")
def streams(openjpeg_glymur, tmp_path_factory):
    return write_streams(openjpeg_glymur, tmp_path_factory.mktemp("streams"), (129, 200))


@pytest.mark.filterwarnings("ignore:OpenJPEG library warning:UserWarning")  # that the image has an offset
@pytest.mark.parametrize("name", STREAMS)
def test_options_of_openjpeg(name, streams, openjpeg_glymur):
    tolerance = 1 if STREAMS[name].get("irreversible", True) else 0
    codestream = streams[name].read_bytes()
    file = openjpeg_glymur.Jp2k(streams[name])
    assert_same(decode(codestream), file[:], tolerance)
    np.testing.assert_array_equal(decode(codestream, threads=3), decode(codestream))
    for reduce in range(1, STREAMS[name].get("numres", 4)):
        assert_same(decode(codestream, reduce=reduce), file[:: 2**reduce, :: 2**reduce], tolerance)
    for layers in range(1, len(STREAMS[name].get("cratios", (1,)))):
        file.layer = layers
        assert_same(decode(codestream, layers=layers), file[:], tolerance)


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 90), columns=st.integers(1, 90), bits=st.integers(1, 16), ratio=st.sampled_from([1, 2, 8]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_our_own_streams_as_openjpeg_decodes_them(rows, columns, bits, ratio, seed):
    pixels = image(rows, columns, bits, seed)
    try:
        codestream = encode(pixels, ratio, bits_stored=bits).codestream
    except UnreachableRatioError:
        assume(False)
    reference = imagecodecs.jpeg2k_decode(codestream)
    assert_same(decode(codestream), reference.reshape(rows, columns), 1)


def test_jp2_file_decodes_as_its_codestream():
    pixels = image(40, 50, 8)
    wrapped = imagecodecs.jpeg2k_encode(pixels, codecformat="jp2", reversible=True)
    np.testing.assert_array_equal(decode(wrapped), pixels)


def test_signed_samples_come_back_signed():
    pixels = (image(33, 21, 12).astype(int) - 2048).astype(np.int16)
    codestream = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, bitspersample=12)
    assert_same(decode(codestream), pixels, 0)


def test_truncated_stream_decodes_what_is_there():
    pixels = image(256, 256, 12)
    codestream = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", level=60, bitspersample=12)
    errors = []
    for share in (0.1, 0.3, 0.6, 0.9, 1):
        early = pytest.warns(TruncatedWarning) if share < 1 else nullcontext()
        with early:
            part = decode(codestream[: int(share * len(codestream))])
        errors.append(np.sqrt(np.mean((part.astype(float) - pixels) ** 2)))
    assert errors[-1] < 5
    assert errors == sorted(errors, reverse=True)


def test_missing_tile_is_grey(streams):
    codestream = streams["tiles"].read_bytes()
    second = codestream.index(b"\xff\x90\x00\x0a\x00\x01")
    whole = decode(codestream)
    with pytest.warns(TruncatedWarning):
        part = decode(codestream[:second])
    np.testing.assert_array_equal(part[:50, :70], whole[:50, :70])
    assert (part[:, 70:] == 128).all()


def small_stream():
    return imagecodecs.jpeg2k_encode(image(40, 48, 8), codecformat="j2k", level=40)


def test_bad_arguments_are_refused():
    codestream = small_stream()
    for name, value in (("reduce", -1), ("layers", 0), ("threads", 0), ("threads", None), ("max_pixels", "many")):
        with pytest.raises(OptionError, match=f"{name}={value!r}"):
            decode(codestream, **{name: value})
    with pytest.raises(CodestreamError, match="only 2 decomposition levels"):
        decode(codestream, reduce=6)


def test_colour_is_refused_by_name():
    codestream = imagecodecs.jpeg2k_encode(np.zeros((9, 9, 3), np.uint8), codecformat="j2k", level=40)
    with pytest.raises(UnsupportedCodestreamError, match="3 components"):
        decode(codestream)


def forged_size(rows, columns):
    """A small codestream whose header claims another size, in one tile."""
    codestream = bytearray(small_stream())
    for offset in (8, 24):
        codestream[offset : offset + 8] = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
    return bytes(codestream)


def forged_tiles(side, tile, levels, precinct, count, body):
    """A codestream of so many tiles, all with the same bytes of packets."""

    def segment(marker, contents):
        return struct.pack(">HH", marker, len(contents) + 2) + contents

    size = struct.pack(">HIIIIIIIIHBBB", 0, side, side, 0, 0, tile, tile, 0, 0, 1, 11, 1, 1)
    style = struct.pack(">BBHBBBBBB", 1, 2, 1, 0, levels, 4, 4, 0, 0) + bytes([precinct] * (levels + 1))
    codestream = b"\xff\x4f" + segment(0xFF51, size) + segment(0xFF52, style)
    codestream += segment(0xFF5C, struct.pack(">BH", 0x41, 0x7000))
    for index in range(count):
        codestream += segment(0xFF90, struct.pack(">HIBB", index, 14 + len(body), 0, 1)) + b"\xff\x93" + body
    return codestream


def test_a_short_codestream_cannot_ask_for_many_precincts(monkeypatch):
    for forged in (forged_tiles(16000, 2000, 1, 0x11, 64, b"\0"), forged_tiles(2800, 2800, 1, 0x11, 1, bytes(30))):
        tracemalloc.start()
        try:
            with pytest.raises(LimitError, match="codestream of this length"):
                decode(forged)
            # Beside the image there is next to nothing.
            assert tracemalloc.get_traced_memory()[1] < 2 * 16000**2 + 5e6
        finally:
            tracemalloc.stop()
    with pytest.warns(TruncatedWarning):
        assert (decode(forged_tiles(600, 60, 5, 0xFF, 100, b"\0")) == 2048).all()
    monkeypatch.delattr(decoder, "read_tile")  # which lays a tile out; tiles without packets do not need it
    with pytest.warns(TruncatedWarning):
        assert (decode(forged_tiles(600, 60, 32, 0x11, 100, b"")) == 2048).all()


def test_size_is_checked_before_memory_is_taken():
    tracemalloc.start()
    try:
        for shape in ((2**31, 2**31), (2**32 - 1, 1), (20000, 20000)):
            with pytest.raises(LimitError, match="max_pixels"):
                decode(forged_size(*shape))
        with pytest.raises(LimitError, match="max_pixels=1919"):
            decode(small_stream(), max_pixels=1919)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    assert decode(small_stream(), max_pixels=1920).shape == (40, 48)
    with pytest.warns(DamageWarning):
        assert decode(forged_size(1000, 900), strict=False).shape == (1000, 900)


def test_many_tiles_of_a_byte():
    with pytest.warns(TruncatedWarning, match="65020 more"):
        pixels = decode(forged_tiles(1020, 4, 5, 0xFF, 255 * 255, b"\x80"))
    assert pixels.shape == (1020, 1020)
    assert (pixels == 2048).all()


@pytest.mark.parametrize("cut", [3, 4, 9])
def test_a_byte_too_many_before_an_early_end_is_damage(cut):
    codestream = encode_lossless(image(200, 220, 8, 1)).codestream
    start = codestream.index(b"\xff\x93") + 2
    broken = codestream[:start] + b"\0" + codestream[start:-cut]
    with pytest.raises(CodestreamError, match="bytes follow its last packet"):
        decode(broken)
