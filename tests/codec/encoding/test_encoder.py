"""The encoder against OpenJPEG (through imagecodecs and glymur), our own decoder, and its documented properties."""

import math
import os
from fractions import Fraction
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import picture

import codec
from codec.encoding import coded_image, encoder
from codec.encoding.packet_division import packet_blocks
from codec.errors import UnreachableRatioError
from codec.subbands import subband_shapes

LADDER = (15, 20, 25, 50, 100, 500, 1000, 5000, 10000, 11000)


images = st.builds(
    picture,
    st.sampled_from(["noise", "constant", "ramp", "tissue"]),
    st.one_of(st.integers(1, 8), st.integers(1, 200)),
    st.one_of(st.integers(1, 8), st.integers(1, 200)),
    st.shared(st.integers(1, 16), key="bits"),
    st.integers(0, 2**32 - 1),
)
bit_depths = st.shared(st.integers(1, 16), key="bits")


def difference(a, b):
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


def openjpeg_decode(codestream, shape):
    return imagecodecs.jpeg2k_decode(codestream).reshape(shape)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(images, bit_depths, st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_ladder_is_exact_and_decodes_to_its_reconstructions(pixels, bits, places):
    smallest = pixels.nbytes / (encoder.FIXED_BYTES + 8)
    # From well above the uncompressed size down to the smallest codestreams, evenly by octaves.
    lowest = min(0.5, smallest / 8)
    ratios = [lowest * (smallest / lowest) ** place for place in places]
    for ratio, encoded in zip(ratios, codec.encode_ladder(pixels, ratios, bits_stored=bits), strict=True):
        assert len(encoded.codestream) == encoded.target_bytes == math.floor(pixels.nbytes / Fraction(ratio))
        assert encoded.reconstruction.dtype == pixels.dtype
        assert encoded.header_bytes + encoded.body_bytes + encoded.padding_bytes == encoded.target_bytes
        if encoded.padding_bytes:  # only where every bit-plane is carried
            assert difference(encoded.reconstruction, pixels) <= max(2, 2 ** (bits - 12))
        # OpenJPEG's 1 / K is 1.625732422 / 2, which is 3e-5 too small: 16-bit extremes differ by up to 4 for that.
        tolerance = max(1, 2 ** (bits - 14))
        assert difference(encoded.reconstruction, openjpeg_decode(encoded.codestream, pixels.shape)) <= tolerance
        np.testing.assert_array_equal(codec.decode(encoded.codestream).astype(pixels.dtype), encoded.reconstruction)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (3, 1), (2, 2), (1, 300), (257, 3)])
def test_every_target_from_the_smallest_up(rows, columns):
    pixels = picture("noise", rows, columns, 12, 4)
    with pytest.raises(UnreachableRatioError) as caught:
        codec.encode(pixels, pixels.nbytes)
    smallest = math.floor(pixels.nbytes / caught.value.largest_ratio + 0.5)
    for target in [*range(smallest, smallest + 25), 500, 4000]:
        (encoded,) = codec.encode_ladder(pixels, [pixels.nbytes / (target + 0.5)], bits_stored=12)
        assert len(encoded.codestream) == target
        decoded = openjpeg_decode(encoded.codestream, pixels.shape)
        assert difference(encoded.reconstruction, decoded) <= 1


def test_fewest_bytes_are_the_fixed_markers_and_a_byte_for_each_packet():
    pixels = picture("tissue", 200, 150, 8, 1)
    with pytest.raises(UnreachableRatioError, match="largest ratio") as caught:
        codec.encode(pixels, 1000)
    encoded = codec.encode(pixels, caught.value.largest_ratio)
    assert encoded.target_bytes == 82 + 4 + 1
    assert encoded.header_bytes == encoded.target_bytes
    assert np.ptp(openjpeg_decode(encoded.codestream, pixels.shape)) == 0
    with pytest.raises(UnreachableRatioError):
        codec.encode(pixels, caught.value.largest_ratio * 1.02)


@pytest.mark.parametrize("bits", [8, 12])
def test_ladder_of_an_image_large_enough_for_it(bits):
    pixels = picture("tissue", 1024, 1100, bits, 8)
    quality = []
    for ratio, encoded in zip(LADDER, codec.encode_ladder(pixels, LADDER, bits_stored=bits), strict=True):
        assert len(encoded.codestream) == encoded.target_bytes == pixels.nbytes // ratio
        assert difference(encoded.reconstruction, openjpeg_decode(encoded.codestream, pixels.shape)) <= 1
        assert encoded.padding_bytes == 0
        quality.append(np.mean((encoded.reconstruction.astype(float) - pixels) ** 2))
        alone = codec.encode(pixels, ratio, bits_stored=bits)
        assert len(alone.codestream) == encoded.target_bytes
        assert alone.reconstruction is None
    assert np.all(np.diff(quality) > 0)
    assert 10 * np.log10((2**bits - 1) ** 2 / quality[0]) > 45


@pytest.mark.parametrize("psnr", [35, 40, 45, 50])
def test_quality_is_at_least_openjpegs_at_equal_bytes(psnr):
    pixels = picture("tissue", 700, 900, 12, 6)
    theirs = imagecodecs.jpeg2k_encode(
        pixels, level=psnr, codecformat="j2k", bitspersample=12, reversible=False, resolutions=6
    )
    (ours,) = codec.encode_ladder(pixels, [pixels.nbytes / (len(theirs) + 0.5)], bits_stored=12)
    assert len(ours.codestream) == len(theirs)
    error = np.mean((ours.reconstruction.astype(float) - pixels) ** 2)
    their_error = np.mean((openjpeg_decode(theirs, pixels.shape).astype(float) - pixels) ** 2)
    assert 10 * np.log10(error / their_error) <= 0.05


def real_mammogram_of_some_blocks_more_than_few():
    """Three copies of a 12-bit mammogram side by side: 2730 × 2943, 2068 code-blocks."""
    root = os.environ.get("MAMMO_SHARED_DATA")
    if root is None:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    return np.tile(imagecodecs.imread(Path(root) / "png16" / "0_L-MLO.png"), (1, 3))


@pytest.mark.parametrize(
    ("make", "ratios"),
    [
        (lambda: picture("tissue", 500, 600, 12, 8), (8, 15, 60, 300)),
        (real_mammogram_of_some_blocks_more_than_few, (15, 100, 1000, 5000, 10000)),
    ],
)
def test_early_termination_loses_next_to_nothing(make, ratios, monkeypatch):
    pixels = make()
    early = [next(codec.encode_ladder(pixels, [ratio], bits_stored=12)) for ratio in ratios]
    monkeypatch.setattr(coded_image, "predict_stop_slope", lambda *_: 0.0)
    monkeypatch.setattr(coded_image, "slope_so_far", lambda *_: 0.0)
    full = list(codec.encode_ladder(pixels, ratios, bits_stored=12))
    for one, other in zip(early, full):
        errors = [np.mean((each.reconstruction.astype(float) - pixels) ** 2) for each in (one, other)]
        assert 10 * np.log10(errors[0] / errors[1]) <= 0.005


def test_caution_falls_gradually():
    full_field = len(packet_blocks(subband_shapes(3328, 4096, 8))[1])
    cautions = [coded_image._safety_factor(blocks) for blocks in (1, 2000, 2068, 2500, 2932, full_field)]
    assert cautions[:2] == [7, 7]
    assert cautions[-1] == 1
    assert np.all(np.array(cautions[1:-1]) > np.array(cautions[2:]))
    assert np.all(np.array(cautions[1:-1]) < 3 * np.array(cautions[2:]))


def test_a_wrong_guess_of_the_slope_is_repaired(monkeypatch):
    pixels = picture("tissue", 300, 200, 12, 8)
    expected = codec.encode(pixels, 15, bits_stored=12)
    monkeypatch.setattr(coded_image, "predict_stop_slope", lambda *_: 1e9)
    repaired = codec.encode(pixels, 15, bits_stored=12)
    assert repaired.padding_bytes == 0
    assert repaired.codestream[:80] == expected.codestream[:80]


def test_bits_left_when_all_is_coded_are_padding():
    pixels = picture("tissue", 40, 30, 8, 1)
    encoded = codec.encode(pixels, 0.25)
    assert encoded.target_bytes == 4 * pixels.nbytes
    assert encoded.padding_bytes > 2 * pixels.nbytes
    assert difference(openjpeg_decode(encoded.codestream, pixels.shape), pixels) <= 1


@pytest.mark.parametrize("target", range(140, 160))
def test_one_pixel_keeps_its_value_at_every_length(target):
    """Between two lengths a header may grow by a byte; what is signalled must not give way for that."""
    pixels = np.array([[7]], np.uint8)
    encoded = codec.encode(pixels, Fraction(1, target), bits_stored=3)
    assert len(encoded.codestream) == target
    np.testing.assert_array_equal(openjpeg_decode(encoded.codestream, (1, 1)), pixels)


def test_references_and_ratios_reached():
    pixels = picture("tissue", 120, 100, 12, 2)
    allocated, stored = (codec.encode(pixels, 20, bits_stored=12, reference=name) for name in ("allocated", "stored"))
    assert allocated.target_bytes == 120 * 100 * 16 // 8 // 20
    assert stored.target_bytes == 120 * 100 * 12 // 8 // 20
    assert allocated.ratio_allocated == 20
    assert stored.ratio_stored == 20
    assert stored.ratio_allocated == pytest.approx(20 * 16 / 12)


def test_same_bytes_and_pixels_every_time_and_with_threads():
    pixels = picture("tissue", 900, 1060, 12, 3)
    first, *others = (next(codec.encode_ladder(pixels, [30], bits_stored=12, threads=n)) for n in (1, 1, 3))
    for other in others:
        assert other.codestream == first.codestream
        np.testing.assert_array_equal(other.reconstruction, first.reconstruction)
    np.testing.assert_array_equal(codec.decode(first.codestream, threads=3), first.reconstruction)


@pytest.mark.parametrize("ratio", [9_000, 10_000, 11_000])
def test_codestreams_of_a_hundred_bytes_carry_something(ratio):
    pixels = picture("tissue", 1024, 1024, 8, 7)
    (encoded,) = codec.encode_ladder(pixels, [ratio])
    assert len(encoded.codestream) == 1024 * 1024 // ratio
    assert difference(encoded.reconstruction, openjpeg_decode(encoded.codestream, pixels.shape)) <= 1
    blank = np.mean((pixels - 128.0) ** 2)
    assert np.mean((pixels - encoded.reconstruction.astype(float)) ** 2) < 0.8 * blank


def test_views_and_read_only_arrays_are_coded_alike_and_left_alone():
    pixels = picture("tissue", 64, 80, 8, 5)
    view = np.repeat(pixels, 2, axis=1)[:, ::2]
    before = pixels.copy()
    pixels.setflags(write=False)
    assert codec.encode(view, 8).codestream == codec.encode(pixels, 8).codestream
    np.testing.assert_array_equal(pixels, before)


def test_an_empty_ladder_is_empty():
    assert list(codec.encode_ladder(picture("tissue", 50, 50, 8, 1), [])) == []


@pytest.fixture
def glymur(tmp_path, monkeypatch):
    """Glymur brings no OpenJPEG: let it find the one inside Pillow's wheel."""
    import PIL

    library = next((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*"), None)
    if library is None:
        pytest.skip("Pillow's wheel brings no OpenJPEG on this system")
    (tmp_path / "glymur").mkdir()
    (tmp_path / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    import glymur

    return glymur


@pytest.mark.parametrize("ratio", [2, 60, 400])
def test_glymur_decodes_without_a_warning(glymur, tmp_path, ratio):
    pixels = picture("tissue", 300, 500, 12, 9)
    (encoded,) = codec.encode_ladder(pixels, [ratio], bits_stored=12)
    path = tmp_path / "image.j2k"
    path.write_bytes(encoded.codestream)
    image = glymur.Jp2k(path)
    assert difference(image[:], encoded.reconstruction) <= 1
    assert [segment.marker_id for segment in image.get_codestream(header_only=False).segment] == [
        "SOC", "SIZ", "COD", "QCD", "SOT", "SOD", "EOC",
    ]  # fmt: skip
    assert image.get_codestream().segment[1].bitdepth == (12,)
