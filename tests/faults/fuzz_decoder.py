"""Coverage-guided fuzzing of the decoder with atheris (`pip install mammo-jax[fuzz]`).

    MAMMO_SHARED_DATA=… python tests/faults/fuzz_decoder.py --corpus DIR --minutes 10
    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=EMPTY python tests/faults/fuzz_decoder.py --corpus DIR --minutes 0

Seeds DIR with the corpus of the tests, then changes it at random; minutes 0 decodes every file of DIR once. Anything
but an image or a `CodecError` ends the run and leaves `crash-…`, `timeout-…` or `oom-…` in DIR/../found.
"""

import argparse
import importlib
import os
import random
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np
import PIL

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
# Compiled functions must stay as they are: Numba cannot compile what atheris adds.
COMPILED = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "codec").rglob("*.py")
    if "@kernel" in path.read_text()
]
with atheris.instrument_imports(include=["codec"], exclude=[*COMPILED, "codec.jit"]):
    import codec  # noqa: F401

from hostile_codestreams import attack, corpus, extreme_sizes, with_open_length, with_size  # noqa: E402

MAX_MEGABYTES = 1500  # of the whole process; the interpreter with Numba takes about 400
MAX_BYTES = 1 << 14
# Rows and columns of the image and of its tiles: what is compiled for each kind, before time counts.
WARM_UP_SIZES = (
    (300, 1, 300, 1), (300, 3, 300, 3), (300, 5, 300, 3), (300, 130, 300, 65), (130, 300, 65, 300), (1, 300, 1, 300)
)  # fmt: skip
EXTREME_SHARE = 0.2  # of mutants whose image and tiles become far from square


def decode_one(data: bytes) -> None:
    """Decode with options that follow from the data, so that a finding can be run again."""
    choice = sum(data[-8:])
    options = {"reduce": choice % 3 if choice % 2 else 0, "layers": None if choice % 5 else 1}
    for strict in (True, False):  # a damaged one ends the strict reading early, and the other reads on
        attack(data, strict=strict, **options)


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change the whole codestream, only its main header, or only what follows it, so that all of them are reached."""
    rng = random.Random(seed)
    if rng.random() < EXTREME_SHARE and b"\xff\x51" in data:
        data = with_size(data, *extreme_sizes(np.random.default_rng(seed)))
    start = data.find(b"\xff\x90")
    kind = rng.randrange(4)
    if start < 0 or kind == 0:
        return atheris.Mutate(data, len(data) + rng.randrange(32))[:most]
    if kind == 1:
        header = atheris.Mutate(data[:start], start + rng.randrange(16))
        return (header + data[start:])[:most]
    body = data.find(b"\xff\x93", start) + 2
    if body < 2:
        return atheris.Mutate(data, most)
    if kind == 2:  # the tile-part header
        return (data[:start] + atheris.Mutate(data[start:body], body - start + 16) + data[body:])[:most]
    changed = data[:body] + atheris.Mutate(data[body:], len(data) - body + rng.randrange(32))
    return with_open_length(changed)[:most] if rng.random() < 0.7 else changed[:most]


def seed_corpus(folder: Path) -> None:
    """Write the tests' corpus into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        (library,) = (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*")
        (Path(scratch) / "glymur").mkdir()
        (Path(scratch) / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
        os.environ["XDG_CONFIG_HOME"] = scratch
        glymur = importlib.import_module("glymur")
        for name, codestream in corpus(glymur, Path(scratch)).items():
            if len(codestream) <= MAX_BYTES:
                (folder / f"seed-{name.replace(' ', '-').replace(',', '')}").write_bytes(codestream)


def main() -> None:
    """Fuzz, or decode the corpus once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seconds", type=int, default=20, help="a codestream that takes longer is a finding")
    options = parser.parse_args()
    seed_corpus(options.corpus)
    failures = options.corpus.parent / "found"
    failures.mkdir(exist_ok=True)
    for path in options.corpus.glob("seed-*"):  # what is compiled at the first call counts neither as time nor memory
        seed = path.read_bytes()
        for codestream in (seed, *(with_size(seed, *size) for size in WARM_UP_SIZES)):
            attack(codestream, strict=False)
    limits = [f"-timeout={options.seconds}", f"-rss_limit_mb={MAX_MEGABYTES}", f"-max_len={MAX_BYTES}"]
    length = f"-max_total_time={round(60 * options.minutes)}" if options.minutes else "-runs=0"
    arguments = [
        sys.argv[0],
        *limits,
        length,
        f"-artifact_prefix={failures}/",
        "-print_final_stats=1",
        str(options.corpus),
    ]
    atheris.Setup(arguments, decode_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
