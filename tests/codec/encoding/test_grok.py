"""Our codestreams in a decoder that shares no code with ours or with today's OpenJPEG: Grok, where it is installed.

(Debian's package grokj2k-tools.) Its encoder also gives streams that OpenJPEG reads wrongly.
"""

import shutil
import subprocess

import numpy as np
import pytest
from pictures import picture
from test_encoder import difference

import codec

pytestmark = pytest.mark.skipif(
    not (shutil.which("grk_compress") and shutil.which("grk_decompress")),
    reason="Grok's programs are not installed (Debian: grokj2k-tools)",
)
SHAPES = [(300, 260), (257, 131), (1, 90), (77, 1), (5, 3)]


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr


@pytest.fixture
def grok(tmp_path):
    """Decode a codestream, or its first layers, to an array of the shape and dtype of `like`."""

    def decode(codestream, like, bits, *options):
        (tmp_path / "image.j2k").write_bytes(codestream)
        run("grk_decompress", "-i", tmp_path / "image.j2k", "-o", tmp_path / "image.raw", *options)
        samples = np.fromfile(tmp_path / "image.raw", np.uint8 if bits <= 8 else ">u2")
        return samples.reshape(like.shape).astype(like.dtype)

    return decode


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [8, 12])
def test_ladders(grok, shape, bits):
    pixels = picture("tissue", *shape, bits, 6)
    ratios = [ratio for ratio in (0.5, 4, 15, 100, 300) if pixels.nbytes / ratio >= 100]
    assert ratios or pixels.size < 100
    for encoded in codec.encode_ladder(pixels, ratios, bits_stored=bits):
        assert difference(grok(encoded.codestream, pixels, bits), encoded.reconstruction) <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless(grok, shape, bits):
    pixels = picture("tissue", *shape, bits, 6)
    codestream = codec.encode_lossless(pixels, bits_stored=bits).codestream
    np.testing.assert_array_equal(grok(codestream, pixels, bits), pixels)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("bits", [8, 12])
def test_layers(grok, bits, lossless):
    pixels = picture("tissue", 257, 300, bits, 6)
    layered = codec.encode_layers(pixels, [10, 40, 200], bits_stored=bits, lossless=lossless)
    for layers in range(1, len(layered.layer_bytes) + 1):
        ours = codec.decode(layered.codestream, layers=layers).astype(pixels.dtype)
        assert difference(grok(layered.codestream, pixels, bits, "-l", layers), ours) <= 1 - lossless
        assert difference(grok(layered.first_layers(layers), pixels, bits), ours) <= 1 - lossless


@pytest.mark.parametrize("style", [0, 1, 5, 9, 63])
@pytest.mark.parametrize("bits", [8, 12])
def test_a_shift_of_the_region_of_interest_with_and_without_bypass(grok, tmp_path, bits, style):
    """Of these streams OpenJPEG misreads those with bypass: styles 1, 5, 9 and 63 (see `codec.decode`)."""
    pixels = picture("tissue", 70, 90, bits, 7 if bits == 8 else 4)
    pixels.astype(np.uint8 if bits == 8 else ">u2").tofile(tmp_path / "in.raw")
    run(
        "grk_compress", "-i", tmp_path / "in.raw", "-F", f"90,70,1,{bits},u", "-o", tmp_path / "roi.j2k",
        "-M", style, "-R", "c=0,U=13",
    )  # fmt: skip
    codestream = (tmp_path / "roi.j2k").read_bytes()
    np.testing.assert_array_equal(codec.decode(codestream).astype(pixels.dtype), pixels)
    np.testing.assert_array_equal(grok(codestream, pixels, bits), pixels)
