"""Where the time of our encoder goes, and how far each stage is from what the machine allows."""

from __future__ import annotations

import cProfile
import pstats
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import codec
from codec.encoding.mq_encoder import encode_decisions
from experiments.codec_benchmark.trials import Image

# Modules of the codec by the stage that their functions belong to.
STAGES = {
    "wavelet transform": {"forward_97", "forward_53"},
    "quantisation": {"quantizer"},
    "slope prediction": {"slope_prediction", "bit_plane_statistics"},
    "block coding": {"code_blocks", "block_coder", "block_passes", "mq_encoder", "workers"},
    "rate control": {
        "rate_control",
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


def memory_bandwidth(samples: int) -> float:
    """Bytes a second that one thread reads and writes at best in float32 arrays of so many samples."""
    source, target = np.ones(samples, np.float32), np.empty(samples, np.float32)
    best = float("inf")
    for _ in range(5):
        for work in (lambda: np.copyto(target, source), lambda: np.multiply(source, 1, out=source)):
            start = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - start)
    return 2 * FLOAT * samples / best


def seconds_a_decision() -> float:
    """Time of the MQ coder alone for a decision of ordinary skew.

    This needs a function of the codec's inside: `codec.encode` runs the MQ coder within the block coder only, and what
    the others of its work take must not count here.
    """
    rng = np.random.default_rng(0)
    contexts = rng.integers(0, CONTEXTS, SAMPLE_DECISIONS)
    rare = rng.uniform(0.05, 0.5, CONTEXTS)
    symbols = (contexts << 1 | (rng.random(SAMPLE_DECISIONS) < rare[contexts])).astype(np.uint8)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        encode_decisions(symbols)
        best = min(best, time.perf_counter() - start)
    return best / SAMPLE_DECISIONS


def measure_stages(image: Image, ratio: float, repeats: int) -> list[Stage]:
    """Profile one encode with its reconstruction, one thread; the least of several runs for each stage."""
    seconds = dict.fromkeys([*STAGES, OTHER], float("inf"))
    made = None
    for _ in range(repeats):
        profile = cProfile.Profile()
        profile.enable()
        (made,) = codec.encode_ladder(image.pixels, [ratio], bits_stored=image.bits_stored)
        profile.disable()
        for name, taken in _by_stage(profile).items():
            seconds[name] = min(seconds[name], taken)
    assert made is not None
    bandwidth, pace = memory_bandwidth(image.pixels.size), seconds_a_decision()
    decisions = sum(subband.decisions for subband in codec.inspect_codestream(made.codestream))
    pixels, itemsize = image.pixels.size, image.pixels.itemsize
    # Each decomposition leaves a quarter of the samples to the next, which are read and written again.
    transform = pixels * (itemsize + FLOAT) + pixels * 2 * FLOAT / 3
    moved = {
        "wavelet transform": transform,
        "quantisation": pixels * 2 * FLOAT,
        "slope prediction": pixels * FLOAT,
        "reconstruction": transform + pixels * 2 * FLOAT,
    }
    stages = []
    for name, taken in seconds.items():
        floor, floor_is = 0.0, ""
        if name in moved:
            floor, floor_is = moved[name] / bandwidth, f"{moved[name] / 1e6:.1f} MB at {bandwidth / 1e9:.1f} GB/s"
        elif name == "block coding":
            floor, floor_is = decisions * pace, f"{decisions / 1e6:.2f} M decisions at {1e9 * pace:.1f} ns"
        stages.append(Stage(name, taken, floor, floor_is))
    return stages


def _by_stage(profile: cProfile.Profile) -> dict[str, float]:
    """Seconds within the functions of each stage; compiled ones are in the profile under their own names."""
    folder = Path(codec.__file__).parent
    owner = {module: name for name, modules in STAGES.items() for module in modules}
    seconds = dict.fromkeys([*STAGES, OTHER], 0.0)
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        path = Path(file)
        seconds[owner.get(path.stem, OTHER) if path.is_relative_to(folder) else OTHER] += own
    return seconds
