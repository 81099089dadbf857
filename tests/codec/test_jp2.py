"""The JP2 file as others read it: jpylyzer validates it, glymur, imagecodecs and Pillow open it."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jpylyzer import jpylyzer
from PIL import Image

import codec
from codec.decoding.jp2_reader import SIGNATURE
from codec.errors import OptionError


def picture(bits):
    y, x = np.mgrid[:90, :70]
    values = (2**bits - 1) * (0.5 + 0.3 * np.sin(x / 7) * np.cos(y / 11) + 0.2 * (x > y))
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def encoded(bits, ratio=8):
    return next(codec.encode_ladder(picture(bits), [ratio], bits_stored=bits))


def validated(data, path, kind="jp2"):
    """Whether jpylyzer finds that T.800 is followed, and what else it found."""
    path.write_bytes(data)
    result = jpylyzer.checkOneFile(str(path), kind)
    return result.findtext("isValid") == "True", result.find("properties")


@pytest.mark.parametrize("pixel_pitch", [None, 0.0661])
@pytest.mark.parametrize("bits", [1, 8, 12, 16])
def test_the_file_is_valid(bits, pixel_pitch, tmp_path):
    file = codec.wrap_jp2(encoded(bits, 4).codestream, pixel_pitch=pixel_pitch)
    valid, properties = validated(file, tmp_path / "image.jp2")
    assert valid
    assert properties.findtext("jp2HeaderBox/imageHeaderBox/height") == "90"
    assert properties.findtext("jp2HeaderBox/imageHeaderBox/width") == "70"
    assert properties.findtext("jp2HeaderBox/imageHeaderBox/bPCDepth") == str(bits)
    assert properties.findtext("jp2HeaderBox/colourSpecificationBox/enumCS") == "greyscale"
    if pixel_pitch is not None:
        properties = properties.find("jp2HeaderBox/resolutionBox/captureResolutionBox")
        assert float(properties.findtext("vRescInPixelsPerMeter")) == pytest.approx(1000 / pixel_pitch, rel=1e-6)
        assert float(properties.findtext("hRescInPixelsPerInch")) == pytest.approx(25.4 / pixel_pitch, rel=1e-3)


@pytest.mark.parametrize("ratio", [0.5, 4, 100])
def test_the_codestream_is_valid_by_itself(ratio, tmp_path):
    valid, properties = validated(encoded(12, ratio).codestream, tmp_path / "image.j2c", "j2c")
    assert valid
    assert properties.findtext("siz/ssizDepth") == "12"
    assert properties.findtext("cod/transformation") == "9-7 irreversible"


def test_the_validator_sees_a_damaged_file(tmp_path):
    file = codec.wrap_jp2(encoded(8).codestream)
    for damaged in (file[:-1], file.replace(b"colr", b"free"), file[:20] + file[32:]):
        assert not validated(damaged, tmp_path / "image.jp2")[0]


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_other_readers_open_it(bits, openjpeg_glymur, tmp_path):
    ours = encoded(bits)
    file = codec.wrap_jp2(ours.codestream, pixel_pitch=0.05)
    path = tmp_path / "image.jp2"
    path.write_bytes(file)
    opened = openjpeg_glymur.Jp2k(path)
    assert [box.box_id for box in opened.box] == ["jP  ", "ftyp", "jp2h", "jp2c"]
    assert [box.box_id for box in opened.box[2].box] == ["ihdr", "colr", "res "]
    assert opened.box[2].box[2].box[0].vertical_resolution == 20000
    with Image.open(io.BytesIO(file)) as image:
        decoded = [opened[:], imagecodecs.jpeg2k_decode(file), np.asarray(image)]
    for pixels in decoded[: 2 if bits == 12 else 3]:  # Pillow stretches 12 bits to 16
        assert np.abs(pixels.astype(int) - ours.reconstruction.astype(int)).max() <= max(1, 2 ** (bits - 14))
    np.testing.assert_array_equal(codec.decode(file), ours.reconstruction)


def test_the_codestream_comes_out_as_it_went_in():
    codestream = encoded(12).codestream
    assert codec.unwrap_jp2(codec.wrap_jp2(codestream)) == codestream
    wrapped = imagecodecs.jpeg2k_encode(picture(8), codecformat="jp2", reversible=True)
    assert codec.unwrap_jp2(wrapped)[:2] == b"\xff\x4f"
    np.testing.assert_array_equal(codec.decode(wrapped), picture(8))


def test_signed_samples_are_said_to_be(tmp_path):
    pixels = picture(8).astype(np.int16) - 128
    codestream = imagecodecs.jpeg2k_encode(pixels.astype(np.int8), codecformat="j2k", reversible=True)
    file = codec.wrap_jp2(codestream)
    assert validated(file, tmp_path / "image.jp2")[0]
    np.testing.assert_array_equal(codec.decode(file), pixels)


def test_every_form_of_a_box_length_is_read():
    codestream = encoded(8).codestream
    file_type = struct.pack(">I4s", 12, b"ftyp") + b"jp2 "
    boxes = (
        struct.pack(">I4s", 8 + len(codestream), b"jp2c"),
        struct.pack(">I4s", 0, b"jp2c"),
        struct.pack(">I4sQ", 1, b"jp2c", 16 + len(codestream)),
    )
    for head in boxes:
        assert codec.unwrap_jp2(SIGNATURE + file_type + head + codestream) == codestream


def test_a_palette_is_refused_by_name():
    file = codec.wrap_jp2(encoded(8).codestream)
    header = file.index(b"jp2h") - 4
    length = int.from_bytes(file[header : header + 4])
    palette = struct.pack(">I4sHBBBBBBB", 17, b"pclr", 1, 3, 7, 7, 7, 1, 2, 3)
    coloured = file[:header] + struct.pack(">I", length + len(palette)) + file[header + 4 : header + length] + palette
    with pytest.raises(codec.UnsupportedCodestreamError, match="palette"):
        codec.decode(coloured + file[header + length :])


def test_what_is_no_jp2_file_is_refused():
    with pytest.raises(codec.CodestreamError, match="signature"):
        codec.unwrap_jp2(encoded(8).codestream)
    with pytest.raises(codec.CodestreamError, match="holds no codestream"):
        codec.unwrap_jp2(SIGNATURE + struct.pack(">I4s", 0, b"free"))
    with pytest.raises(codec.CodestreamError, match="SOC"):
        codec.wrap_jp2(b"no codestream")
    for pitch in (0, -1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="pixel_pitch"):
            codec.wrap_jp2(encoded(8).codestream, pixel_pitch=pitch)


@given(st.binary(max_size=60))
def test_any_boxes_give_a_codestream_or_an_error(boxes):
    try:
        content = codec.unwrap_jp2(SIGNATURE + boxes)
    except codec.CodestreamError:
        return
    assert content in boxes
