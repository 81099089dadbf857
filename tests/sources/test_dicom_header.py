"""What is said of DICOM files that cannot be compressed, and how little it may cost to say so."""

import struct
import time

import imagecodecs
import numpy as np
import pytest
from dicom_files import dataset, encapsulated, write
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset

import codec
from mammo_jax.sources import dicom_structure
from mammo_jax.sources.dicom import read_dicom, read_instance
from mammo_jax.sources.mammogram import SourceError

PIXELS = np.random.default_rng(0).integers(0, 4096, (23, 31)).astype(np.uint16)


def message(path) -> str:
    with pytest.raises(SourceError) as raised:
        read_dicom(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR Storage"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "Key Object Selection Document Storage"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF Storage"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation Storage"),
        ("1.2.3.4", "1.2.3.4"),
    ],
)
def test_what_is_no_image_is_named_by_its_class(tmp_path, sop_class, name):
    instance = Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    instance.SOPClassUID, instance.SOPInstanceUID = sop_class, "1.2.3"
    if name == "Segmentation Storage":
        instance = dataset(PIXELS, bits_stored=1, SOPClassUID=sop_class)
    path = write(tmp_path / "a", instance)
    assert message(path) == f"no image (SOP class {name}); there is nothing to compress"


def test_a_directory_of_dicom_files_is_no_image(tmp_path):
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    assert "no image (SOP class Media Storage Directory Storage)" in message(write(tmp_path / "DICOMDIR", directory))


@pytest.mark.parametrize(
    "element",
    ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
     "PhotometricInterpretation", "PixelData"],
)  # fmt: skip
def test_a_missing_element_is_named(tmp_path, element):
    path = write(tmp_path / "a", dataset(PIXELS))
    assert message(rewritten(path, lambda instance: delattr(instance, element))).startswith(f"{element} is missing")


def rewritten(path, change):
    instance = dcmread(path)
    change(instance)
    return write(path, instance)


@pytest.mark.parametrize(
    ("element", "value", "said"),
    [
        ("PhotometricInterpretation", "RGB", "PhotometricInterpretation is RGB, but MONOCHROME1 or MONOCHROME2"),
        ("PhotometricInterpretation", "GEHEIM GERDA", "PhotometricInterpretation is another, but"),
        ("NumberOfFrames", 0, "NumberOfFrames is 0; 1 to"),
        ("BitsStored", 17, "BitsStored 17 does not fit BitsAllocated 16"),
        ("HighBit", 5, "HighBit 5 fits neither BitsStored 12 nor BitsAllocated 16"),
    ],
)
def test_a_value_that_does_not_fit_is_said(tmp_path, element, value, said):
    assert message(write(tmp_path / "a", dataset(PIXELS, **{element: value}))).startswith(said)


def test_an_unsupported_transfer_syntax_is_named(tmp_path):
    video, private = "1.2.840.10008.1.2.4.100", "1.3.6.1.4.1.5962.12.3.4"
    path = write(tmp_path / "a", encapsulated(dataset(PIXELS), video, b"ab"))
    assert message(path).startswith("the transfer syntax MPEG2 Main Profile / Main Level is not supported")
    path.write_bytes(path.read_bytes().replace(video.encode(), private.encode()))
    assert message(path).startswith(f"the transfer syntax {private} is not supported")


def test_a_missing_transfer_syntax_is_named(tmp_path):
    instance = dataset(PIXELS)
    del instance.file_meta.TransferSyntaxUID
    instance.preamble = bytes(128)
    instance.save_as(tmp_path / "a", implicit_vr=False, little_endian=True)
    assert message(tmp_path / "a").startswith("TransferSyntaxUID is missing in the file meta information")


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless])
def test_left_justified_samples_are_read(tmp_path, syntax):
    left = PIXELS << 4
    instance = dataset(left, HighBit=15)
    if syntax == uid.ExplicitVRBigEndian:
        instance.PixelData = left.astype(">u2").tobytes()
    if syntax == uid.RLELossless:
        instance.compress(syntax)
    instance.file_meta.TransferSyntaxUID = syntax
    header, (pixels,) = read_instance(write(tmp_path / "a", instance))
    np.testing.assert_array_equal(pixels, PIXELS)
    assert (header.BitsStored, header.HighBit) == (12, 11)


def test_samples_that_are_not_left_justified_as_they_say_are_refused_without_a_guess(tmp_path):
    said = message(write(tmp_path / "a", dataset(PIXELS, HighBit=15)))
    assert said.startswith("HighBit says that the lowest 4 bits of each sample are unused, but they are not 0")
    assert "correct it" not in said


def nested(depth: int) -> bytes:
    """Sequences in sequences, of undefined lengths."""
    start = struct.pack("<HH2sHIHHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    return depth * start + depth * struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)


def nested_with_lengths(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, len(item)) + item
    return inner


def with_bytes_before_the_pixels(path, added: bytes):
    contents = write(path, dataset(PIXELS)).read_bytes()
    place = contents.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    path.write_bytes(contents[:place] + added + contents[place:])
    return path


@pytest.mark.parametrize("sequences", [nested, nested_with_lengths])
@pytest.mark.parametrize("depth", [25, 300, 3000])
def test_deeply_nested_sequences_cost_nothing(tmp_path, sequences, depth):
    path = with_bytes_before_the_pixels(tmp_path / "a", sequences(depth))
    start = time.process_time()
    assert "sequences nested more than 24 deep" in message(path)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("sequences", [nested, nested_with_lengths])
def test_sequences_of_an_image_are_not_too_deep(tmp_path, sequences):
    instance, (pixels,) = read_instance(with_bytes_before_the_pixels(tmp_path / "a", 3 * sequences(24)))
    np.testing.assert_array_equal(pixels, PIXELS)
    assert "ContentSequence" in instance


def test_the_number_of_elements_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_structure, "MAX_ELEMENTS", 500)
    many = b"".join(struct.pack("<HH2sH2s", 0x0041, number, b"SH", 2, b"a ") for number in range(0x1000, 0x1200))
    path = with_bytes_before_the_pixels(tmp_path / "a", many)
    assert "has more than 500 elements" in message(path)
    monkeypatch.setattr(dicom_structure, "MAX_ELEMENTS", 550)
    assert read_dicom(path).pixels.shape == PIXELS.shape


def test_a_length_far_beyond_the_end_takes_no_memory(tmp_path):
    path = with_bytes_before_the_pixels(tmp_path / "a", struct.pack("<HH2sHI", 0x0041, 0x1001, b"OB", 0, 0xFFFFFFF0))
    assert message(path) == (
        "the element (0041,1001) has 4294967280 bytes by its length, but the file ends before; export it again"
    )


def test_what_a_deflated_file_inflates_to_is_limited(tmp_path, monkeypatch):
    instance = dataset(np.zeros((500, 500), np.uint16))
    instance.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    path = write(tmp_path / "a", instance)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(dicom_structure, "MAX_INFLATED", 10_000)
    assert "inflates to more than 10000 bytes" in message(path)


def test_a_jpeg_2000_frame_may_lie_in_a_jp2_file(tmp_path):
    codestream = codec.encode_lossless(PIXELS, bits_stored=12).codestream
    instance = encapsulated(dataset(PIXELS), uid.JPEG2000Lossless, codec.wrap_jp2(codestream))
    np.testing.assert_array_equal(read_dicom(write(tmp_path / "a", instance)).pixels, PIXELS)


def test_a_damaged_frame_has_no_hint_that_only_the_codec_s_callers_can_use(tmp_path):
    codestream = codec.encode_lossless(PIXELS, bits_stored=12).codestream
    for damaged in (codestream[:-40] + codestream[-30:], codestream[:-9] + b"12" + codestream[-9:]):
        said = message(write(tmp_path / "a", encapsulated(dataset(PIXELS), uid.JPEG2000Lossless, damaged)))
        assert "not whole" in said
        assert "strict" not in said


def test_high_throughput_frames_are_checked_as_far_as_their_markers_go(tmp_path):
    whole = imagecodecs.htj2k_encode(PIXELS, reversible=True)
    path = write(tmp_path / "a", encapsulated(dataset(PIXELS), uid.HTJ2KLossless, whole))
    np.testing.assert_array_equal(read_dicom(path).pixels, PIXELS)
    for damaged, said in (
        (whole[:-100], "tile-part 1 ends early"),
        (whole[:-2], "the marker of the end is missing|tile-part 1 ends early"),
        (whole[:-4] + b"ab" + whole[-4:], "no tile-part begins at byte"),
    ):
        path = write(tmp_path / "a", encapsulated(dataset(PIXELS), uid.HTJ2KLossless, damaged))
        with pytest.raises(SourceError, match=rf"the JPEG 2000 PixelData are not whole \(({said})"):
            read_dicom(path)
