"""What a codestream holds: decisions as the naive coder makes them, passes and bytes as the encoder put them in."""

import naive_codec
import numpy as np
import pytest

import codec
from codec.decoding.inspection import count_block


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (7, 5), (1, 9), (12, 3)])
def test_decisions_are_counted_as_the_naive_coder_makes_them(rows, columns):
    rng = np.random.default_rng(rows)
    values = np.round(rng.laplace(0, 3, (rows, columns))).astype(np.int64)
    values[0, 0] = 9
    coded = [len(each) for each in naive_codec.NaiveBlock(values, "HL").passes()]
    planes = int(np.abs(values).max()).bit_length()
    for passes in range(1, len(coded) + 1):
        assert count_block(np.abs(values), planes, passes) == sum(coded[:passes])


def test_contents_of_a_codestream_of_one_code_block():
    """Without levels the only subband is the image less the level shift, so that the naive coder sees it too."""
    pixels = np.random.default_rng(3).integers(0, 256, (20, 17), dtype=np.uint8)
    encoded = codec.encode_lossless(pixels)
    passes = naive_codec.NaiveBlock(pixels.astype(int) - 128, "LL").passes()
    (subband,) = codec.inspect_codestream(encoded.codestream)
    assert (subband.orientation, subband.level, subband.code_blocks) == ("LL", 0, 1)
    assert subband.passes == len(passes)
    assert subband.decisions == sum(map(len, passes))
    assert subband.segment_bytes == encoded.body_bytes


def test_contents_of_layers_add_up():
    pixels = np.random.default_rng(4).integers(0, 4096, (300, 200)).astype(np.uint16)
    layered = codec.encode_layers(pixels, (4, 2), bits_stored=12, lossless=True)
    subbands = codec.inspect_codestream(layered.codestream)
    assert [(each.orientation, each.level) for each in subbands[:4]] == [("LL", 4), ("HL", 4), ("LH", 4), ("HH", 4)]
    assert sum(each.segment_bytes for each in subbands) == len(layered.codestream) - layered.header_bytes[-1]
    first = codec.inspect_codestream(layered.first_layers(1))
    for part, whole in zip(first, subbands, strict=True):
        assert part.passes <= whole.passes
        assert part.decisions <= whole.decisions
    assert sum(each.decisions for each in subbands) > 300 * 200 * 12


def test_other_styles_are_refused():
    codestream = codec.encode_lossless(np.zeros((8, 8), np.uint8)).codestream
    at = codestream.index(b"\xff\x52") + 12  # SPcod's code-block style (Table A.20)
    assert codestream[at] == 0
    with pytest.raises(codec.UnsupportedCodestreamError, match="style 0x1"):
        codec.inspect_codestream(codestream[:at] + b"\1" + codestream[at + 1 :])
