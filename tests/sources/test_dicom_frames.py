"""Objects with several frames, and files without preamble or meta information."""

import io

import imagecodecs
import numpy as np
import pytest
from dicom_files import dataset, encapsulated, write
from pydicom import uid
from pydicom.encaps import encapsulate, encapsulate_extended, get_frame
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from mammo_jax.compression.dicom import write_instance
from mammo_jax.sources.dicom import is_dicom, read_dicom, read_instance
from mammo_jax.sources.dicom_frames import JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION
from mammo_jax.sources.folder import Folder
from mammo_jax.sources.jpegxl_header import jpegxl_size
from mammo_jax.sources.mammogram import SourceError

FRAMES = np.random.default_rng(0).integers(0, 4096, (5, 23, 31)).astype(np.uint16)


def multi_frame(frames=FRAMES, **elements):
    return dataset(
        frames[0], NumberOfFrames=len(frames), PixelData=frames.tobytes() + b"\0" * (frames.nbytes % 2), **elements
    )


@pytest.mark.parametrize("count", [5, 60])
@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
)
def test_native_frames(tmp_path, syntax, count):
    """60 of them are read from the disk one by one, 5 are in the header."""
    frames = np.concatenate([FRAMES] * (count // 5)) ^ np.arange(count, dtype=np.uint16)[:, None, None]
    instance = multi_frame(frames)
    instance.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.ExplicitVRBigEndian:
        instance.PixelData = frames.astype(">u2").tobytes()
    _, read = read_instance(write(tmp_path / "a", instance))
    np.testing.assert_array_equal(list(read), frames)


@pytest.mark.parametrize(("table", "fragments"), [("basic", 1), ("basic", 3), ("extended", 1), ("none", 1)])
def test_encapsulated_frames(tmp_path, table, fragments):
    coded = [imagecodecs.jpegls_encode(frame) for frame in FRAMES]
    instance = encapsulated(multi_frame(), uid.JPEGLSLossless, coded[0])
    if table == "extended":
        instance.PixelData, instance.ExtendedOffsetTable, instance.ExtendedOffsetTableLengths = encapsulate_extended(
            coded
        )
    else:
        instance.PixelData = encapsulate(coded, has_bot=table == "basic", fragments_per_frame=fragments)
    _, read = read_instance(write(tmp_path / "a", instance))
    np.testing.assert_array_equal(list(read), FRAMES)


@pytest.mark.parametrize("stated", [4, 6])
@pytest.mark.parametrize("compressed", [False, True])
def test_another_number_of_frames_is_refused(tmp_path, stated, compressed):
    instance = multi_frame()
    if compressed:
        instance.compress(uid.RLELossless)
    instance.NumberOfFrames = stated
    with pytest.raises(SourceError, match="frame"):
        read_dicom(write(tmp_path / "a", instance))


def test_rle_in_many_fragments(tmp_path):
    instance = dataset(FRAMES[0])
    instance.compress(uid.RLELossless)
    rle = get_frame(instance.PixelData, 0, number_of_frames=1)
    instance.PixelData = encapsulate([rle], fragments_per_frame=7)
    np.testing.assert_array_equal(read_dicom(write(tmp_path / "a", instance)).pixels, FRAMES[0])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_study_takes_a_frame_the_projection_or_all(tmp_path, photometric):
    stored = FRAMES if photometric == "MONOCHROME2" else 4095 - FRAMES
    write(tmp_path / "a.dcm", multi_frame(stored, PhotometricInterpretation=photometric))
    (tmp_path / "images.csv").write_text("path,patient_id,label\na.dcm,p,normal\n")
    images = {
        frames: [image.pixels for image in Folder(tmp_path / "images.csv", plain_ids=True, frames=frames)]
        for frames in ("central", "mip", "all")
    }
    np.testing.assert_array_equal(images["central"], FRAMES[2:3])
    np.testing.assert_array_equal(images["mip"], [FRAMES.max(0)])
    np.testing.assert_array_equal(images["all"], FRAMES)
    table = Folder(tmp_path / "images.csv", plain_ids=True, frames="all").table()
    assert [row["image_id"] for row in table] == [f"a-{number}" for number in range(1, 6)]


def test_presentation_and_processing_are_not_mixed(tmp_path):
    write(tmp_path / "a.dcm", dataset(FRAMES[0], PresentationIntentType="FOR PRESENTATION"))
    write(tmp_path / "b.dcm", dataset(FRAMES[1], PresentationIntentType="FOR PROCESSING"))
    write(tmp_path / "c.dcm", dataset(FRAMES[1], SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2.1"))
    for other in "bc":
        (tmp_path / "images.csv").write_text(f"path,patient_id,label\na.dcm,p,normal\n{other}.dcm,p,normal\n")
        with pytest.raises(SourceError, match=rf"a\.dcm is FOR PRESENTATION, and .*{other}\.dcm is FOR PROCESSING"):
            Folder(tmp_path / "images.csv", plain_ids=True)


def test_twins_in_monochrome1_give_the_same_image_with_its_padding(tmp_path):
    one = dataset(FRAMES[0], PixelPaddingValue=0, PixelPaddingRangeLimit=100)
    twin = dataset(
        4095 - FRAMES[0], PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4095, PixelPaddingRangeLimit=3995
    )
    first, second = (read_dicom(write(tmp_path / "a", instance)) for instance in (one, twin))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.padding_range == second.padding_range == (0, 100)


def test_padding_comes_back_exactly_and_nothing_else(tmp_path):
    write(tmp_path / "a.dcm", dataset(FRAMES[0], PixelPaddingValue=0, PixelPaddingRangeLimit=1000))
    (tmp_path / "images.csv").write_text("path,patient_id,label\na.dcm,p,normal\n")
    image = Folder(tmp_path / "images.csv", plain_ids=True)[0]
    changed = FRAMES[0] ^ 3
    restored = image.with_padding(changed)
    padding = FRAMES[0] <= 1000
    np.testing.assert_array_equal(restored[padding], FRAMES[0][padding])
    np.testing.assert_array_equal(restored[~padding], changed[~padding])
    assert restored.dtype == changed.dtype


def without_preamble(instance, *, implicit, little, meta):
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    data = io.BytesIO()
    instance.save_as(data, enforce_file_format=True)
    if meta:
        return data.getvalue()[132:]
    write_dataset(buffer, instance)
    return buffer.getvalue()


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize(
    ("syntax", "implicit", "little"),
    [
        (uid.ExplicitVRLittleEndian, False, True),
        (uid.ImplicitVRLittleEndian, True, True),
        (uid.ExplicitVRBigEndian, False, False),
    ],
)
def test_files_without_preamble(tmp_path, syntax, implicit, little, meta):
    instance = dataset(FRAMES[0], PixelData=FRAMES[0].astype("<u2" if little else ">u2").tobytes())
    instance.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "a"
    path.write_bytes(without_preamble(instance, implicit=implicit, little=little, meta=meta))
    assert is_dicom(path)
    np.testing.assert_array_equal(read_dicom(path).pixels, FRAMES[0])
    whole, (pixels,) = read_instance(path)
    np.testing.assert_array_equal(pixels, FRAMES[0])
    assert whole.file_meta.TransferSyntaxUID == syntax


def test_compressed_pixels_without_meta_information_are_refused(tmp_path):
    instance = encapsulated(dataset(FRAMES[0]), uid.JPEGLSLossless, imagecodecs.jpegls_encode(FRAMES[0]))
    (tmp_path / "a").write_bytes(without_preamble(instance, implicit=False, little=True, meta=False))
    with pytest.raises(SourceError, match=r"no meta information.*how its PixelData are compressed"):
        read_dicom(tmp_path / "a")


@pytest.mark.parametrize("shape", [(23, 31), (64, 128), (40, 60), (300, 1000)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_in_a_jpeg_xl_header(shape, container):
    coded = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint16), lossless=True, usecontainer=container)
    assert jpegxl_size(coded) == shape
    assert jpegxl_size(coded[:10]) is None


def test_jpeg_xl(tmp_path):
    eight_bits = (np.add.outer(np.arange(32), np.arange(40)) * 3).astype(np.uint8)
    jpeg = imagecodecs.jpeg8_encode(eight_bits, level=95)
    cases = (
        (JPEG_XL_LOSSLESS, FRAMES[0], 12, imagecodecs.jpegxl_encode(FRAMES[0], lossless=True, bitspersample=12), 0),
        (JPEG_XL, FRAMES[0], 12, imagecodecs.jpegxl_encode(FRAMES[0], distance=0.1, bitspersample=12), 400),
        (JPEG_XL_RECOMPRESSION, eight_bits, 8, imagecodecs.jpegxl_encode_jpeg(jpeg), 12),
    )
    for syntax, pixels, bits, coded, tolerance in cases:
        path = tmp_path / "a"
        instance = encapsulated(dataset(pixels, bits_stored=bits), syntax, bytes(coded))
        instance.preamble = bytes(128)
        write_instance(path, instance)
        stored = read_dicom(path)
        np.testing.assert_allclose(stored.pixels.astype(int), pixels.astype(int), atol=tolerance)
        assert stored.already_lossy == (syntax != JPEG_XL_LOSSLESS)


def test_a_lossy_jpeg_that_overshoots_is_clipped_and_wrong_bits_are_refused(tmp_path):
    edges = np.where(np.indices((64, 64)).sum(0) // 5 % 2, 1023, 0).astype(np.uint16)
    coded = imagecodecs.jpeg8_encode(edges, level=85, bitspersample=12)
    assert imagecodecs.jpeg8_decode(coded).max() > 1023
    stored = read_dicom(
        write(tmp_path / "a", encapsulated(dataset(edges, bits_stored=10), uid.JPEGExtended12Bit, coded))
    )
    assert stored.pixels.max() == 1023
    np.testing.assert_array_equal(stored.pixels, np.minimum(imagecodecs.jpeg8_decode(coded), 1023))
    with pytest.raises(SourceError, match="9-bit"):
        read_dicom(write(tmp_path / "a", encapsulated(dataset(edges, bits_stored=9), uid.JPEGExtended12Bit, coded)))


@pytest.mark.parametrize(
    ("elements", "named"),
    [
        ({"PixelRepresentation": 1}, "signed samples"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colours"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR.*colours"),
        ({"BitsAllocated": 32}, "samples of 32 bits"),
        ({"PixelData": None, "FloatPixelData": bytes(8)}, "floating-point"),
    ],
)
def test_other_kinds_are_refused_by_name(tmp_path, elements, named):
    instance = dataset(FRAMES[0])
    for name, value in elements.items():
        if value is None:
            delattr(instance, name)
        else:
            setattr(instance, name, value)
    with pytest.raises(SourceError, match=named):
        read_dicom(write(tmp_path / "a", instance))
