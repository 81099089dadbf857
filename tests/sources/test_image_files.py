import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mammo_jax.sources.image_files import read_image
from mammo_jax.sources.mammogram import SourceError

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (33, 21)).astype(np.uint8)
GREY16 = RNG.integers(0, 65536, (33, 21)).astype(np.uint16)
in_tmp = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
images = st.sampled_from([np.uint8, np.uint16]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
)


def pgm(pixels, largest, comment=b"\n"):
    data = pixels.astype(">u2" if largest > 255 else np.uint8).tobytes()
    return b"P5%s%d %d\n%d\n" % (comment, pixels.shape[1], pixels.shape[0], largest) + data


@in_tmp
@given(images)
def test_png_written_by_libpng(tmp_path, pixels):
    (tmp_path / "a").write_bytes(imagecodecs.png_encode(pixels))
    stored = read_image(tmp_path / "a")
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert stored.pixels.dtype == pixels.dtype
    assert stored.bits_stored is None


@in_tmp
@given(
    images,
    st.sampled_from([None, "zlib", "lzw", "packbits", "zstd"]),
    st.sampled_from([("<", False), ("<", True), (">", False)]),
    st.sampled_from([None, (16, 16)]),
)
def test_tiff_written_by_tifffile(tmp_path, pixels, compression, order, tile):
    byteorder, bigtiff = order
    tifffile.imwrite(
        tmp_path / "a", pixels, compression=compression, byteorder=byteorder, tile=tile, bigtiff=bigtiff,
        photometric="minisblack",
    )  # fmt: skip
    stored = read_image(tmp_path / "a")
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert stored.pixels.dtype == pixels.dtype
    assert not stored.already_lossy


@pytest.mark.parametrize("pixels", [GREY8, GREY16], ids=["8", "16"])
def test_white_is_zero_tiff_is_inverted(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "a", pixels, photometric="miniswhite")
    stored = read_image(tmp_path / "a")
    np.testing.assert_array_equal(stored.pixels, np.iinfo(pixels.dtype).max - pixels)
    assert stored.pixels.dtype == pixels.dtype


def test_jpeg_inside_tiff_is_marked_lossy(tmp_path):
    tifffile.imwrite(tmp_path / "a", GREY8, compression="jpeg")
    assert read_image(tmp_path / "a").already_lossy


@in_tmp
@given(images)
def test_pgm_written_by_pillow(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a", format="PPM")
    stored = read_image(tmp_path / "a")
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert (stored.pixels.dtype, stored.bits_stored) == (pixels.dtype, 8 * pixels.itemsize)


@pytest.mark.parametrize(("largest", "bits"), [(1, 1), (200, 8), (255, 8), (256, 9), (4095, 12), (65535, 16)])
def test_pgm_maxval_gives_bits_stored_and_leaves_the_values(tmp_path, largest, bits):
    pixels = GREY16 % largest
    (tmp_path / "a").write_bytes(pgm(pixels, largest, comment=b" # made by hand\n#again\n"))
    stored = read_image(tmp_path / "a")
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert stored.bits_stored == bits


BAD = {
    "colour": (imagecodecs.png_encode(np.zeros((4, 4, 3), np.uint8)), "mode RGB"),
    "alpha": (imagecodecs.png_encode(np.zeros((4, 4, 2), np.uint8)), "mode LA"),
    "truncated PNG": (imagecodecs.png_encode(GREY16)[:-300], "damaged"),
    "truncated PGM": (pgm(GREY16, 65535)[:-1], "truncated"),
    "two PGMs": (pgm(GREY8, 255) * 2, "several images"),
    "PGM above maxval": (pgm(GREY8 | 128, 100), "maxval 100"),
    "PGM maxval 0": (pgm(GREY8, 0), "maxval is 0"),
    "PGM without size": (b"P5 4 x 255\n" + bytes(16), "header is damaged"),
    "PGM of no size": (b"P5 0 4 255\n", "4×0 pixels"),
    "text": (b"hello", "neither PNG"),
    "empty": (b"", "neither PNG"),
    "ASCII PGM": (b"P2 1 1 255\n7", "neither PNG"),
}


def test_a_big_endian_bigtiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a", GREY8, byteorder=">", bigtiff=True)
    with pytest.raises(SourceError, match="unsupported format"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_named_with_what_to_do(tmp_path, kind):
    content, message = BAD[kind]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SourceError, match=f"{tmp_path / 'a'}.*{message}"):
        read_image(tmp_path / "a")


def test_a_bilevel_png_is_refused(tmp_path):
    Image.fromarray(GREY8).convert("1").save(tmp_path / "a", format="PNG")
    with pytest.raises(SourceError, match="mode 1"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("depth", [2, 4])
def test_a_png_of_few_bits_is_refused_rather_than_stretched(tmp_path, depth):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 4, 1, depth, 0, 0, 0, 0)
    data = zlib.compress(b"\0" + bytes(depth // 2))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SourceError, match="greyscale is needed"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (GREY16.astype(np.int16), "unsigned greyscale"),
        (GREY16.astype(np.float32), "unsigned greyscale"),
        (GREY16.astype(np.uint32), "unsigned greyscale"),
        (np.stack([GREY8] * 3, -1), "mode RGB"),
        (np.stack([GREY8, GREY8]), "2 pages"),
    ],
    ids=["signed", "float", "32 bit", "colour", "pages"],
)
def test_other_tiffs_are_refused(tmp_path, pixels, message):
    tifffile.imwrite(tmp_path / "a", pixels, photometric="rgb" if pixels.shape[-1] == 3 else "minisblack")
    with pytest.raises(SourceError, match=message):
        read_image(tmp_path / "a")


def test_a_folder_or_nothing_is_named(tmp_path):
    with pytest.raises(SourceError, match=f"{tmp_path}: cannot be read"):
        read_image(tmp_path)
    with pytest.raises(SourceError, match="nowhere: cannot be read"):
        read_image(tmp_path / "nowhere")


def forged_png(size):
    content = bytearray(imagecodecs.png_encode(GREY8))
    content[16:24] = struct.pack(">II", *size)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("size", [(100_000, 100_000), (2**31 - 1, 2**31 - 1), (2**20, 2**9)])
def test_sizes_are_checked_before_memory_is_allocated(tmp_path, size):
    for content in (forged_png(size), b"P5 %d %d 65535\n" % size if max(size) < 10**9 else forged_png(size)):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(SourceError, match="more than the limit"):
            read_image(tmp_path / "a")


def test_the_caller_sets_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(imagecodecs.png_encode(GREY8))
    assert read_image(tmp_path / "a", max_pixels=GREY8.size).pixels.size == GREY8.size
    with pytest.raises(SourceError, match="raise max_pixels"):
        read_image(tmp_path / "a", max_pixels=GREY8.size - 1)


def test_more_pixels_than_pillows_limit_are_read(tmp_path):
    Image.new("L", (14_000, 13_000)).save(tmp_path / "a", format="PNG")
    assert read_image(tmp_path / "a").pixels.shape == (13_000, 14_000)


def samples(tmp_path):
    tifffile.imwrite(tmp_path / "tiff", GREY16, compression="zlib", tile=(16, 16))
    tifffile.imwrite(tmp_path / "plain", GREY8)
    return [
        imagecodecs.png_encode(GREY16),
        pgm(GREY16, 65535),
        pgm(GREY8, 255),
        (tmp_path / "tiff").read_bytes(),
        (tmp_path / "plain").read_bytes(),
    ]


@pytest.mark.parametrize("which", range(5), ids=["png", "pgm16", "pgm8", "tiff tiled", "tiff plain"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_an_image_or_one_clear_error(tmp_path, which, data):
    content = bytearray(samples(tmp_path)[which])
    for _ in range(data.draw(st.integers(1, 4))):
        near_header = data.draw(st.booleans())
        position = data.draw(st.integers(0, min(200, len(content) - 1) if near_header else len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    stored = message = None
    try:
        stored = read_image(tmp_path / "a", max_pixels=10_000)
    except SourceError as error:
        message = str(error)
    if stored is None:
        assert str(tmp_path / "a") in message
    else:
        assert stored.pixels.size <= 10_000
        assert stored.pixels.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize("view", ["L-CC", "L-MLO", "R-CC", "R-MLO"])
def test_real_16_bit_png_equals_libpng(shared_data, view):
    path = shared_data / "png16" / f"0_{view}.png"
    np.testing.assert_array_equal(read_image(path).pixels, imagecodecs.png_decode(path.read_bytes()))
