"""Where the time of our encoder and decoder goes, and how far each stage is from what the machine allows.

All times are of the thread, not of the clock, so that other programs disturb them less.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

import codec
from codec.decoding.mq_decoder import decode_decisions
from codec.encoding.mq_encoder import encode_decisions
from experiments.codec_benchmark.trials import Image, shortest_times

# Modules of the codec by the stage that their functions belong to.
STAGES: dict[str, set[str]] = {
    "wavelet transform": {"forward_97", "forward_53"},
    "quantisation": {"quantizer"},
    "slope prediction": {"slope_prediction", "bit_plane_statistics"},
    "block coding": {"code_blocks", "block_coder", "block_passes", "mq_encoder", "workers"},
    "rate control": {
        "rate_control",
        "shared_slope",
        "level_trials",
        "block_changes",
        "padding",
        "packet_division",
        "packet_header_writer",
        "codeword_segments",
    },
    "assembly": {"encoder", "coded_image", "codestream_writer", "packet_writer"},
    "reconstruction": {"reconstruction", "inverse_transform", "synthesis_97", "synthesis_53", "wavelet_rows"},
}
DECODING_STAGES: dict[str, set[str]] = {
    "packets": {
        "codestream",
        "codestream_reader",
        "coding_parameters",
        "tile_reader",
        "tile_layout",
        "packet_reader",
        "packet_results",
        "packet_state",
        "packet_header_reader",
        "progression",
        "losses",
    },
    "block decoding": {"decoder", "subband_decoder"},  # with all the kernels that the second one calls
    "inverse transform": {"inverse_transform", "synthesis_97", "synthesis_53", "wavelet_rows"},
}
OTHER = "other"
CONTEXTS = 19  # T.800 Table D.7
SAMPLE_DECISIONS = 1 << 21
FLOAT = 4


@dataclass(frozen=True)
class Stage:
    """Seconds of a stage, and the least that moving its bytes or coding its decisions could take; 0 where unknown."""

    name: str
    seconds: float
    floor: float
    floor_is: str


@dataclass(frozen=True)
class DecodingTrial:
    """Seconds to decode a codestream with one thread, by ours and by imagecodecs' OpenJPEG, and the stages of ours."""

    ours: float
    openjpeg: float
    stages: list[Stage]


def _shortest(repeats: int, call: Callable[[], object]) -> float:
    """Shortest time of several runs."""
    return shortest_times(repeats, [call], time.thread_time)[0][0]


def memory_bandwidth(samples: int) -> float:
    """Bytes a second that one thread reads and writes at best in float32 arrays of so many samples."""
    source, target = np.ones(samples, np.float32), np.empty(samples, np.float32)
    copy = _shortest(5, lambda: np.copyto(target, source))
    return 2 * FLOAT * samples / min(copy, _shortest(5, lambda: np.multiply(source, 1, out=source)))


def _ordinary_symbols() -> np.ndarray:
    """Decisions of ordinary skew, context << 1 | decision."""
    rng = np.random.default_rng(0)
    contexts = rng.integers(0, CONTEXTS, SAMPLE_DECISIONS)
    rare = rng.uniform(0.05, 0.5, CONTEXTS)
    return (contexts << 1 | (rng.random(SAMPLE_DECISIONS) < rare[contexts])).astype(np.uint8)


def seconds_a_decision() -> float:
    """Time of the MQ coder alone for a decision.

    This needs a function of the codec's inside: `codec.encode` runs the MQ coder within the block coder only, and what
    the others of its work take must not count here.
    """
    symbols = _ordinary_symbols()
    return _shortest(4, lambda: encode_decisions(symbols)) / SAMPLE_DECISIONS


def seconds_a_decoded_decision() -> float:
    """Time of the MQ decoder alone for a decision whose context is given."""
    symbols = _ordinary_symbols()
    codeword, contexts = encode_decisions(symbols), symbols >> 1
    return _shortest(4, lambda: decode_decisions(codeword, contexts)) / SAMPLE_DECISIONS


def _profiled(call: Callable[[], object], modules: Mapping[str, set[str]], repeats: int) -> dict[str, float]:
    """Seconds of each stage of `call`, the least of several runs."""
    seconds = dict.fromkeys([*modules, OTHER], float("inf"))
    call()  # which may compile
    for _ in range(repeats):
        profile = cProfile.Profile(time.thread_time)
        profile.enable()
        call()
        profile.disable()
        for name, taken in _by_stage(profile, modules).items():
            seconds[name] = min(seconds[name], taken)
    return seconds


def _transform_bytes(image: Image) -> float:
    """Bytes that a wavelet transform moves: each decomposition leaves a quarter of the samples to the next."""
    pixels = image.pixels.size
    return pixels * (image.pixels.itemsize + FLOAT) + pixels * 2 * FLOAT / 3


def _with_floors(
    seconds: Mapping[str, float], moved: Mapping[str, float], coding: str, decisions: int, pace: float, bandwidth: float
) -> list[Stage]:
    """The stages with their lower bounds: from the bytes `moved`, or for the stage `coding` from its decisions too."""
    stages = []
    for name, taken in seconds.items():
        floor, floor_is = 0.0, ""
        if name in moved:
            floor, floor_is = moved[name] / bandwidth, f"{moved[name] / 1e6:.1f} MB at {bandwidth / 1e9:.1f} GB/s"
        if name == coding:
            floor += decisions * pace
            text = f"{decisions / 1e6:.2f} M decisions at {1e9 * pace:.1f} ns"
            floor_is = f"{text} and {floor_is}" if floor_is else text
        stages.append(Stage(name, taken, floor, floor_is))
    return stages


def _decisions(codestream: bytes) -> int:
    return sum(subband.decisions for subband in codec.inspect_codestream(codestream))


def measure_stages(image: Image, ratio: float, repeats: int) -> list[Stage]:
    """Profile one encode with its reconstruction, one thread; the least of several runs for each stage."""
    made: list[codec.Encoded] = []

    def encode() -> None:
        made[:] = codec.encode_ladder(image.pixels, [ratio], bits_stored=image.bits_stored)

    seconds = _profiled(encode, STAGES, repeats)
    pixels, transform = image.pixels.size, _transform_bytes(image)
    moved = {
        "wavelet transform": transform,
        "quantisation": pixels * 2 * FLOAT,
        "slope prediction": pixels * FLOAT,
        "reconstruction": transform + pixels * 2 * FLOAT,
    }
    return _with_floors(
        seconds, moved, "block coding", _decisions(made[0].codestream), seconds_a_decision(), memory_bandwidth(pixels)
    )


def measure_decoding(image: Image, ratio: float | None, repeats: int) -> DecodingTrial:
    """Decode an image that was encoded at a ratio, or losslessly for None: ours and OpenJPEG in turns, one thread."""
    if ratio is None:
        codestream = codec.encode_lossless(image.pixels, bits_stored=image.bits_stored).codestream
    else:
        codestream = codec.encode(image.pixels, ratio, bits_stored=image.bits_stored).codestream
    codec.decode(codestream)  # which may compile
    (ours, openjpeg), _ = shortest_times(
        repeats,
        [lambda: codec.decode(codestream), lambda: imagecodecs.jpeg2k_decode(codestream, numthreads=1)],
        time.thread_time,
    )
    seconds = _profiled(lambda: codec.decode(codestream), DECODING_STAGES, repeats)
    pixels = image.pixels.size
    # Coefficients are written once, and read by the transform.
    moved = {"block decoding": pixels * FLOAT, "inverse transform": _transform_bytes(image)}
    pace, bandwidth = seconds_a_decoded_decision(), memory_bandwidth(pixels)
    stages = _with_floors(seconds, moved, "block decoding", _decisions(codestream), pace, bandwidth)
    return DecodingTrial(ours, openjpeg, stages)


def _by_stage(profile: cProfile.Profile, modules: Mapping[str, set[str]]) -> dict[str, float]:
    """Seconds within the functions of each stage; compiled ones are in the profile under their own names."""
    folder = Path(codec.__file__).parent
    owner = {module: name for name, members in modules.items() for module in members}
    seconds = dict.fromkeys([*modules, OTHER], 0.0)
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        path = Path(file)
        seconds[owner.get(path.stem, OTHER) if path.is_relative_to(folder) else OTHER] += own
    return seconds
