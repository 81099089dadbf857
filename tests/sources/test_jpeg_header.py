import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_jax.sources.jpeg_header import FrameHeader, frame_header

ENCODERS = {
    "jpeg": imagecodecs.jpeg8_encode,
    "lossless jpeg": imagecodecs.ljpeg_encode,
    "jpeg-ls": imagecodecs.jpegls_encode,
    "jpeg 2000": lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k"),
    "htj2k": imagecodecs.htj2k_encode,
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("shape", [(1, 1), (17, 300), (300, 17), (9, 11, 3)])
def test_agrees_with_what_other_encoders_wrote(kind, shape):
    shape = shape[:2] if kind == "lossless jpeg" else shape  # that encoder knows no colour
    codestream = ENCODERS[kind](np.zeros(shape, np.uint8))
    assert frame_header(codestream) == FrameHeader(shape[0], shape[1], shape[2] if len(shape) == 3 else 1)


def test_fill_bytes_and_other_segments_are_passed_over():
    codestream = imagecodecs.jpeg8_encode(np.zeros((8, 9), np.uint8))
    comment = b"\xff\xff\xff\xfe\x00\x05abc"
    assert frame_header(codestream[:2] + comment + codestream[2:]) == FrameHeader(8, 9, 1)


def test_a_jpeg_2000_image_offset_is_taken_off():
    codestream = bytearray(imagecodecs.jpeg2k_encode(np.zeros((8, 9), np.uint8), codecformat="j2k"))
    codestream[8:24] = b"".join(value.to_bytes(4, "big") for value in (109, 58, 100, 50))
    assert frame_header(bytes(codestream)) == FrameHeader(8, 9, 1)


@pytest.mark.parametrize("kind", ENCODERS)
@given(data=st.data())
def test_damaged_headers_give_a_header_or_none(kind, data):
    codestream = bytearray(ENCODERS[kind](np.zeros((5, 6), np.uint8)))
    for _ in range(data.draw(st.integers(0, 6))):
        codestream[data.draw(st.integers(0, len(codestream) - 1))] = data.draw(st.integers(0, 255))
    header = frame_header(bytes(codestream[: data.draw(st.integers(0, len(codestream)))]))
    assert header is None or len(header) == 3


@given(st.binary())
def test_other_bytes_give_none_or_a_header_behind_a_start(content):
    header = frame_header(content)
    assert header is None or content.startswith((b"\xff\xd8", b"\xff\x4f\xff\x51"))
