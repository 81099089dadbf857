"""Our raw codestreams in DICOM instances (PS3.5, A.4.4): encapsulated by pydicom, decoded by OpenJPEG."""

import io

import numpy as np
import openjpeg
import pydicom
import pytest
from dicom_files import dataset, encapsulated
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000

import codec
from mammo_jax.sources.dicom import read_dicom


def encoded(rows=120, columns=100, odd=False):
    y, x = np.mgrid[:rows, :columns]
    pixels = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 13) + 300 * (x > y)).astype(np.uint16)
    target = 1000 + odd
    return pixels, next(codec.encode_ladder(pixels, [pixels.nbytes / (target + 0.5)], bits_stored=12))


@pytest.mark.parametrize("odd", [False, True])
def test_an_object_holds_the_codestream_and_one_byte_to_make_it_even(odd, tmp_path):
    pixels, encoded_image = encoded(odd=odd)
    assert len(encoded_image.codestream) % 2 == odd
    path = tmp_path / "image.dcm"
    encapsulated(dataset(pixels), JPEG2000, encoded_image.codestream).save_as(path, enforce_file_format=True)
    instance = pydicom.dcmread(path)
    assert instance.file_meta.TransferSyntaxUID == JPEG2000 == "1.2.840.10008.1.2.4.91"
    frame = get_frame(instance.PixelData, 0, number_of_frames=1)
    assert frame == encoded_image.codestream + b"\0" * odd
    decoded = openjpeg.decode(io.BytesIO(frame))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - encoded_image.reconstruction.astype(int)).max() <= 1
    np.testing.assert_array_equal(codec.decode(frame), encoded_image.reconstruction)
    stored = read_dicom(path)
    assert stored.already_lossy
    assert np.abs(stored.pixels.astype(int) - encoded_image.reconstruction.astype(int)).max() <= 1
