"""The decoder under attack: whatever the bytes, an image within the caller's limit or a `CodecError`."""

import numpy as np
import pytest
from hostile_codestreams import MAX_PIXELS, attack, corpus, damaged, extreme_sizes, with_open_length, with_size
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg_streams import STREAMS, image

import codec
from experiments.codec_benchmark.shapes import decode_peak

SOD = b"\xff\x93"


@pytest.fixture(scope="module")
def streams(openjpeg_glymur, tmp_path_factory):
    return corpus(openjpeg_glymur, tmp_path_factory.mktemp("corpus"))


def test_the_corpus_holds_every_kind_and_decodes(streams):
    assert len(streams) >= len(STREAMS) + 8
    for name, codestream in streams.items():
        assert codec.decode(codestream, max_pixels=MAX_PIXELS).size > 0, name


@settings(deadline=None, max_examples=300)
@given(
    data=st.data(), seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 5), spare_headers=st.booleans(),
    strict=st.booleans(),
)  # fmt: skip
def test_damaged_codestreams(streams, data, seed, changes, spare_headers, strict):
    codestream = streams[data.draw(st.sampled_from(sorted(streams)))]
    rng = np.random.default_rng(seed)
    start = codestream.index(SOD) + 2 if spare_headers else 2
    broken = codestream[:start] + damaged(codestream[start:], rng, changes)
    broken = with_open_length(broken) if spare_headers else broken
    attack(broken, reduce=seed % 2, layers=seed % 3 or None, strict=strict)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), changes=st.integers(1, 4), seed=st.integers(0, 2**32 - 1), strict=st.booleans())
def test_damaged_headers(streams, data, changes, seed, strict):
    codestream = streams[data.draw(st.sampled_from(sorted(streams)))]
    end = codestream.index(SOD)
    attack(damaged(codestream[:end], np.random.default_rng(seed), changes) + codestream[end:], strict=strict)


@settings(deadline=None, max_examples=100)
@given(tail=st.binary(max_size=400))
@pytest.mark.filterwarnings("ignore::codec.CodecWarning")
def test_any_packet_bytes_decode(streams, tail):
    codestream = streams["ours, 8 bits"]
    head = with_open_length(codestream[: codestream.index(SOD) + 2])
    assert codec.decode(head + tail, strict=False).shape == (48, 40)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), share=st.floats(0, 1), strict=st.booleans())
def test_truncated_codestreams(streams, data, share, strict):
    codestream = streams[data.draw(st.sampled_from(sorted(streams)))]
    attack(codestream[: int(share * len(codestream))], strict=strict)
    attack(with_open_length(codestream[: int(share * len(codestream))]), strict=strict)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), changes=st.integers(0, 3), strict=st.booleans())
def test_extreme_aspect_ratios(streams, data, seed, changes, strict):
    rng = np.random.default_rng(seed)
    codestream = with_size(streams[data.draw(st.sampled_from(sorted(streams)))], *extreme_sizes(rng))
    start = codestream.index(SOD) + 2
    broken = with_open_length(codestream[:start] + damaged(codestream[start:], rng, changes))
    attack(broken, reduce=seed % 2, strict=strict)


@pytest.mark.parametrize("shape", [(1 << 22, 1), (3, 1 << 20), (1 << 20, 3), (1, 1 << 22)])
def test_a_short_codestream_of_a_hostile_shape(shape):
    small = codec.encode_lossless(image(64, 64, 8, 3)).codestream
    hostile = with_size(small, *shape, *shape)
    with pytest.warns(codec.CodecWarning):
        pixels = codec.decode(hostile, strict=False)
    assert pixels.shape == shape
    assert decode_peak(hostile, small) <= 8  # bytes a pixel
