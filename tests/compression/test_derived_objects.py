"""What derived objects say of their history, and what of their predecessor stays in them."""

import shutil
import struct
import subprocess

import imagecodecs
import numpy as np
import pytest
from dicom_files import dataset, encapsulated, frames_in_memory, write
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import parse_basic_offsets
from pydicom.sequence import Sequence

import codec
from mammo_jax.compression.dicom import compressed_instance, write_instance
from mammo_jax.compression.files import InputFile, compress_file
from mammo_jax.compression.lossy_history import record_earlier_steps
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.sources import SourceError
from mammo_jax.sources.dicom import read_instance
from mammo_jax.sources.dicom_frames import JPEG_XL_RECOMPRESSION

y, x = np.mgrid[:61, :83]
PIXELS = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)
EIGHT_BITS = (PIXELS >> 4).astype(np.uint8)
LOSSY = "LossyImageCompression"


def compressed(tmp_path, original, syntax="j2k", **settings):
    """Write an object, compress it, write that, and read it with pydicom."""
    instance, (pixels,) = read_instance(write(tmp_path / "before.dcm", original))
    bits = int(instance.BitsStored)
    if syntax == "j2k-lossless":
        codestream = codec.encode_lossless(pixels, bits_stored=bits).codestream
    else:
        codestream = codec.encode(pixels, 20.0, bits_stored=bits).codestream
    result = compressed_instance(instance, frames_in_memory([codestream]), syntax=syntax, ratio=20.0, **settings)
    write_instance(tmp_path / "after.dcm", result)
    return dcmread(tmp_path / "after.dcm")


def jpeg(**elements):
    """An object whose transfer syntax is lossy: JPEG Baseline."""
    original = dataset(EIGHT_BITS, bits_stored=8, **elements)
    return encapsulated(original, uid.JPEGBaseline8Bit, imagecodecs.jpeg8_encode(EIGHT_BITS, level=90))


def steps(after):
    lists = [after.get(f"{LOSSY}{name}", []) for name in ("Ratio", "Method")]
    ratios, methods = ([value] if isinstance(value, (str, float)) else list(value) for value in lists)
    return [float(ratio) for ratio in ratios], methods


@pytest.mark.parametrize(
    ("ratios", "methods", "expected", "described"),
    [
        (["8"], ["ISO_10918_1"], ([8, 20], ["ISO_10918_1", "ISO_15444_1"]), None),
        (["8"], None, ([8, 20], ["ISO_10918_1", "ISO_15444_1"]), None),
        (["4", "8"], ["ISO_14495_1"], ([4, 8, 20], ["ISO_14495_1", "ISO_10918_1", "ISO_15444_1"]), None),
        (["4", "8"], None, ([20], ["ISO_15444_1"]), "method ISO_10918_1, ratio 4, 8"),
        (None, ["ISO_10918_1"], ([20], ["ISO_15444_1"]), "method ISO_10918_1, ratio not recorded"),
        (None, None, ([20], ["ISO_15444_1"]), "method ISO_10918_1, ratio not recorded"),
    ],
)
@pytest.mark.parametrize("said", ["01", "00", None])
def test_ratios_and_methods_have_equal_lengths(tmp_path, ratios, methods, expected, described, said):
    elements = {LOSSY: said, f"{LOSSY}Ratio": ratios, f"{LOSSY}Method": methods}
    after = compressed(tmp_path, jpeg(**elements))
    assert steps(after) == expected
    assert after.LossyImageCompression == "01"
    assert "PurposeOfReferenceCodeSequence" not in after.SourceImageSequence[0]  # it was compressed already
    if described:
        assert after.DerivationDescription.startswith(f"earlier lossy compression, {described}; lossy JPEG 2000")
    else:
        assert "earlier" not in after.DerivationDescription


def test_history_of_native_pixels_whose_method_nothing_tells(tmp_path):
    elements = {LOSSY: "01", f"{LOSSY}Ratio": "8"}
    after = compressed(tmp_path, dataset(PIXELS, **elements))
    assert steps(after) == ([20], ["ISO_15444_1"])
    assert "earlier lossy compression, method not recorded, ratio 8;" in after.DerivationDescription


def test_a_syntax_that_may_be_lossless_is_lossy_unless_said_otherwise(tmp_path):
    codestream = codec.encode_lossless(PIXELS, bits_stored=12).codestream
    for said, lossy in (("00", False), (None, True)):
        original = encapsulated(dataset(PIXELS, **{LOSSY: said}), uid.JPEG2000, codestream)
        after = compressed(tmp_path, original)
        assert ("earlier lossy compression" in after.DerivationDescription) is lossy
        assert ("PurposeOfReferenceCodeSequence" in after.SourceImageSequence[0]) is not lossy


def test_jpeg_in_jpeg_xl_is_lossy_by_the_jpeg(tmp_path):
    original = dataset(EIGHT_BITS, bits_stored=8, LossyImageCompression="00", LossyImageCompressionRatio="8")
    assert record_earlier_steps(original, JPEG_XL_RECOMPRESSION)
    assert (original.LossyImageCompression, *steps(original)) == ("01", [8], ["ISO_10918_1"])


def test_a_lossless_copy_of_a_lossy_file_says_that_it_was(tmp_path):
    after = compressed(tmp_path, jpeg(**{f"{LOSSY}Ratio": "8"}), "j2k-lossless")
    assert after.LossyImageCompression == "01"
    assert steps(after) == ([8], ["ISO_10918_1"])
    assert "SourceImageSequence" not in after
    assert after.SOPInstanceUID == dcmread(tmp_path / "before.dcm").SOPInstanceUID


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_only_valid_uids_are_referenced(tmp_path):
    original = dataset(PIXELS)
    original.SOPInstanceUID = original.file_meta.MediaStorageSOPInstanceUID = "1.2.03.x"
    after = compressed(tmp_path, original)
    assert "SourceImageSequence" not in after
    assert after.SOPInstanceUID.is_valid


@pytest.mark.parametrize(
    ("sop_class", "before", "after"),
    [
        (uid.CTImageStorage, None, ["DERIVED", "PRIMARY", "AXIAL"]),
        (uid.CTImageStorage, ["ORIGINAL", "SECONDARY", "LOCALIZER"], ["DERIVED", "SECONDARY", "LOCALIZER"]),
        (uid.MRImageStorage, ["ORIGINAL", "PRIMARY"], ["DERIVED", "PRIMARY", "OTHER"]),
        (
            uid.DigitalMammographyXRayImageStorageForPresentation,
            ["ORIGINAL", "PRIMARY", ""],
            ["DERIVED", "PRIMARY", ""],
        ),
    ],
)
def test_image_type_has_as_many_values_as_its_kind_needs(tmp_path, sop_class, before, after):
    original = dataset(PIXELS, ImageType=before)
    original.SOPClassUID = original.file_meta.MediaStorageSOPClassUID = sop_class
    result = compressed(tmp_path, original)
    assert list(result.ImageType) == after
    assert ("assumed" in result.DerivationDescription) is (len(before or []) < len(after))


def test_frames_are_derived_as_their_image_is(tmp_path):
    group, frame_type = Dataset(), Dataset()
    frame_type.FrameType = ["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
    group.XRay3DFrameTypeSequence = Sequence([frame_type])
    after = compressed(tmp_path, dataset(PIXELS, SharedFunctionalGroupsSequence=Sequence([group])))
    (item,) = after.SharedFunctionalGroupsSequence[0].XRay3DFrameTypeSequence
    assert list(item.FrameType) == ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]


def test_a_new_series_is_one_for_each_series_and_ratio(tmp_path):
    original = dataset(PIXELS, SeriesInstanceUID="1.2.3", SeriesDescription="R MLO " * 10)
    series = [compressed(tmp_path, original, new_series=f"JPEG 2000 CR {ratio}") for ratio in (20, 20, 30)]
    assert series[0].SeriesInstanceUID == series[1].SeriesInstanceUID != series[2].SeriesInstanceUID
    assert series[0].SeriesDescription.endswith(", JPEG 2000 CR 20")
    assert len(series[0].SeriesDescription) == 64
    assert compressed(tmp_path, original).SeriesInstanceUID == "1.2.3"
    with pytest.raises(SourceError, match="SeriesInstanceUID is missing"):
        compressed(tmp_path, dataset(PIXELS), new_series="JPEG 2000 CR 20")


def test_private_elements_stay_or_all_go(tmp_path):
    inner = Dataset()
    inner.add_new((0x0009, 0x0010), "LO", "SOMEONE")
    inner.add_new((0x0009, 0x1001), "OB", b"abcd")
    original = dataset(PIXELS, RequestAttributesSequence=Sequence([inner]))
    original.add_new((0x7FE1, 0x0010), "LO", "SOMEONE")
    original.add_new((0x7FE1, 0x1001), "OB", b"abcd")
    for syntax in ("j2k", "j2k-lossless"):
        kept = compressed(tmp_path, original, syntax)
        assert kept[0x7FE1, 0x1001].value == kept.RequestAttributesSequence[0][0x0009, 0x1001].value == b"abcd"
        dropped = compressed(tmp_path, original, syntax, drop_private=True)
        assert not any(element.tag.is_private for element in dropped.iterall())
        assert len(list(dropped.iterall())) == len(list(kept.iterall())) - 4


def test_the_kind_of_offset_table_stays(tmp_path):
    codestream = codec.encode_lossless(PIXELS, bits_stored=12).codestream
    original = encapsulated(dataset(PIXELS), uid.JPEG2000Lossless, codestream)
    assert "ExtendedOffsetTable" not in compressed(tmp_path, original)
    original.ExtendedOffsetTable, original.ExtendedOffsetTableLengths = struct.pack("<Q", 9), struct.pack("<Q", 9)
    instance, _ = read_instance(write(tmp_path / "before.dcm", original))
    frames = [codestream, codestream + b"\xff", codestream]
    length = 8 + len(codestream) + len(codestream) % 2
    offsets = [0, length, length + 8 + len(frames[1]) + len(frames[1]) % 2]
    for had, basic in ((True, []), (False, None)):
        if not had:
            del instance.ExtendedOffsetTable
        result = compressed_instance(instance, frames_in_memory(frames), syntax="j2k-lossless", ratio=2.0)
        if basic is None:
            assert parse_basic_offsets(result.PixelData.read()) == offsets
            assert "ExtendedOffsetTableLengths" not in result
            continue
        pixel_data = result.PixelData.read()
        assert parse_basic_offsets(pixel_data) == basic
        assert list(struct.unpack("<3Q", result.ExtendedOffsetTable)) == offsets
        for offset, length, frame in zip(
            offsets,
            struct.unpack("<3Q", result.ExtendedOffsetTableLengths),
            frames,
            strict=True,
        ):
            item = pixel_data[8 + offset :]  # after the empty basic table
            assert item[:8] == struct.pack("<HHI", 0xFFFE, 0xE000, length)
            assert item[8 : 8 + length] == frame + b"\0" * (len(frame) % 2)


def test_big_endian_objects_keep_their_values(tmp_path):
    original = dataset(PIXELS)
    original.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    original.PixelData = PIXELS.astype(">u2").tobytes()
    original.add_new((0x0009, 0x0010), "LO", "SOMEONE")
    for number, (vr, value) in enumerate({"OB": b"abcd", "OF": struct.pack(">f", 1.5), "FD": 1.25, "US": 258}.items()):
        original.add_new((0x0009, 0x1000 + number), vr, value)
    original.add_new((0x6000, 0x3000), "OW", b"\1\2")
    after = compressed(tmp_path, original, "j2k-lossless")
    values = [after[0x0009, 0x1000 + number].value for number in range(4)]
    assert values == [b"abcd", struct.pack("<f", 1.5), 1.25, 258]
    assert after[0x6000, 0x3000].value == b"\2\1"
    np.testing.assert_array_equal(after.pixel_array, PIXELS)


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_overlay_in_unused_bits_becomes_overlay_data(tmp_path, order):
    drawn = (x + y) % 3 == 0
    original = dataset(PIXELS)
    original.PixelData = (PIXELS | drawn.astype(np.uint16) << 13).astype(f"{order}u2").tobytes()
    if order == ">":
        original.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    for element, vr, value in (
        (0x10, "US", 61), (0x11, "US", 83), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 16),
        (0x102, "US", 13),
    ):  # fmt: skip
        original.add_new((0x6002, element), vr, value)
    path = write(tmp_path / "a.dcm", original)
    plan = CompressionPlan(out=tmp_path / "out", ratios=(20.0,))
    compress_file(plan, InputFile(path, path.relative_to(tmp_path), "id", "1", "a.dcm"))
    after = dcmread(plan.out / "a.dcm")
    np.testing.assert_array_equal(after.overlay_array(0x6002), drawn)
    assert (after[0x6002, 0x100].value, after[0x6002, 0x102].value) == (1, 0)
    original[0x6002, 0x11].value = 82
    write(path, original)
    with pytest.raises(SourceError, match="does not fit them"):
        compress_file(plan, InputFile(path, path.relative_to(tmp_path), "id", "1", "a.dcm"))


def test_long_descriptions_keep_within_their_limit(tmp_path):
    after = compressed(tmp_path, dataset(PIXELS, DerivationDescription="cropped " * 128))
    assert len(after.DerivationDescription) <= 1024
    assert after.DerivationDescription.startswith("cropped")
    assert after.DerivationDescription.endswith("compression ratio 20")


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dciodvfy (Debian's dicom3tools)")
@pytest.mark.parametrize("syntax", ["j2k", "j2k-lossless"])
@pytest.mark.parametrize("kind", ["native", "lossy", "implicit", "CT"])
def test_dciodvfy_finds_no_new_error(tmp_path, kind, syntax):
    original = jpeg(**{f"{LOSSY}Ratio": "8", LOSSY: "01"}) if kind == "lossy" else dataset(PIXELS)
    if kind == "implicit":
        original.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    if kind == "CT":
        original.SOPClassUID = original.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
    compressed(tmp_path, original, syntax)
    found = {}
    for name in ("before", "after"):
        path = tmp_path / f"{name}.dcm"
        said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60, check=False).stderr
        assert "Image" in said  # the IOD that it found
        found[name] = {line for line in said.splitlines() if line.startswith("Error")}
    assert found["after"] <= found["before"]
