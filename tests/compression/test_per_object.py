"""Objects that have the ratio as a whole, with one slope in all frames."""

import math

import numpy as np
import pydicom
import pytest
from multi_frame_objects import FRAMES, run, tomosynthesis_object
from pydicom.encaps import encapsulate_extended, generate_frames, parse_basic_offsets

import codec
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.ratios import split_name

UNEQUAL = FRAMES & np.array([0xFFE0, 0xFFF0, 0xFFFF, 0xFFFF], np.uint16)[:, None, None]  # of more and more detail
UNEQUAL[3] ^= np.random.default_rng(1).integers(0, 256, FRAMES[3].shape, dtype=np.uint16)


pytestmark = pytest.mark.usefixtures("limits_aside")


@pytest.fixture
def unequal():
    instance = tomosynthesis_object()
    instance.PixelData = UNEQUAL.tobytes()
    return instance


def test_the_whole_has_the_ratio_to_the_byte_and_a_smaller_error(tmp_path, unequal):
    ratios = (9.7, 15.0, 40.5)
    (tmp_path / "frame").mkdir()
    per_frame = run(tmp_path / "frame", unequal, ratios=ratios)
    (tmp_path / "object").mkdir()
    for row, of_frame in zip(run(tmp_path / "object", unequal, ratios=ratios, per="object"), per_frame, strict=True):
        ratio = float(row["ratio"])
        target = math.floor(UNEQUAL.nbytes / codec.ratio.exact_ratio(ratio))
        sizes = [int(size) for size in row["frame_bytes"].split()]
        assert (row["target_bytes"], row["codestream_bytes"], row["bytes_below_target"]) == (str(target),) * 2 + ("0",)
        assert sum(sizes) == target
        assert sizes[3] > 1.1 * sizes[0]
        assert float(row["psnr"]) > float(of_frame["psnr"])
        path = tmp_path / "object" / "out" / split_name(ratio) / "a.dcm"
        written = pydicom.dcmread(path)
        frames = list(generate_frames(written.PixelData, number_of_frames=4))
        assert [len(frame) for frame in frames] == [size + size % 2 for size in sizes]
        assert parse_basic_offsets(written.PixelData) == [
            sum(len(frame) + 8 for frame in frames[:number]) for number in range(4)
        ]
        errors = [codec.decode(frame[:size]).astype(float) - of for frame, size, of in zip(frames, sizes, UNEQUAL)]
        assert float(row["psnr"]) == pytest.approx(10 * np.log10(4095**2 / np.square(errors).mean()), abs=1e-6)
        assert written.LossyImageCompressionRatio == pytest.approx(UNEQUAL.nbytes / target)


def test_an_extended_offset_table_leads_to_frames_of_unequal_size(tmp_path, unequal):
    lossless = [codec.encode_lossless(frame, bits_stored=12).codestream for frame in UNEQUAL]
    unequal.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    unequal.PixelData, unequal.ExtendedOffsetTable, unequal.ExtendedOffsetTableLengths = encapsulate_extended(lossless)
    unequal["PixelData"].VR = "OB"
    (row,) = run(tmp_path, unequal, per="object")
    written = pydicom.dcmread(tmp_path / "out" / "a.dcm")
    offsets, lengths = (
        np.frombuffer(value, "<u8") for value in (written.ExtendedOffsetTable, written.ExtendedOffsetTableLengths)
    )
    sizes = [int(size) for size in row["frame_bytes"].split()]
    assert lengths.tolist() == [size + size % 2 for size in sizes]
    for offset, size in zip(offsets, sizes, strict=True):
        start = 8 + int(offset) + 8  # the empty basic table, and the item's tag and length
        assert codec.decode(written.PixelData[start : start + size]).shape == UNEQUAL[0].shape


def test_one_frame_is_the_same_either_way(tmp_path, unequal):
    unequal.NumberOfFrames, unequal.PixelData = 1, UNEQUAL[2].tobytes() + b"\0" * (UNEQUAL[2].nbytes % 2)
    hashes = set()
    for per in ("frame", "object"):
        (tmp_path / per).mkdir()
        hashes.add(run(tmp_path / per, unequal, per=per)[0]["file_sha256"])
    assert len(hashes) == 1


@pytest.mark.parametrize("settings", [{"layers": True}, {"syntax": "htj2k"}, {"syntax": "j2k-lossless", "ratios": ()}])
def test_it_is_of_exact_syntaxes_without_layers(tmp_path, settings):
    with pytest.raises(CompressionError, match="per: one ratio of all frames together is of --syntax j2k without"):
        CompressionPlan(**{"out": tmp_path, "ratios": (15.0,), "per": "object", **settings})
