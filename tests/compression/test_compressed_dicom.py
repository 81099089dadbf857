"""DICOM objects that carry our codestreams, read back by pydicom, decoded by OpenJPEG (Pillow, imagecodecs)."""

import struct

import imagecodecs
import numpy as np
import pytest
from dicom_files import SECRETS, dataset, encapsulated, frames_in_memory, write
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence

import codec
from mammo_jax.compression.dicom import compressed_instance, write_instance
from mammo_jax.sources import SourceError
from mammo_jax.sources.dicom import read_dicom, read_instance

y, x = np.mgrid[:61, :83]
PIXELS = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)


def compressed(tmp_path, original, ratio=20.0, lossless=False, **settings):
    """Write an object, compress it, write that, and read it with pydicom; returns both and the codestream."""
    instance, (pixels,) = read_instance(write(tmp_path / "before.dcm", original))
    encoded = codec.encode(pixels, ratio, bits_stored=int(instance.BitsStored))
    syntax = "j2k-lossless" if lossless else "j2k"
    result = compressed_instance(
        instance, frames_in_memory([encoded.codestream]), syntax=syntax, ratio=encoded.ratio_allocated, **settings
    )
    write_instance(tmp_path / "after.dcm", result)
    return original, dcmread(tmp_path / "after.dcm"), encoded.codestream


def test_what_a_lossy_object_says(tmp_path):
    before, after, codestream = compressed(tmp_path, dataset(PIXELS, DerivationDescription="cropped"))
    assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.91"
    assert after.LossyImageCompression == "01"
    assert after.LossyImageCompressionRatio == pytest.approx(PIXELS.nbytes / len(codestream), rel=1e-6)
    assert after.LossyImageCompressionMethod == "ISO_15444_1"
    assert after.ImageType == ["DERIVED", "PRIMARY"]
    assert after.DerivationDescription.startswith("cropped; lossy JPEG 2000, compression ratio 20.")
    assert after.DerivationCodeSequence[0].CodeValue == "113040"
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID != before.SOPInstanceUID
    assert after.SOPInstanceUID.is_valid
    (source,) = after.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert source.ReferencedSOPClassUID == before.SOPClassUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    for name, value in SECRETS.items():  # an archive's object stays its patient's
        assert after[name].value == value


@pytest.mark.parametrize("ratio", [20.0, 20.04, 19.96, 19.92])
def test_the_codestream_is_exact_and_its_pad_byte_outside(tmp_path, ratio):
    _, after, codestream = compressed(tmp_path, dataset(PIXELS), ratio)
    assert len(codestream) == int(PIXELS.nbytes / ratio)
    fragment = get_frame(after.PixelData, 0, number_of_frames=1)
    assert fragment == codestream + b"\0" * (len(codestream) % 2)
    assert codestream[-2:] == b"\xff\xd9"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_others_decode_the_stored_values(tmp_path, photometric):
    _, after, codestream = compressed(tmp_path, dataset(PIXELS, PhotometricInterpretation=photometric))
    assert after.PhotometricInterpretation == photometric
    ours = codec.decode(codestream).astype(int)
    assert np.abs(ours - PIXELS).max() < 300
    assert np.abs(ours - after.pixel_array).max() <= 1
    assert np.abs(ours - imagecodecs.jpeg2k_decode(codestream)).max() <= 1
    again = read_dicom(tmp_path / "after.dcm")
    assert again.already_lossy
    assert np.abs(again.pixels - (4095 - ours if photometric == "MONOCHROME1" else ours)).max() <= 1


def test_a_lossless_object_stays_the_same_object(tmp_path):
    before, after, _ = compressed(tmp_path, dataset(PIXELS, LossyImageCompression="00"), lossless=True)
    assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    assert after.SOPInstanceUID == before.SOPInstanceUID
    assert after.LossyImageCompression == "00"
    assert "LossyImageCompressionRatio" not in after
    assert "SourceImageSequence" not in after


def test_earlier_lossy_steps_stay_on_record(tmp_path):
    earlier = Dataset()
    earlier.ReferencedSOPClassUID, earlier.ReferencedSOPInstanceUID = "1.2.3", "1.2.4"
    original = dataset(
        PIXELS, LossyImageCompression="01", LossyImageCompressionRatio="8", LossyImageCompressionMethod="ISO_10918_1",
        ImageType=["ORIGINAL", "PRIMARY", "", "LEFT"], SourceImageSequence=Sequence([earlier]),
        LargestImagePixelValue=9,
    )  # fmt: skip
    _, after, _ = compressed(tmp_path, original)
    assert [float(ratio) for ratio in after.LossyImageCompressionRatio] == [8, pytest.approx(20, rel=0.01)]
    assert after.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_15444_1"]
    assert after.ImageType == ["DERIVED", "PRIMARY", "", "LEFT"]
    assert [item.ReferencedSOPInstanceUID for item in after.SourceImageSequence] == ["1.2.4", original.SOPInstanceUID]
    assert "PurposeOfReferenceCodeSequence" not in after.SourceImageSequence[1]  # its predecessor was compressed too
    assert "LargestImagePixelValue" not in after


def test_a_new_uid_is_the_same_in_every_run_and_another_for_every_codestream(tmp_path):
    uids = [compressed(tmp_path, dataset(PIXELS), ratio)[1].SOPInstanceUID for ratio in (20, 20, 30)]
    assert uids[0] == uids[1] != uids[2]
    instance, (pixels,) = read_instance(write(tmp_path / "before.dcm", dataset(PIXELS)))
    layered = codec.encode_layers(pixels, (20, 40), bits_stored=12)
    assert len(layered.codestream) == len(codec.encode(pixels, 20, bits_stored=12).codestream)
    another = compressed_instance(instance, frames_in_memory([layered.codestream]), syntax="j2k", ratio=20.0)
    assert another.SOPInstanceUID not in uids


def test_implicit_vr_becomes_explicit(tmp_path):
    original = dataset(PIXELS)
    original.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    _, after, codestream = compressed(tmp_path, original)
    assert not after.original_encoding[0]
    assert after.PatientID == SECRETS["PatientID"]
    assert get_frame(after.PixelData, 0, number_of_frames=1).startswith(codestream)


def test_what_would_be_lost_is_refused(tmp_path):
    original = dataset(PIXELS)
    original.add_new((0x6002, 0x0102), "US", 12)
    with pytest.raises(SourceError, match="overlay in unused bits"):
        compressed(tmp_path, original)
    coded = codec.encode_lossless(PIXELS, bits_stored=12).codestream
    with pytest.raises(SourceError, match="compressed already; export it again uncompressed"):
        compressed(tmp_path, encapsulated(original, uid.JPEG2000Lossless, coded))


def test_what_follows_the_pixels_stays(tmp_path):
    original = dataset(PIXELS)
    original.add_new((0x7FE1, 0x0010), "LO", "SOMEONE")
    original.add_new((0x7FE1, 0x1001), "OB", b"abcd")
    original.DataSetTrailingPadding = b"\0\0"
    for lossless in (False, True):
        _, after, _ = compressed(tmp_path, original, lossless=lossless)
        assert after[0x7FE1, 0x1001].value == b"abcd"
        assert after.DataSetTrailingPadding == b"\0\0"


def with_icon(coded, **elements):
    original = encapsulated(dataset(PIXELS), uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode(PIXELS, bitspersample=12))
    icon = Dataset()
    values = {
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": 8, "Columns": 9, "BitsAllocated": 8,
        "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "PixelData": encapsulate([coded]),
    }  # fmt: skip
    for name, value in (values | elements).items():
        setattr(icon, name, value)
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", True
    original.IconImageSequence = Sequence([icon])
    return original


def test_an_icon_gets_out_of_the_old_transfer_syntax_without_loss(tmp_path):
    small = (PIXELS[:8, :9] >> 4).astype(np.uint8)
    _, after, _ = compressed(tmp_path, with_icon(imagecodecs.ljpeg_encode(small)))
    (icon,) = after.IconImageSequence
    assert icon.PixelData == small.tobytes()
    assert not icon["PixelData"].is_undefined_length
    assert "icon" not in after.DerivationDescription


@pytest.mark.parametrize("damage", [{"Rows": 7}, {"BitsAllocated": 16}, {"PixelData": encapsulate([b"no image"])}])
def test_an_icon_that_cannot_be_decoded_is_removed_with_a_note(tmp_path, damage):
    coded = imagecodecs.ljpeg_encode((PIXELS[:8, :9] >> 4).astype(np.uint8))
    _, after, _ = compressed(tmp_path, with_icon(coded, **damage))
    assert "IconImageSequence" not in after
    assert "icon removed" in after.DerivationDescription


def test_native_icons_stay(tmp_path):
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.PixelData = 2, 2, 8, b"abcd"
    icon["PixelData"].VR = "OB"
    _, after, _ = compressed(tmp_path, dataset(PIXELS, IconImageSequence=Sequence([icon])))
    assert after.IconImageSequence[0].PixelData == b"abcd"


def test_retired_curves_and_other_ambiguous_elements_of_implicit_vr_stay(tmp_path):
    original = dataset(PIXELS, SmallestImagePixelValue=3)
    original.add_new((0x5000, 0x0103), "US", 0)
    original.add_new((0x5000, 0x3000), "OW", b"abcdefgh")
    original.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    for lossless in (False, True):
        _, after, _ = compressed(tmp_path, original, lossless=lossless)
        assert after[0x5000, 0x3000].value == b"abcdefgh"
        assert after[0x5000, 0x3000].VR == "OW"
    assert after.SmallestImagePixelValue == 3


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
@pytest.mark.parametrize("syntax", ["j2k", "j2k-lossless"])
def test_an_object_without_its_uids_is_refused_by_name(tmp_path, keyword, syntax):
    path = write(tmp_path / "before.dcm", dataset(PIXELS))
    instance, (pixels,) = read_instance(path)
    delattr(instance, keyword)
    codestream = codec.encode(pixels, 20, bits_stored=12).codestream
    with pytest.raises(SourceError, match=f"{keyword} is missing"):
        compressed_instance(instance, frames_in_memory([codestream]), syntax=syntax, ratio=20.0)


def test_a_damaged_element_is_one_error_that_quotes_nothing(tmp_path):
    contents = write(tmp_path / "a.dcm", dataset(PIXELS)).read_bytes()
    place = contents.index(struct.pack("<HH2s", 0x0028, 0x0002, b"US"))
    no_whole_double = struct.pack("<HH2sH", 0x0018, 0x9073, b"FD", 6) + b"Gerda!"
    (tmp_path / "a.dcm").write_bytes(contents[:place] + no_whole_double + contents[place:])
    instance, (pixels,) = read_instance(tmp_path / "a.dcm")
    codestream = codec.encode(pixels, 20, bits_stored=12).codestream
    with pytest.raises(SourceError, match=r"the element \(0018,9073\) is damaged") as raised:
        write_instance(
            tmp_path / "b.dcm", compressed_instance(instance, frames_in_memory([codestream]), syntax="j2k", ratio=20.0)
        )
    assert "Gerda" not in str(raised.value)
    assert not (tmp_path / "b.dcm").exists()


def test_the_small_files_that_failed_once(shared_data, tmp_path):
    reasons = {}
    for path in sorted((shared_data / "cases" / "dicom").glob("*.dcm")):
        try:
            instance, frames = read_instance(path)
            bits = int(instance.BitsStored)
            codestreams = [codec.encode(pixels, 20, bits_stored=bits).codestream for pixels in frames]
            after = compressed_instance(instance, frames_in_memory(codestreams), syntax="j2k", ratio=20.0)
            write_instance(tmp_path / path.name, after)
            assert dcmread(tmp_path / path.name).pixel_array.shape == np.squeeze(list(frames)).shape
        except SourceError as error:
            reasons[path.name] = str(error)
    assert set(reasons) == {"02_meta_without_ts.dcm", "07_no_sopclass.dcm", "hang_nest300.dcm"}
    assert "TransferSyntaxUID is missing" in reasons["02_meta_without_ts.dcm"]
    assert "SOPClassUID is missing" in reasons["07_no_sopclass.dcm"]
    assert "nested more than" in reasons["hang_nest300.dcm"]
