"""Our codec beside OpenJPEG: time, size and quality at every ratio, in one run and with equal threads.

    python -m experiments.benchmark_codec                               a phantom of 3328 × 4096, 12 bits in 16
    python -m experiments.benchmark_codec --images scan.png other.tif   and these images

Writes the table to OUT/benchmark_codec.csv as well. OpenJPEG is run as its users run it: glymur by `cratios` (which
writes 12 bits as 16), imagecodecs by a PSNR that is searched so that its size is close to the target. Our PSNR at
equal bytes is that of a codestream of ours which is exactly as long as imagecodecs'. Takes about five minutes.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import imagecodecs
import numpy as np
import PIL
import tyro

import codec
from mammo_jax.files import atomic_path
from mammo_jax.ratios import LADDER, ratio_text
from mammo_jax.sources.image_files import read_image
from mammo_jax.sources.phantom import Phantom

SEARCH_STEPS = 9
LOWEST_PSNR, HIGHEST_PSNR = 15.0, 80.0
SMALLEST_TARGET = 95  # bytes; below, no codec has anything to say
PHANTOM_MM = (160.0, 150.0)  # rows, columns that a phantom has at least


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured.

    Attributes
    ----------
    images : tuple of Path
        Greyscale image files to run on, after the phantom.
    rows, columns : int
        Size of the phantom.
    ratios : tuple of float
    threads : int
        For every codec alike.
    repeats : int
        Each time is the least of so many runs.
    out : Path
        Folder for benchmark_codec.csv.
    """

    images: tuple[Path, ...] = ()
    rows: int = 3328
    columns: int = 4096
    ratios: tuple[float, ...] = LADDER
    threads: int = 1
    repeats: int = 3
    out: Path = Path("runs/benchmark")


@dataclass(frozen=True)
class Measurement:
    """One codec, one image, one ratio; times in seconds, `psnr` in dB over the frame.

    `psnr_at_equal_bytes` is what our codec reaches with just as many bytes.
    """

    image: str
    codec: str
    threads: int
    ratio: float
    target_bytes: int
    codestream_bytes: int
    size_error: float
    encode_seconds: float
    decode_seconds: float
    psnr: float
    psnr_at_equal_bytes: float


@dataclass(frozen=True)
class Codec:
    """A codec by its calls; `setting` is what it wants to be told for a ratio, found before the clock starts."""

    name: str
    setting: Callable[[np.ndarray, int, float], float]
    encode: Callable[[np.ndarray, int, float], bytes]
    decode: Callable[[bytes], np.ndarray]


def ours(threads: int) -> Codec:
    """The codec of this project."""

    def encode(pixels: np.ndarray, bits_stored: int, ratio: float) -> bytes:
        return codec.encode(pixels, ratio, bits_stored=bits_stored, threads=threads).codestream

    return Codec("mammo_jax", lambda _pixels, _bits, ratio: ratio, encode, codec.decode)


def with_glymur(threads: int, folder: Path) -> Codec:
    """OpenJPEG through glymur, which finds the one in Pillow's wheel; `folder` is for its files."""
    library = next((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*"), None)
    if library is not None:
        (folder / "glymur").mkdir()
        (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
        os.environ["XDG_CONFIG_HOME"] = str(folder)
    import glymur

    glymur.set_option("lib.num_threads", threads)
    path = folder / "image.j2k"

    def encode(pixels: np.ndarray, _: int, ratio: float) -> bytes:
        path.unlink(missing_ok=True)
        glymur.Jp2k(path, data=pixels, cratios=[ratio], irreversible=True)
        return path.read_bytes()

    def decode(codestream: bytes) -> np.ndarray:
        path.write_bytes(codestream)
        return glymur.Jp2k(path)[:]

    name = f"glymur {glymur.version.version} (OpenJPEG {glymur.version.openjpeg_version})"
    return Codec(name, lambda _pixels, _bits, ratio: ratio, encode, decode)


def with_imagecodecs(threads: int) -> Codec:
    """OpenJPEG through imagecodecs, which wants a PSNR instead of a ratio."""

    def encode(pixels: np.ndarray, bits_stored: int, psnr: float) -> bytes:
        codestream = imagecodecs.jpeg2k_encode(
            pixels,
            level=psnr,  # type: ignore[arg-type]  # the stub says int, the codec takes dB with a fraction
            codecformat="j2k",
            reversible=False,
            bitspersample=bits_stored,
            numthreads=threads,
        )
        return bytes(codestream)

    def setting(pixels: np.ndarray, bits_stored: int, ratio: float) -> float:
        """Bisect for the highest PSNR that does not exceed the target."""
        low, high = LOWEST_PSNR, HIGHEST_PSNR
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            fits = len(encode(pixels, bits_stored, middle)) <= pixels.nbytes / ratio
            low, high = (middle, high) if fits else (low, middle)
        return low

    def decode(codestream: bytes) -> np.ndarray:
        return imagecodecs.jpeg2k_decode(codestream, numthreads=threads)

    name = f"imagecodecs {imagecodecs.__version__} ({imagecodecs.jpeg2k_version()})"
    return Codec(name, setting, encode, decode)


def seconds(repeats: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Least time of `repeats` runs, and what the last gave."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def psnr(pixels: np.ndarray, reconstruction: np.ndarray, bits_stored: int) -> float:
    """Peak signal-to-noise ratio over the frame, in dB."""
    error = np.mean(np.square(pixels.astype(np.float64) - reconstruction))
    return float("inf") if error == 0 else float(10 * np.log10((2**bits_stored - 1) ** 2 / error))


def measure(
    image: str, pixels: np.ndarray, bits_stored: int, ratio: float, each: Codec, config: BenchmarkConfig
) -> Measurement:
    """Encode and decode `pixels` at `ratio` with one codec."""
    setting = each.setting(pixels, bits_stored, ratio)
    encode_seconds, codestream = seconds(config.repeats, lambda: each.encode(pixels, bits_stored, setting))
    decode_seconds, decoded = seconds(config.repeats, lambda: each.decode(codestream))
    target = int(pixels.nbytes / ratio)
    equal = next(codec.encode_ladder(pixels, [pixels.nbytes / (len(codestream) + 0.5)], bits_stored=bits_stored))
    return Measurement(
        image=image,
        codec=each.name,
        threads=config.threads,
        ratio=ratio,
        target_bytes=target,
        codestream_bytes=len(codestream),
        size_error=len(codestream) / target - 1,
        encode_seconds=encode_seconds,
        decode_seconds=decode_seconds,
        psnr=psnr(pixels, decoded, bits_stored),
        psnr_at_equal_bytes=psnr(pixels, cast(np.ndarray, equal.reconstruction), bits_stored),
    )


def measure_image(
    image: str, pixels: np.ndarray, bits_stored: int, codecs: list[Codec], config: BenchmarkConfig
) -> list[Measurement]:
    """Print and return the measurements of one image at every ratio that it can have, then the whole ladder."""
    ratios = [ratio for ratio in config.ratios if pixels.nbytes / ratio >= SMALLEST_TARGET]
    for each in codecs:  # what is compiled or loaded at the first call is not measured
        each.decode(each.encode(pixels, bits_stored, each.setting(pixels, bits_stored, ratios[0])))
    print(f"\n{image}: {pixels.shape[0]} × {pixels.shape[1]}, {bits_stored} bits, threads: {config.threads}")
    print(f"{'':38}{'CR':>6}{'bytes':>10}{'off by':>9}{'encode':>10}{'decode':>10}{'PSNR':>8}{'ours, same size':>17}")
    measurements = []
    for ratio in ratios:
        for each in codecs:
            row = measure(image, pixels, bits_stored, ratio, each, config)
            measurements.append(row)
            print(
                f"{row.codec:38}{ratio_text(ratio):>6}{row.codestream_bytes:10}{row.size_error:9.2%}"
                f"{1e3 * row.encode_seconds:7.0f} ms{1e3 * row.decode_seconds:7.0f} ms{row.psnr:8.2f}"
                f"{row.psnr_at_equal_bytes:17.2f}",
                flush=True,
            )
    ladder_seconds, _ = seconds(
        config.repeats,
        lambda: list(codec.encode_ladder(pixels, ratios, bits_stored=bits_stored, threads=config.threads)),
    )
    print(f"ladder of {len(ratios)} with reconstructions: {ladder_seconds:.2f} s; one by one, encode and decode:")
    for each in codecs:
        mine = [row for row in measurements if row.codec == each.name]
        total = sum(row.encode_seconds + row.decode_seconds for row in mine)
        print(f"    {each.name:38}{total:7.2f} s = {total / ladder_seconds:.1f} ladders")
    return measurements


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    config = tyro.cli(BenchmarkConfig, args=arguments, description=__doc__)
    pitch = max(PHANTOM_MM[0] / config.rows, PHANTOM_MM[1] / config.columns)
    phantom = Phantom(images=1, rows=config.rows, columns=config.columns, pixel_pitch=pitch)[0]
    images = [("phantom", phantom.pixels, phantom.bits_stored)]
    for path in config.images:
        stored = read_image(path)
        images.append((path.name, stored.pixels, stored.bits_stored or max(int(stored.pixels.max()).bit_length(), 1)))
    measurements = []
    with tempfile.TemporaryDirectory() as folder:
        codecs = [ours(config.threads), with_glymur(config.threads, Path(folder)), with_imagecodecs(config.threads)]
        for image, pixels, bits_stored in images:
            measurements += measure_image(image, pixels, bits_stored, codecs, config)
    config.out.mkdir(parents=True, exist_ok=True)
    with atomic_path(config.out / "benchmark_codec.csv") as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Measurement)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in measurements)
    print(f"\n{config.out / 'benchmark_codec.csv'}")


if __name__ == "__main__":
    main()
