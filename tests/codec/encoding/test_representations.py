"""What results show of themselves: one line, without the codestream or the pixels."""

import numpy as np
from pictures import picture

import codec


def test_a_codestream():
    (encoded,) = codec.encode_ladder(picture("tissue", 120, 100, 12, 2), [20], bits_stored=12)
    assert repr(encoded) == "Encoded(1200 bytes, ratio 20, 120 × 100 pixels of 12 bits in 16, 0 bytes of padding)"
    blank = codec.encode(np.full((300, 400), 7, np.uint8), 33.333333)
    assert str(blank).startswith("Encoded(3600 bytes, ratio 33.3333, 300 × 400 pixels of 8 bits in 8, 34")


def test_layers():
    pixels = picture("tissue", 120, 100, 12, 2)
    layered = codec.encode_layers(pixels, [20, 50, 200], bits_stored=12)
    assert repr(layered) == (
        "Layered(1200 bytes, layers: ratio 200, ratio 50, ratio 20;"
        " 120 × 100 pixels of 12 bits in 16, 0 bytes of padding)"
    )
    lossless = codec.encode_layers(pixels, [20], bits_stored=12, lossless=True)
    assert repr(lossless).startswith(f"Layered({len(lossless.codestream)} bytes, layers: ratio 20, lossless; 120 ×")
    alone = codec.encode_layers(pixels, [], bits_stored=12, lossless=True)
    assert "bytes, layers: lossless;" in repr(alone)


def test_many_layers_are_one_short_line_too():
    ratios = [100 / n for n in range(1, 40)]
    layered = codec.encode_layers(picture("tissue", 300, 300, 12, 2), ratios, bits_stored=12)
    assert "layers: ratio 100, …, ratio 2.5641; 300 ×" in repr(layered)


def test_the_contents_of_subbands():
    encoded = codec.encode(picture("tissue", 120, 100, 12, 2), 20, bits_stored=12)
    for subband in codec.inspect_codestream(encoded.codestream):
        assert repr(subband).startswith("SubbandContents(tile=0, orientation=")
        assert len(repr(subband)) < 150
        assert "\n" not in repr(subband)
