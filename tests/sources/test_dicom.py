import logging
import pickle

import imagecodecs
import numpy as np
import pytest
from dicom_files import SECRETS, dataset, encapsulated, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._snomed_dict import mapping
from pydicom.sr.codedict import codes

import codec
from mammo_jax.sources.dicom import _VIEW_CODES, is_dicom, read_dicom, read_patient_id
from mammo_jax.sources.mammogram import SourceError

KEY = b"k" * 32
PIXELS = np.random.default_rng(0).integers(0, 4096, (23, 31)).astype(np.uint16)
SMOOTH = (np.add.outer(np.arange(32), np.arange(40)) * 50).astype(np.uint16)


def test_reads_the_stored_values_and_what_the_header_says(tmp_path):
    stored = read_dicom(write(tmp_path / "a", dataset(PIXELS)), key=KEY)
    np.testing.assert_array_equal(stored.pixels, PIXELS)
    assert stored.pixels.dtype == np.uint16
    assert (stored.bits_stored, stored.pixel_pitch, stored.laterality, stored.view) == (12, 0.085, "L", "MLO")
    assert not stored.already_lossy


def test_no_window_and_no_rescale_is_applied(tmp_path):
    instance = dataset(PIXELS, WindowCenter=10, WindowWidth=5, RescaleSlope=2, RescaleIntercept=-1000)
    np.testing.assert_array_equal(read_dicom(write(tmp_path / "a", instance)).pixels, PIXELS)


@pytest.mark.parametrize("bits_stored", [10, 12, 16])
def test_monochrome1_is_inverted_within_bits_stored(tmp_path, bits_stored):
    pixels = PIXELS & (2**bits_stored - 1)
    instance = dataset(pixels, bits_stored=bits_stored, PhotometricInterpretation="MONOCHROME1")
    stored = read_dicom(write(tmp_path / "a", instance))
    np.testing.assert_array_equal(stored.pixels, 2**bits_stored - 1 - pixels.astype(int))
    assert stored.pixels.dtype == np.uint16


def test_eight_bits_with_an_odd_number_of_pixels(tmp_path):
    pixels = (PIXELS >> 4).astype(np.uint8)
    stored = read_dicom(write(tmp_path / "a", dataset(pixels, bits_stored=8)))
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert stored.pixels.dtype == np.uint8


def test_overlay_bits_above_bits_stored_are_cut_off(tmp_path):
    with_overlay = PIXELS | (np.indices(PIXELS.shape).sum(0) % 3 == 0).astype(np.uint16) << 13
    np.testing.assert_array_equal(read_dicom(write(tmp_path / "a", dataset(with_overlay))).pixels, PIXELS)


@pytest.mark.parametrize(
    "syntax",
    [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian, uid.RLELossless],
)
def test_transfer_syntaxes_that_pydicom_writes(tmp_path, syntax):
    instance = dataset(PIXELS)
    if syntax == uid.RLELossless:
        instance.compress(syntax)
    else:
        instance.file_meta.TransferSyntaxUID = syntax
        if syntax == uid.ExplicitVRBigEndian:
            instance.PixelData = PIXELS.astype(">u2").tobytes()
    path = tmp_path / "a"
    write(path, instance)
    stored = read_dicom(path)
    np.testing.assert_array_equal(stored.pixels, PIXELS)
    assert not stored.already_lossy


LOSSLESS = {
    uid.JPEGLosslessSV1: lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=12),
    uid.JPEGLossless: lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=4, bitspersample=12),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", bitspersample=12
    ),
    uid.HTJ2KLossless: lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True),
    uid.HTJ2KLosslessRPCL: lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True),
}


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_lossless_compressed_syntaxes_give_every_bit(tmp_path, syntax):
    instance = encapsulated(dataset(PIXELS), syntax, LOSSLESS[syntax](PIXELS))
    stored = read_dicom(write(tmp_path / "a", instance))
    np.testing.assert_array_equal(stored.pixels, PIXELS)
    assert stored.pixels.dtype == np.uint16
    assert not stored.already_lossy


LOSSY = {
    uid.JPEGExtended12Bit: lambda pixels: imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=12),
    uid.JPEGLSNearLossless: lambda pixels: imagecodecs.jpegls_encode(pixels, level=2),
    uid.JPEG2000: lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=60, codecformat="j2k", bitspersample=12),
    uid.HTJ2K: lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True),
}


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda syntax: syntax.name)
def test_lossy_syntaxes_are_read_and_marked(tmp_path, syntax):
    stored = read_dicom(write(tmp_path / "a", encapsulated(dataset(SMOOTH), syntax, LOSSY[syntax](SMOOTH))))
    np.testing.assert_allclose(stored.pixels.astype(int), SMOOTH.astype(int), atol=40)
    assert stored.already_lossy


def test_baseline_jpeg_and_the_lossy_flag(tmp_path):
    pixels = (SMOOTH >> 4).astype(np.uint8)
    coded = imagecodecs.jpeg8_encode(pixels, level=98)
    instance = encapsulated(dataset(pixels, bits_stored=8), uid.JPEGBaseline8Bit, coded)
    assert read_dicom(write(tmp_path / "a", instance)).already_lossy
    assert read_dicom(write(tmp_path / "b", dataset(PIXELS, LossyImageCompression="01"))).already_lossy
    assert not read_dicom(write(tmp_path / "c", dataset(PIXELS, LossyImageCompression="00"))).already_lossy


def test_missing_optional_elements_are_none(tmp_path):
    instance = dataset(PIXELS, ImagerPixelSpacing=None, ImageLaterality=None, ViewCodeSequence=None, PatientID=None)
    stored = read_dicom(write(tmp_path / "a", instance), key=KEY)
    assert (stored.pixel_pitch, stored.laterality, stored.view, stored.patient_id) == (None, None, None, None)


def test_older_elements_are_used_if_the_newer_are_missing(tmp_path):
    instance = dataset(
        PIXELS, ImagerPixelSpacing=None, PixelSpacing=[0.1, 0.1], ImageLaterality=None, Laterality="R",
        ViewCodeSequence=None, ViewPosition="CC",
    )  # fmt: skip
    stored = read_dicom(write(tmp_path / "a", instance))
    assert (stored.pixel_pitch, stored.laterality, stored.view) == (0.1, "R", "CC")


@pytest.mark.parametrize("spacing", [[0.1, 0.2], [0, 0], [-1, -1]])
def test_a_spacing_that_is_no_pitch_is_left_out(tmp_path, spacing):
    assert read_dicom(write(tmp_path / "a", dataset(PIXELS, ImagerPixelSpacing=spacing))).pixel_pitch is None


def test_view_codes_are_those_of_the_standard():
    concepts = cid_concepts[4014]["SCT"]
    standard = {getattr(codes.CID4014, name).value for name in concepts if name != "TissueSpecimenFromBreast"}
    assert {code for code in _VIEW_CODES if code.isdecimal()} == standard
    older = {code: mapping["SRT"][code] for code in _VIEW_CODES if not code.isdecimal()}
    assert set(older.values()) == standard
    for code, modern in older.items():
        assert _VIEW_CODES[code] == _VIEW_CODES[modern]


@pytest.mark.parametrize(("view", "code"), [("CC", "R-10242"), ("MLO", "R-10226"), ("CC", "399162004")])
def test_view_from_the_code_sequence(tmp_path, view, code):
    item = Dataset()
    item.CodeValue = code
    stored = read_dicom(write(tmp_path / "a", dataset(PIXELS, ViewCodeSequence=Sequence([item]), ViewPosition="ML")))
    assert stored.view == view


REFUSED = {
    "PixelRepresentation": {"PixelRepresentation": 1},
    "SamplesPerPixel": {"SamplesPerPixel": 3},
    "NumberOfFrames": {"NumberOfFrames": 0},
    "PhotometricInterpretation": {"PhotometricInterpretation": "PALETTE COLOR"},
    "BitsAllocated": {"BitsAllocated": 32},
    "BitsStored": {"BitsStored": None},
    "HighBit": {"HighBit": 15},
    "PixelData": {"PixelData": None},
    "0×31": {"Rows": 0},
    "limit": {"Rows": 65535, "Columns": 65535},
}


@pytest.mark.parametrize("named", REFUSED)
def test_other_kinds_are_refused_by_name(tmp_path, named):
    instance = dataset(PIXELS)
    for element, value in REFUSED[named].items():
        if value is None:
            delattr(instance, element)
        else:
            setattr(instance, element, value)
    path = write(tmp_path / "a", instance)
    with pytest.raises(SourceError, match=f"{path}.*{named}"):
        read_dicom(path)


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_a_compressed_frame_of_another_size_is_not_decoded(tmp_path, syntax, monkeypatch):
    instance = encapsulated(dataset(PIXELS), syntax, LOSSLESS[syntax](np.zeros((500, 500), np.uint16)))
    monkeypatch.setattr(
        "mammo_jax.sources.dicom_frames._BY_IMAGECODECS", {syntax: lambda _: pytest.fail("was decoded")}
    )
    with pytest.raises(SourceError, match="Rows × Columns"):
        read_dicom(write(tmp_path / "a", instance))


def test_a_jpeg_2000_frame_that_is_not_whole_is_refused(tmp_path):
    """Also where OpenJPEG passes over what is missing, as in a tile that was shortened."""
    codestream = codec.encode_layers(PIXELS, (4, 2), bits_stored=12).codestream
    two_layers = codestream.index(b"\xff\x52") + 6
    more_layers = codestream[:two_layers] + b"\0\3" + codestream[two_layers + 2 :]
    for damaged, message in (
        (codestream[:-30], "ends early"),
        (more_layers, "ends early"),
        (codestream[:-9] + b"12" + codestream[-9:], "tile 0|bytes"),
    ):
        path = write(tmp_path / "a", encapsulated(dataset(PIXELS), uid.JPEG2000, damaged))
        with pytest.raises(SourceError, match=rf"{path}: the JPEG 2000 PixelData are not whole \(.*({message})"):
            read_dicom(path)
    read_dicom(write(tmp_path / "a", encapsulated(dataset(PIXELS), uid.JPEG2000, codestream)))


def test_signed_compressed_samples_are_refused(tmp_path):
    coded = imagecodecs.jpeg2k_encode(PIXELS.astype(np.int16), level=0, codecformat="j2k")
    with pytest.raises(SourceError, match="unsigned 12-bit"):
        read_dicom(write(tmp_path / "a", encapsulated(dataset(PIXELS), uid.JPEG2000Lossless, coded)))


def test_no_patient_identifier_leaves_the_reader(tmp_path):
    path = write(tmp_path / "a", dataset(PIXELS))
    stored = read_dicom(path, key=KEY)
    assert stored.patient_id == read_patient_id(path, KEY)
    assert stored.patient_id != read_patient_id(path, b"x" * 32)
    everything = pickle.dumps(stored)
    for secret in SECRETS.values():
        assert secret.encode() not in everything


@pytest.mark.filterwarnings("error")
def test_malformed_values_neither_stop_the_reading_nor_reach_a_log(tmp_path, caplog):
    long_id = "Geheim Gerda " * 10
    with pytest.warns(UserWarning, match="exceeds the maximum"):
        instance = dataset(PIXELS, PatientID=long_id)
    with caplog.at_level(logging.DEBUG):
        path = write(tmp_path / "a", instance)
        caplog.clear()
        assert read_dicom(path, key=KEY).patient_id
    assert "Gerda" not in caplog.text


def test_padding_after_the_pixels_is_accepted(tmp_path):
    instance = dataset(PIXELS, PixelData=PIXELS.tobytes() + bytes(64))
    np.testing.assert_array_equal(read_dicom(write(tmp_path / "a", instance)).pixels, PIXELS)


def test_truncated_pixels_are_refused(tmp_path):
    path = write(tmp_path / "a", dataset(PIXELS, PixelData=PIXELS.tobytes()[:-100]))
    with pytest.raises(SourceError, match=f"{path}: is a damaged DICOM"):
        read_dicom(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere.*No such file"):
        read_dicom(tmp_path / "nowhere")


def test_is_dicom(tmp_path):
    assert is_dicom(write(tmp_path / "a", dataset(PIXELS)))
    (tmp_path / "b").write_bytes(b"P5 1 1 255\n\0")
    assert not is_dicom(tmp_path / "b")


@pytest.mark.parametrize("syntax", [None, *LOSSLESS], ids=lambda syntax: syntax.name if syntax else "native")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_an_image_or_one_clear_error(tmp_path, syntax, data):
    instance = dataset(PIXELS)
    if syntax:
        encapsulated(instance, syntax, LOSSLESS[syntax](PIXELS))
    content = bytearray(write(tmp_path / "whole", instance).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content[: data.draw(st.integers(132, len(content)))])
    stored = message = None
    try:
        stored = read_dicom(tmp_path / "a", max_pixels=10_000)
    except SourceError as error:
        message = str(error)
    if stored is None:
        assert str(tmp_path / "a") in message
        assert not any(secret in message for secret in SECRETS.values())
    else:
        assert stored.pixels.size <= 10_000
        assert int(stored.pixels.max()) < 2**stored.bits_stored


def test_the_real_file_with_an_overlay_out_of_bounds(shared_data):
    stored = read_dicom(shared_data / "dicom" / "siemens_mammomat_spot.dcm", key=KEY)
    assert stored.pixels.shape == (788, 1318)
    assert (stored.bits_stored, stored.pixel_pitch, stored.laterality, stored.view) == (12, 0.085, "L", "CC")
    assert int(stored.pixels.max()) < 4096
    assert stored.pixels.std() > 100
    assert not stored.already_lossy
