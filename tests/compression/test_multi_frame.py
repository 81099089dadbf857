"""Objects with several frames: each has the exact ratio, and other software finds each."""

import numpy as np
import pydicom
import pytest
from multi_frame_objects import FRAMES, run, tomosynthesis_object
from pydicom import uid
from pydicom.encaps import encapsulate_extended, generate_frames, parse_basic_offsets

import codec
from mammo_jax.compression import verification
from mammo_jax.compression.verification import verify_results
from mammo_jax.limited_processes import Limits
from mammo_jax.ratios import split_name

pytestmark = pytest.mark.usefixtures("limits_aside")


@pytest.fixture
def tomosynthesis():
    return tomosynthesis_object()


def frames_of(path):
    written = pydicom.dcmread(path)
    return written, list(generate_frames(written.PixelData, number_of_frames=len(FRAMES)))


def test_every_frame_has_the_ratio_to_the_byte(tmp_path, tomosynthesis):
    rows = run(tmp_path, tomosynthesis, ratios=(15.0, 40.5))
    for row in rows:
        target = int(FRAMES[0].nbytes / float(row["ratio"]))
        assert row["frame_bytes"].split() == [str(target)] * 4
        assert (row["frames"], row["codestream_bytes"]) == ("4", str(4 * target))
        written, frames = frames_of(tmp_path / "out" / split_name(float(row["ratio"])) / "a.dcm")
        expected = [next(iter(codec.encode_ladder(frame, [float(row["ratio"])], bits_stored=12))) for frame in FRAMES]
        assert [frame[:target] for frame in frames] == [encoded.codestream for encoded in expected]
        errors = [encoded.reconstruction.astype(float) - frame for encoded, frame in zip(expected, FRAMES)]
        assert float(row["psnr"]) == pytest.approx(10 * np.log10(4095**2 / np.square(errors).mean()))
        assert written.PerFrameFunctionalGroupsSequence == tomosynthesis.PerFrameFunctionalGroupsSequence
        assert written.NumberOfFrames == 4
        decoded = written.pixel_array  # by pydicom's own choice of decoder
        assert np.abs(decoded.astype(int) - [encoded.reconstruction.astype(int) for encoded in expected]).max() <= 1


def test_offset_tables_lead_to_the_frames(tmp_path, tomosynthesis):
    run(tmp_path, tomosynthesis)
    written, frames = frames_of(tmp_path / "out" / "a.dcm")
    offsets = parse_basic_offsets(written.PixelData)
    assert offsets == [sum(len(frame) + 8 for frame in frames[:number]) for number in range(4)]


def test_an_extended_offset_table_is_made_anew(tmp_path, tomosynthesis):
    lossless = [codec.encode_lossless(frame, bits_stored=12).codestream for frame in FRAMES]
    tomosynthesis.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    values = encapsulate_extended(lossless)
    tomosynthesis.PixelData, tomosynthesis.ExtendedOffsetTable, tomosynthesis.ExtendedOffsetTableLengths = values
    tomosynthesis["PixelData"].VR = "OB"
    run(tmp_path, tomosynthesis)
    written = pydicom.dcmread(tmp_path / "out" / "a.dcm")
    offsets, lengths = (
        np.frombuffer(value, "<u8") for value in (written.ExtendedOffsetTable, written.ExtendedOffsetTableLengths)
    )
    first = written.PixelData.index(b"\xff\x4f\xff\x51")
    for frame, offset, length in zip(FRAMES, offsets, lengths):
        part = written.PixelData[first + offset : first + offset + length]
        codestream = codec.encode(frame, 15, bits_stored=12).codestream
        assert part == codestream + b"\0" * (len(codestream) % 2)


def test_layers_that_end_without_loss(tmp_path, tomosynthesis):
    rows = run(tmp_path, tomosynthesis, layers=True, syntax="j2k-lossless")
    _, frames = frames_of(tmp_path / "out" / "a.dcm")
    sizes = [int(size) for size in rows[-1]["frame_bytes"].split()]
    assert len(set(sizes)) > 1
    for frame, codestream, size in zip(FRAMES, frames, sizes, strict=True):
        np.testing.assert_array_equal(codec.decode(codestream[:size]), frame)
    assert rows[-1]["psnr"] == "inf"
    assert rows[0]["frame_bytes"].split() == [str(FRAMES[0].nbytes // 15)] * 4


def test_verify_names_the_frame_that_is_wrong(tmp_path, tomosynthesis, monkeypatch):
    run(tmp_path, tomosynthesis)
    third = codec.encode(FRAMES[2], 15, bits_stored=12).codestream
    decode = verification.OTHER_DECODERS["imagecodecs"]
    monkeypatch.setitem(
        verification.OTHER_DECODERS, "imagecodecs", lambda data: decode(data) ^ (64 if data == third else 0)
    )
    (problem,) = verify_results(tmp_path / "out", 1, Limits())
    assert problem.startswith("a.dcm: frame 3: imagecodecs decodes pixels that differ")


def test_the_case_of_four_real_frames(tmp_path, shared_data):
    (row,) = run(tmp_path, pydicom.dcmread(shared_data / "cases" / "dicom" / "r15_tomo.dcm"))
    assert row["frame_bytes"].split() == [str(256 * 256 * 2 // 15)] * 4
