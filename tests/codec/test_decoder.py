import tracemalloc

import imagecodecs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codec import (
    CodecError,
    CodestreamError,
    LimitError,
    UnreachableRatioError,
    UnsupportedCodestreamError,
    decode,
    encode,
)


def image(rows, columns, bits, seed=0):
    """Smooth structure, an edge and noise, in the full range of `bits`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    field = np.sin(x / 9 + seed) * np.cos(y / 13) + (x > columns // 2) + 0.1 * rng.normal(size=(rows, columns))
    field = (field - field.min()) / max(np.ptp(field), 1e-9)
    return np.round(field * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


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


STREAMS = {
    "layers": {"cratios": (50, 20, 8, 3), "prog": "LRCP"},
    "lossless layers": {"irreversible": False, "cratios": (20, 5, 1), "prog": "RLCP"},
    "precincts": {"psizes": [(64, 64), (32, 32)], "cbsize": (16, 16), "prog": "RPCL"},
    "narrow code-blocks": {"cbsize": (4, 1024), "prog": "CPRL"},
    "flat code-blocks": {"cbsize": (1024, 4), "irreversible": False},
    "tiles": {"tilesize": (50, 70), "prog": "PCRL", "cratios": (20, 5)},
    "tiles at an offset": {"tilesize": (64, 64), "grid_offset": (17, 33), "irreversible": False},
    "odd offset": {"grid_offset": (1, 0), "prog": "PCRL", "psizes": [(64, 64)], "cbsize": (16, 16)},
    "subsampled": {"subsam": (2, 1), "irreversible": False, "prog": "PCRL"},
    "packet markers": {"sop": True, "eph": True, "cratios": (20, 5)},
    "bypass": {"modesw": 1, "irreversible": False},
    "reset": {"modesw": 2},
    "terminate": {"modesw": 4, "irreversible": False},
    "causal": {"modesw": 8},
    "predictable": {"modesw": 16},
    "segmentation symbols": {"modesw": 32, "cratios": (30, 6)},
    "bypass, terminate": {"modesw": 5, "cratios": (30, 6, 2)},
    "every style": {"modesw": 63, "irreversible": False, "cratios": (8, 2, 1)},
    "one resolution": {"numres": 1},
}


@pytest.fixture(scope="module")
def streams(openjpeg_glymur, tmp_path_factory):
    """Paths of codestreams that OpenJPEG wrote with all kinds of options."""
    folder = tmp_path_factory.mktemp("streams")
    paths = {}
    for number, (name, options) in enumerate(STREAMS.items()):
        paths[name] = folder / f"{number}.j2k"
        pixels = image(129, 200, 8 if number % 2 else 16, number)
        openjpeg_glymur.Jp2k(paths[name], data=pixels, **{"irreversible": True, "numres": 4, **options})
    return paths


@pytest.mark.filterwarnings("ignore:OpenJPEG library warning:UserWarning")  # that the image has an offset
@pytest.mark.parametrize("name", STREAMS)
def test_options_of_openjpeg(name, streams, openjpeg_glymur):
    tolerance = 1 if STREAMS[name].get("irreversible", True) else 0
    codestream = streams[name].read_bytes()
    file = openjpeg_glymur.Jp2k(streams[name])
    assert_same(decode(codestream), file[:], tolerance)
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
        part = decode(codestream[: int(share * len(codestream))])
        errors.append(np.sqrt(np.mean((part.astype(float) - pixels) ** 2)))
    assert errors[-1] < 5
    assert errors == sorted(errors, reverse=True)


def test_missing_tile_is_grey(streams):
    codestream = streams["tiles"].read_bytes()
    second = codestream.index(b"\xff\x90\x00\x0a\x00\x01")
    whole, part = decode(codestream), decode(codestream[:second])
    np.testing.assert_array_equal(part[:50, :70], whole[:50, :70])
    assert (part[:, 70:] == 128).all()


def small_stream():
    return imagecodecs.jpeg2k_encode(image(40, 48, 8), codecformat="j2k", level=40)


def test_bad_arguments_are_refused():
    codestream = small_stream()
    with pytest.raises(ValueError, match="reduce=-1"):
        decode(codestream, reduce=-1)
    with pytest.raises(ValueError, match="layers=0"):
        decode(codestream, layers=0)
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
    assert decode(forged_size(1000, 900)).shape == (1000, 900)


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


def decode_or_refuse(codestream, **options):
    """Any bytes give an image within the limits or a CodecError."""
    try:
        pixels = decode(codestream, max_pixels=2**18, **options)
    except CodecError:
        return
    assert pixels.size <= 2**18
    assert pixels.dtype in (np.uint8, np.uint16, np.int8, np.int16)


@pytest.mark.parametrize("name", STREAMS)
def test_damaged_streams_give_an_image_or_a_codec_error(name, streams):
    codestream = streams[name].read_bytes()
    rng = np.random.default_rng(list(STREAMS).index(name))
    for attempt in range(12):
        # Half of the attempts spare no byte of the headers; the other half damage only what follows them.
        start = 2 if attempt % 2 else codestream.index(b"\xff\x93")
        broken = codestream[:start] + damaged(codestream[start:], rng, int(rng.integers(1, 6)))
        decode_or_refuse(broken, reduce=int(rng.integers(0, 2)))


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 4), header_only=st.booleans())
def test_damaged_small_streams_give_an_image_or_a_codec_error(seed, changes, header_only):
    codestream, rng = small_stream(), np.random.default_rng(seed)
    end = codestream.index(b"\xff\x93") if header_only else len(codestream)
    decode_or_refuse(damaged(codestream[:end], rng, changes) + codestream[end:])


@settings(deadline=None, max_examples=100)
@given(tail=st.binary(max_size=400))
def test_any_packet_bytes_decode(tail):
    codestream = small_stream()
    start = codestream.index(b"\xff\x93") + 2
    sot = codestream.index(b"\xff\x90")
    head = codestream[: sot + 6] + (start - sot + len(tail)).to_bytes(4, "big") + codestream[sot + 10 : start]
    assert decode(head + tail).shape == (40, 48)
