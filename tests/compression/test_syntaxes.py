"""HTJ2K and JPEG XL: the nearest size that is not above the one asked for, and objects that other software reads."""

import csv
import io

import imagecodecs
import numpy as np
import openjpeg
import pytest
from dicom_files import dataset, write
from pydicom import dcmread
from pydicom.encaps import get_frame

from mammo_jax.compression import batch, verification
from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.codecs import OTHER_CODECS
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import list_files
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.compression.verification import verify_results
from mammo_jax.limited_processes import Limits

y, x = np.mgrid[:160, :200]
NOISE = np.random.default_rng(0).normal(0, 30, x.shape)
PIXELS = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7) + NOISE).astype(np.uint16)
SYNTAXES = {"htj2k": "1.2.840.10008.1.2.4.203", "jpegxl": "1.2.840.10008.1.2.4.112"}
METHODS = {"htj2k": "ISO_15444_15", "jpegxl": "ISO_18181_1"}
EXTENSIONS = {"htj2k": ".jhc", "jpegxl": ".jxl"}
DECODERS = {
    "htj2k": (imagecodecs.htj2k_decode, imagecodecs.jpeg2k_decode, lambda data: openjpeg.decode(io.BytesIO(data))),
    "jpegxl": (imagecodecs.jpegxl_decode,),
}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for module in (batch, verification):
        monkeypatch.setattr(module, "results_within_limits", lambda function, items, *_: map(function, items))


def compressed(tmp_path, **settings):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.dcm", dataset(PIXELS))
    (tmp_path / "in" / "b.pgm").write_bytes(b"P5 200 160 4095\n" + PIXELS.astype(">u2").tobytes())
    plan = CompressionPlan(**{"out": tmp_path / "out", "ratios": (8.0,)} | settings)
    left_out = compress_files(plan, list_files([tmp_path / "in"], plan), 1, Limits())
    with (plan.out / "sizes.csv").open() as table:
        return plan.out, list(csv.DictReader(table)), left_out


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("reference", ["allocated", "stored"])
def test_the_nearest_size_below_and_how_far_below(tmp_path, syntax, reference):
    out, rows, left_out = compressed(tmp_path, syntax=syntax, reference=reference)
    assert left_out == []
    target = PIXELS.size * (16 if reference == "allocated" else 12) // 8 // 8
    for row in rows:
        assert int(row["target_bytes"]) == target
        assert 0 <= int(row["bytes_below_target"]) == target - int(row["codestream_bytes"]) < target / 50
    after = dcmread(out / "a.dcm")
    frame = get_frame(after.PixelData, 0, number_of_frames=1)
    assert len(frame) == int(rows[0]["codestream_bytes"]) + int(rows[0]["codestream_bytes"]) % 2
    assert after.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    assert after.LossyImageCompressionMethod == METHODS[syntax]
    assert after.LossyImageCompressionRatio == pytest.approx(PIXELS.nbytes / int(rows[0]["codestream_bytes"]))
    for codestream in (frame, (out / "b").with_suffix(EXTENSIONS[syntax]).read_bytes()):
        for decode in DECODERS[syntax]:  # the stored values, not scaled up
            decoded = decode(codestream).astype(int)
            mse = np.mean((decoded - PIXELS) ** 2)
            assert 10 * np.log10(4095**2 / mse) == pytest.approx(float(rows[0]["psnr"]), abs=0.02)
    assert verify_results(out, 1, Limits()) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_white_pixels_of_16_bits_stay_white(syntax):
    pixels = np.where(NOISE > 20, 65535, 0).astype(np.uint16)
    coder = OTHER_CODECS[syntax]
    decoded = coder.decode(coder.encode(pixels, 16, float(coder.settings(16)[1500]), 1), 16, 1)
    assert decoded[pixels > 0].min() > decoded[pixels == 0].max()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_size_that_cannot_be_reached_leaves_the_file_out(tmp_path, syntax):
    _, rows, left_out = compressed(tmp_path, syntax=syntax, ratios=(3000.0,))
    assert rows == []
    assert all("the largest ratio that it can have is" in file.reason for file in left_out)
    assert len(left_out) == 2


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 6), (np.uint8, 8), (np.uint16, 10), (np.uint16, 16)])
@pytest.mark.parametrize("name", SYNTAXES)
def test_codestreams_say_the_bits_stored_and_hold_the_stored_values(name, dtype, bits):
    pixels = (PIXELS.astype(np.uint32) * (2**bits - 1) // 4095).astype(dtype)
    coder = OTHER_CODECS[name]
    codestream = coder.encode(pixels, bits, float(coder.settings(bits)[900]), 1)
    if name == "htj2k":
        assert codestream[42] == bits - 1  # Ssiz, T.800 A.5.1
    decoded = [decode(codestream).astype(int) for decode in DECODERS[name]]
    for image in decoded:
        assert image.max() < 2**bits
        assert np.abs(image - pixels).max() < 2**bits / 4
        assert np.abs(image - decoded[0]).max() <= (4 if bits == 16 else 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"syntax": "htj2k", "layers": True},
        {"syntax": "jpegxl", "jp2": True},
        {"syntax": "htj2k", "ratios": ()},
        {"syntax": "j2k-lossless", "ratios": (), "new_series": True},
    ],
)
def test_what_cannot_be_meant(tmp_path, settings):
    with pytest.raises(CompressionError, match=r"^(syntax|ratios|new_series): "):
        CompressionPlan(**{"out": tmp_path, "ratios": (10.0,)} | settings)
