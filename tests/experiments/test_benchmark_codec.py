"""The codec's benchmark on an image so small that only its form can be looked at."""

import contextlib
import csv
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import codec
from experiments import benchmark_codec
from experiments.codec_benchmark import output, processes, stages, trials
from experiments.codec_benchmark.timed_codecs import TIMED_CODECS

FLAGS = [
    *("--images", "--rows", "416", "--columns", "320", "--repeats", "1", "--ratios", "15", "900", "--threads", "1"),
    *("--other-codecs", "htj2k", "jpeg", "--stage-ratios", "15", "--no-memory", "--no-start-up"),
    *("--shape-pixels", "16384"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark")
    with (out / "printed").open("w") as printed, contextlib.redirect_stdout(printed):
        benchmark_codec.main([*FLAGS, "--out", str(out)])
    with (out / "benchmark_codec.csv").open() as file:
        table = list(csv.DictReader(file))
    return out, table


def test_every_codec_is_measured_at_every_ratio(run):
    _, both = run
    table = [row for row in both if row["image"] == "phantom"]
    assert len(table) == 2 * (len(TIMED_CODECS) + 2)
    smooth = [row for row in both if row["image"] == "smooth-phantom"]
    assert len(smooth) == 2 * len(TIMED_CODECS)
    assert float(smooth[0]["psnr"]) > float(table[0]["psnr"])
    ours = [row for row in table if row["group"] == "ours"]
    assert [int(row["codestream_bytes"]) for row in ours] == [416 * 320 * 2 // 15, 416 * 320 * 2 // 900]
    assert [float(row["size_error"]) for row in ours] == [0, 0]
    for row in table:
        if row["codec"].startswith("JPEG") and row["ratio"] == "900.0":
            assert row["remark"].startswith("at most CR")
            continue
        assert float(row["encode_seconds"]) > 0
        assert float(row["decode_seconds"]) > 0
        assert 15 < float(row["psnr_breast"]) < 80
        if row["group"] == "OpenJPEG":
            assert float(row["ours_at_equal_bytes_psnr"]) > float(row["psnr"]) - 0.1


def test_what_is_printed_and_drawn(run):
    out, _ = run
    printed = (out / "printed").read_text()
    assert "phantom: 416 × 320, 12 bits in 16" in printed
    assert "not reachable: at most CR" in printed
    assert printed.count("(fastest: ") == 8
    assert "bytes a pixel beyond the input" not in printed
    assert "start-up" not in printed
    assert len(re.findall(r"\d+ x \d+, (?:CR 15|lossless) +encode .* of it; decode .* of it", printed)) == 2 * 11
    assert len(re.findall(r"tiles of 64 x 64, (?:CR 15|lossless) +decode .* of it", printed)) == 2
    assert not (out / "benchmark_codec_memory.csv").exists()
    assert re.search(r"block coding .* × the floor of .* M decisions at", printed)
    for which in ("CR 15", "lossless"):
        assert re.search(rf"decoding, {which}, one thread: \d+ ms; OpenJPEG \d+ ms = [\d.]+ ×", printed)
    assert len(re.findall(r"block decoding .* × the floor of .* M decisions at .* and .* MB at", printed)) == 2
    assert "threads 1, ladder of 2 with reconstructions" in printed
    lost = re.search(r"in layers of one codestream: .* than alone: CR 900 (\S+), CR 15 (\S+)\n", printed)
    assert lost is not None
    assert all(-0.3 < float(loss) < 0.3 for loss in lost.groups())
    ours, theirs = re.search(r"lossless: .* s, (\d+) bytes; OpenJPEG .* s, (\d+) bytes", printed).groups()
    assert int(ours) < 1.01 * int(theirs)
    assert (out / "benchmark_codec_phantom.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["pylibjpeg", "glymur"])
def test_a_codec_leaves_the_environment_as_it_was(name, tmp_path):
    before = dict(os.environ)
    timed = TIMED_CODECS[name](tmp_path)
    pixels = np.add.outer(np.arange(90), np.arange(80)).astype(np.uint8)
    timed.decode(timed.encode(pixels, 8, 10.0, 2), 8, 2)
    assert dict(os.environ) == before


def test_what_cannot_use_threads_says_so(tmp_path):
    pixels = np.add.outer(np.arange(90), np.arange(80)).astype(np.uint8)
    image = trials.Image("made", pixels, 8, np.ones(pixels.shape, bool))
    for threads in (1, 2):
        timed = [TIMED_CODECS[name](tmp_path) for name in ("pylibjpeg", "glymur")]
        measured = trials.measure_timed_codecs(image, [10], timed, [[10.0, 10.0]], threads, 1, True)
        assert [trial.remark for trial in measured] == [trials.ONE_THREAD if threads == 2 else "", ""]
        rows = output.rows(
            image, [*measured, replace(measured[0], group="ours")], {measured[0].codestream_bytes: measured[0].quality}
        )
        assert (trials.ONE_THREAD in output._figures(rows[0])) == (threads == 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_layers_are_timed_by_both_encoders_with_as_many_threads(threads, tmp_path, monkeypatch):
    monkeypatch.setenv("OPJ_NUM_THREADS", "7")
    pixels = np.random.default_rng(1).integers(0, 4000, (190, 180), dtype=np.uint16)
    image = trials.Image("made", pixels, 12, np.ones(pixels.shape, bool))
    shortest_times, within = trials.shortest_times, []

    def with_environment(*arguments):
        within.append(os.environ["OPJ_NUM_THREADS"])
        return shortest_times(*arguments)

    monkeypatch.setattr(trials, "shortest_times", with_environment)
    trials.measure_ladders(image, [20, 5], threads, 1, tmp_path)
    assert within == [str(threads)]
    assert os.environ["OPJ_NUM_THREADS"] == "7"
    for name in ("pylibjpeg", "glymur"):
        size = (tmp_path / f"layers_{name}.j2k").stat().st_size
        assert 0.9 * pixels.nbytes / 5 < size < 1.1 * pixels.nbytes / 5


@pytest.mark.parametrize(("pylibjpeg", "glymur", "by"), [((3, 4), (5, 1), "glymur"), ((3, 4), (2, 6), "pylibjpeg")])
def test_layers_count_by_the_library_with_the_shorter_total(pylibjpeg, glymur, by, tmp_path, monkeypatch):
    (first_encode, first_decode), (second_encode, second_decode) = pylibjpeg, glymur
    seconds = [9, first_encode, second_encode, first_decode, second_decode]
    monkeypatch.setattr(trials, "shortest_times", lambda *_: (seconds, []))
    pixels = np.zeros((8, 8), np.uint8)
    times = trials.measure_ladders(trials.Image("made", pixels, 8, pixels > 0), [5], 1, 1, tmp_path)
    assert times == trials.LadderTimes(9, *(glymur if by == "glymur" else pylibjpeg), by)
    assert times.layers == min(sum(pylibjpeg), sum(glymur))


def test_times_are_compared_with_ours_at_the_same_ratio_and_threads():
    image = trials.Image("made", np.zeros((10, 100), np.uint8), 8, np.ones((10, 100), bool))

    def trial(group, threads, seconds):
        return trials.Trial("made", group, group, threads, 15.0, 100, 101, seconds, 2 * seconds)

    measured = [trial("ours", 1, 2.0), trial("ours", 2, 1.0), trial("OpenJPEG", 1, 6.0), trial("OpenJPEG", 2, 4.0)]
    rows = output.rows(image, measured, {})
    assert [row["encode_times_ours"] for row in rows] == [1, 1, 3, 4]
    assert rows[0]["encode_megapixels_a_second"] == pytest.approx(0.0005)
    assert rows[0]["size_error"] == pytest.approx(0.01)
    assert output.cheapest_pairs(rows, 2) == 12
    assert "encode  3.00 ×" in output.speed_summary(rows)[0]


def test_stages_and_their_floors():
    image = trials.Image.of("made", np.random.default_rng(0).integers(0, 4096, (300, 260)).astype(np.uint16), 12)
    by_name = {stage.name: stage for stage in stages.measure_stages(image, 4, 1)}
    assert set(by_name) == {*stages.STAGES, stages.OTHER}
    total = sum(stage.seconds for stage in by_name.values())
    assert by_name["block coding"].seconds > 0.2 * total
    assert by_name["other"].seconds < 0.5 * total
    assert 0 < by_name["block coding"].floor < by_name["block coding"].seconds
    # A decision brings half a bit or so on the average; a quarter of 156 000 bytes are coded.
    (count,) = (float(text) for text in re.findall(r"(\S+) M decisions", by_name["block coding"].floor_is))
    assert 0.1 < count < 3


@pytest.mark.parametrize("ratio", [4, None])
def test_stages_of_decoding_and_their_floors(ratio):
    image = trials.Image.of("made", np.random.default_rng(0).integers(0, 4096, (300, 260)).astype(np.uint16), 12)
    trial = stages.measure_decoding(image, ratio, 2)
    found = {stage.name: stage for stage in trial.stages}
    assert set(found) == {*stages.DECODING_STAGES, stages.OTHER}
    assert min(trial.ours, trial.openjpeg, *(found[name].seconds for name in stages.DECODING_STAGES)) > 0
    assert found["block decoding"].floor > found["inverse transform"].floor > 0 == found["packets"].floor
    (count,) = (float(text) for text in re.findall(r"(\S+) M decisions", found["block decoding"].floor_is))
    assert 0.1 < count < (3 if ratio else 5)


def test_every_module_of_the_decoder_that_python_calls_belongs_to_a_stage():
    known = set().union(*stages.DECODING_STAGES.values())
    folder = Path(codec.__file__).parent / "decoding"
    kernels = {
        "block_decoder",
        "block_state",
        "mq_decoder",
        "mq_passes",
        "neighbour_flags",
        "packet_markers",
        "raw_passes",
    }
    modules = {path.stem for path in folder.glob("*.py")}
    assert modules == known | kernels | {"__init__", "check", "inspection", "jp2_reader"}


def test_every_module_of_the_encoder_belongs_to_a_stage():
    known = set().union(*stages.STAGES.values())
    folder = Path(codec.__file__).parent
    encoder = {path.stem for path in (folder / "encoding").glob("*.py")}
    assert encoder <= known | {"__init__", "decomposition", "jp2_writer", "layers"}
    assert known <= {path.stem for path in folder.rglob("*.py")}


def test_peak_memory_sees_what_a_codec_takes(tmp_path):
    image = trials.Image.of("made", np.random.default_rng(0).integers(0, 4096, (1200, 1000)).astype(np.uint16), 12)
    peaks = processes.peak_memory("pylibjpeg", image, 15, tmp_path)
    # OpenJPEG keeps 32 bits of every pixel.
    assert 4 < peaks["encode"] < 40
    assert 2 < peaks["decode"] < 40
    assert set(peaks) == {"encode", "decode"}


def test_start_up_times():
    start = time.perf_counter()
    imported, encoded, decoded = processes.start_up(None)
    assert imported > 0.05  # numba alone takes longer
    assert min(encoded, decoded) > 0.001  # kernels are compiled, or read from their cache
    assert imported + encoded + decoded < time.perf_counter() - start


def test_layers_that_an_image_has_no_room_for_are_named(tmp_path, capsys):
    pixels = np.random.default_rng(1).integers(0, 255, (300, 320), dtype=np.uint8)
    image = trials.Image("made", pixels, 8, np.ones(pixels.shape, bool))
    config = benchmark_codec.BenchmarkConfig(
        images=(), ratios=(989.0, 15.0), threads=(1,), repeats=1, other_codecs=(), out=tmp_path
    )
    assert len(benchmark_codec.benchmark_image(image, config, tmp_path)) == 2 * len(TIMED_CODECS)
    assert "in layers of one codestream: ratio 989 leaves 97 bytes" in capsys.readouterr().out
