"""Our codec compared with OpenJPEG and with other formats: time, size, quality and memory, in one run.

    python -m experiments.benchmark_codec                               a phantom of 3328 × 4096, 12 bits in 16, with
                                                                        and without noise, and the images in
                                                                        MAMMO_SHARED_DATA
    python -m experiments.benchmark_codec --images scan.png other.tif   the phantoms and these images

Prints tables and writes benchmark_codec.csv, benchmark_codec_IMAGE.png and benchmark_codec_memory.csv to OUT. Times of
our codec and of the builds of OpenJPEG are taken in turns, with the same number of threads; × is a codec's time over
ours. OpenJPEG knows the bits stored where its library has a parameter for them. The other codecs run at the nearest
size that they reach. Takes about a quarter of an hour, most of it for JPEG XL; `--other-codecs` without a name leaves
the other codecs out.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.ndimage import gaussian_filter

import codec
from experiments.codec_benchmark import output
from experiments.codec_benchmark.layers import measure_layers
from experiments.codec_benchmark.processes import WARM_UP_SIZE, peak_memory, start_up
from experiments.codec_benchmark.shapes import (
    BITS,
    decode_peak,
    measure_shape,
    measure_tiles,
    shapes,
    textured_image,
)
from experiments.codec_benchmark.stages import measure_decoding, measure_stages
from experiments.codec_benchmark.timed_codecs import TIMED_CODECS
from experiments.codec_benchmark.trials import (
    Image,
    find_settings,
    measure_ladders,
    measure_other_codec,
    measure_timed_codecs,
    ours_at_equal_bytes,
)
from mammo_jax.compression.ladder import CodecName
from mammo_jax.jobs.run_job import run_job
from mammo_jax.ratios import LADDER, ratio_text
from mammo_jax.sources.image_files import read_image
from mammo_jax.sources.mammogram import Mammogram
from mammo_jax.sources.phantom import Phantom

MIN_TARGET_BYTES = 95  # below, headers leave no codec room for data
MIN_PHANTOM_MM = (160.0, 150.0)  # rows, columns
SHARED_IMAGES = ("mini-mias/images/mdb001.png", "png16/*.png")
MEMORY_RATIO = 15.0
SMOOTHING = 1.5  # pixels


def _shared_images() -> tuple[Path, ...]:
    """Real mammograms in the folder MAMMO_SHARED_DATA, if that is set."""
    root = os.environ.get("MAMMO_SHARED_DATA")
    return tuple(path for pattern in SHARED_IMAGES for path in sorted(Path(root).glob(pattern))) if root else ()


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured.

    Attributes
    ----------
    images : tuple of Path
        Greyscale image files to run on, after the phantom with and without noise.
    rows, columns : int
        Size of the phantom.
    ratios : tuple of float
    threads : tuple of int
        For every codec; quality is measured with the first number only.
    repeats : int
        Each time is the shortest of so many runs.
    other_codecs : tuple of str
        Codecs of other formats, measured at the nearest size that they reach.
    stage_ratios : tuple of float
        Ratios at which the stages of our encoder and decoder are timed and compared with their lower bounds; the
        decoder's also for a lossless codestream.
    shapes : bool
        Whether to measure images far from square, of `shape_pixels`, and tiles too.
    shape_pixels : int
    memory, start_up : bool
        Whether to measure peak memory and start-up time too, in fresh processes.
    out : Path
    """

    images: tuple[Path, ...] = field(default_factory=_shared_images)
    rows: int = 3328
    columns: int = 4096
    ratios: tuple[float, ...] = LADDER
    threads: tuple[int, ...] = (1, 2)
    repeats: int = 3
    other_codecs: tuple[CodecName, ...] = ("htj2k", "jpegxl", "jpeg", "jpegls")
    stage_ratios: tuple[float, ...] = (15.0, 1000.0)
    shapes: bool = True
    shape_pixels: int = 1 << 22
    memory: bool = True
    start_up: bool = True
    out: Path = Path("runs/benchmark")


def benchmark_image(image: Image, config: BenchmarkConfig, folder: Path) -> list[dict[str, Any]]:
    """Measure every codec on one image; print and plot the rows, and return them."""
    ratios = [ratio for ratio in config.ratios if image.target_bytes(ratio) >= MIN_TARGET_BYTES]
    shape = " × ".join(str(size) for size in image.pixels.shape)
    print(f"\n{image.name}: {shape}, {image.bits_stored} bits in {8 * image.pixels.itemsize}")
    trials = []
    timed = [make(folder) for make in TIMED_CODECS.values()]
    settings = find_settings(image, ratios, timed)
    for number, threads in enumerate(config.threads):
        trials += measure_timed_codecs(image, ratios, timed, settings, threads, config.repeats, number == 0)
    for name in config.other_codecs:
        trials += measure_other_codec(image, name, ratios)
    sizes = [trial.codestream_bytes for trial in trials if trial.quality is not None]
    table = output.rows(image, trials, ours_at_equal_bytes(image, sizes))
    output.print_table(table)
    print(*output.speed_summary(table), sep="\n")
    for threads in config.threads:
        times = measure_ladders(image, ratios, threads, config.repeats, folder)
        pairs = output.cheapest_pairs(table, threads)
        print(
            f"threads {threads}, ladder of {len(ratios)} with reconstructions: {times.ours:.2f} s; one by one,"
            f" fastest OpenJPEG: {pairs:.2f} s = {pairs / times.ours:.1f} ×; in layers: {times.layers_encode:.2f}"
            f" + {times.layers_decode:.2f} s = {times.layers / times.ours:.1f} × (encoded by {times.layers_by})"
        )
    try:
        print(measure_layers(image, ratios, config.repeats).text())
    except (codec.LayerError, codec.UnreachableRatioError) as error:
        print(f"in layers of one codestream: {error}")
    output.plot(config.out / f"benchmark_codec_{Path(image.name).stem}.png", table, f"{image.name}, {shape}")
    return table


def without_noise(phantom: Mammogram) -> Image:
    """Remove a phantom's noise, which no codec can keep at high ratios and which hides their other differences."""
    smooth = gaussian_filter(phantom.pixels.astype(np.float32), SMOOTHING)
    return Image.of("smooth-phantom", np.rint(smooth).astype(phantom.pixels.dtype), phantom.bits_stored)


def benchmark_memory(image: Image, folder: Path) -> list[dict[str, Any]]:
    """Print and return peak memory, in bytes per pixel above the input."""
    table = []
    for name in TIMED_CODECS:
        if name == "grok":
            continue  # it runs in a process of its own
        for work, taken in peak_memory(name, image, MEMORY_RATIO, folder).items():
            table.append({"image": image.name, "codec": name, "work": work, "bytes_a_pixel": round(taken, 2)})
            print(f"{name:12}{work:8}{taken:6.2f} bytes a pixel beyond the input, at CR {MEMORY_RATIO:g}")
    return table


def print_shapes(pixels: int, repeats: int, memory: bool, folder: Path) -> None:
    """Print the times of images far from square and of tiles, and the peak memory of decoding if `memory`."""
    for rows, columns in shapes(pixels):
        for times in measure_shape(rows, columns, repeats):
            print(times.text())
        if not memory:
            continue
        small, large = (
            codec.encode_lossless(textured_image(min(rows, most), min(columns, most)), bits_stored=BITS).codestream
            for most in (WARM_UP_SIZE, pixels)
        )
        print(f"{rows} x {columns}: decoding takes {decode_peak(large, small):.1f} bytes a pixel, lossless")
    for times in measure_tiles(pixels, repeats, folder):
        print(times.text())


def print_start_up(folder: Path) -> None:
    """Print the time of import and first calls, with an empty cache and then with a full one."""
    for name in ("empty", "full"):
        imported, encoded, decoded = start_up(folder / "numba")
        print(
            f"start-up with the {name} cache: import {imported:.2f} s, first encode {encoded:.2f} s,"
            f" first decode {decoded:.2f} s"
        )


def benchmark(config: BenchmarkConfig, _flags: Sequence[str]) -> None:
    """Measure everything; print it and write it to `out`."""
    pitch = max(MIN_PHANTOM_MM[0] / config.rows, MIN_PHANTOM_MM[1] / config.columns)
    phantom = Phantom(images=1, rows=config.rows, columns=config.columns, pixel_pitch=pitch)[0]
    images = [Image.of("phantom", phantom.pixels, phantom.bits_stored)]
    for path in config.images:
        stored = read_image(path)
        bits = stored.bits_stored or max(int(stored.pixels.max()).bit_length(), 1)
        images.append(Image.of(path.name, stored.pixels, bits))
    config.out.mkdir(parents=True, exist_ok=True)
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for image in images:
            table += benchmark_image(image, config, Path(scratch))
            output.write_csv(config.out / "benchmark_codec.csv", table, output.COLUMNS)
        # With OpenJPEG alone: for the other codecs, the phantom with noise shows enough.
        table += benchmark_image(without_noise(phantom), replace(config, other_codecs=()), Path(scratch))
        output.write_csv(config.out / "benchmark_codec.csv", table, output.COLUMNS)
        for ratio in config.stage_ratios:
            title = f"stages of our encode at CR {ratio_text(ratio)} with its reconstruction, one thread, profiled:"
            output.print_stages(measure_stages(images[0], ratio, config.repeats), title)
        for decoded in (*config.stage_ratios, None):  # None is lossless
            output.print_decoding(measure_decoding(images[0], decoded, config.repeats), decoded)
        if config.shapes:
            print_shapes(config.shape_pixels, config.repeats, config.memory, Path(scratch))
        if config.memory:
            memory = benchmark_memory(images[0], Path(scratch))
            output.write_csv(config.out / "benchmark_codec_memory.csv", memory, list(memory[0]))
        if config.start_up:
            print_start_up(Path(scratch))
    print(f"\n{config.out / 'benchmark_codec.csv'}")


def _parse(flags: list[str]) -> BenchmarkConfig:
    return tyro.cli(BenchmarkConfig, args=flags, description=__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(benchmark, _parse, arguments, networks=False)


if __name__ == "__main__":
    main()
