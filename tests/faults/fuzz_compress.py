"""Changed DICOM files through `compress`: each gives a file or one clear reason, within its limits.

    python tests/faults/fuzz_compress.py --mutants 10000 --minutes 10 --workers 2

Prints how many were compressed, how many were left out for which reason, and what must not be: reasons that are a fault
of ours, processes that ended, and limits that were reached. Such mutants are kept in --found, and end it with code 1.
With MAMMO_SHARED_DATA its small DICOM files are changed too. A mutant follows from its number alone.
"""

import argparse
import os
import random
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from dicom_files import dataset, encapsulated, write  # noqa: E402

from mammo_jax.compression.batch import compress_files  # noqa: E402
from mammo_jax.compression.listing import LeftOut, list_files  # noqa: E402
from mammo_jax.compression.plan import CompressionPlan  # noqa: E402
from mammo_jax.limited_processes import Limits  # noqa: E402

LIMITS = Limits(seconds=5, gigabytes=1)
BATCH = 250
FAULTS = re.compile("by a fault|ended its process|was ended from|takes longer|needs more memory")
y, x = np.mgrid[:40, :48]
PIXELS = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)
CODED = {
    uid.JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(PIXELS, bitspersample=12),
    uid.JPEGExtended12Bit: lambda: imagecodecs.jpeg8_encode(PIXELS, level=95, bitspersample=12),
    uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(PIXELS),
    uid.JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k", bitspersample=12),
    uid.HTJ2KLossless: lambda: imagecodecs.htj2k_encode(PIXELS, reversible=True),
}
NATIVE = (
    uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian
)  # fmt: skip
EXTREMES = (0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 255, 256, 4095, 32767, 32768, 65534, 65535)
LENGTHS = (0, 1, 2, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
REPRESENTATIONS = (b"SQ", b"UN", b"OB", b"OW", b"US", b"SS", b"DS", b"IS", b"AT", b"UI", b"PN", b"UT", b"FD", b"\0\0")
IMAGE_ELEMENTS = (0x0002, 0x0004, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103)  # of group 0028
OTHERS = ((0x0008, 0x0016), (0x0008, 0x0018), (0x0010, 0x0020), (0x7FE0, 0x0010), (0x7FE0, 0x0001), (0x5000, 0x3000))


def seed_files(folder: Path) -> list[bytes]:
    """Objects in all transfer syntaxes, with icon, overlay, curve, nested sequences and private elements."""
    files = []
    for number, syntax in enumerate([*NATIVE, uid.RLELossless, *CODED]):
        instance = rich(dataset(PIXELS))
        if syntax in CODED:
            encapsulated(instance, syntax, CODED[syntax]())
        elif syntax == uid.RLELossless:
            instance.compress(syntax)
        elif syntax == uid.ExplicitVRBigEndian:
            instance.PixelData = PIXELS.astype(">u2").tobytes()
        instance.file_meta.TransferSyntaxUID = syntax
        if syntax in CODED:
            icon = instance.IconImageSequence[0]
            icon.PixelData = encapsulate([CODED[syntax]()])
            icon["PixelData"].is_undefined_length = True
            icon["PixelData"].VR = "OB"
        files.append(write(folder / f"seed{number}.dcm", instance).read_bytes())
    shared = os.environ.get("MAMMO_SHARED_DATA")
    cases = sorted(Path(shared, "cases", "dicom").glob("*.dcm")) if shared else []
    return files + [path.read_bytes() for path in cases]


def rich(instance: Dataset) -> Dataset:
    icon, inner, outer = Dataset(), Dataset(), Dataset()
    for keyword in ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "PixelData"):
        setattr(icon, keyword, instance[keyword].value)
    icon["PixelData"].VR = "OW"
    instance.IconImageSequence = Sequence([icon])
    inner.CodeValue, inner.CodeMeaning = "1", "a"
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    instance.SourceImageSequence = Sequence([outer])
    instance.add_new((0x5000, 0x3000), "OW", bytes(8))
    instance.add_new((0x6000, 0x3000), "OW", bytes(240))
    instance.add_new((0x0041, 0x0010), "LO", "PRIVATE")
    instance.add_new((0x0041, 0x1001), "UN", bytes(8))
    instance.LossyImageCompressionRatio, instance.LossyImageCompressionMethod = "8", "ISO_10918_1"
    return instance


def mutant(files: list[bytes], number: int) -> bytes:
    """Change one of the files in one to four ways."""
    rng = random.Random(number)
    data = bytearray(rng.choice(files))
    for _ in range(rng.randint(1, 4)):
        rng.choice(CHANGES)(rng, data, files)
    return bytes(data[:1_000_000])


def change_bytes(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(128, len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def change_an_image_element(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    place = data.find(struct.pack("<HH", 0x0028, rng.choice(IMAGE_ELEMENTS)))
    if place >= 0:
        struct.pack_into("<H", data, min(place + 8, len(data) - 2), rng.choice(EXTREMES))


def change_a_length(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    place = rng.choice([match.end() for match in re.finditer(rb"[\x08\x28\x10\x18\x20]\0..[A-Z]{2}", data)] or [140])
    data[place : place + rng.choice((2, 6))] = struct.pack("<I", rng.choice(LENGTHS))


def change_a_representation(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    places = [match.end() - 2 for match in re.finditer(rb"[\x08\x28\x10\x18\x20\x41\xe0].{3}[A-Z]{2}", data)]
    place = rng.choice(places or [140])
    data[place : place + 2] = rng.choice(REPRESENTATIONS)


def remove_or_repeat(rng: random.Random, data: bytearray, files: list[bytes]) -> None:
    start = rng.randrange(132, len(data))
    length = rng.choice((1, 2, 8, 12, rng.randint(1, 400)))
    other = rng.choice(files)
    place = rng.randrange(132, len(other))
    data[start : start + rng.choice((0, length))] = rng.choice(
        (b"", data[start : start + length], other[place : place + length])
    )


def cut_short(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    del data[rng.randrange(140, len(data)) :]


def change_the_transfer_syntax(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    found = re.search(rb"1\.2\.840\.10008\.1\.2[.0-9]*", data)
    if found:
        syntax = rng.choice([*NATIVE, uid.RLELossless, *CODED]).encode()
        data[found.start() : found.end()] = syntax[: len(found[0])].ljust(len(found[0]), b"\0")


def remove_an_element(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    """Give it the number of another, so that it is missing."""
    tag = rng.choice([*((0x0028, number) for number in IMAGE_ELEMENTS), *OTHERS])
    place = data.find(struct.pack("<HH", *tag))
    if place >= 0:
        struct.pack_into("<H", data, place + 2, tag[1] ^ 0x0800)


def nest(rng: random.Random, data: bytearray, _: list[bytes]) -> None:
    depth = rng.choice((3, 20, 30, 2000))
    start = struct.pack("<HH2sHIHHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    place = data.find(struct.pack("<HH", 0x0028, 0x0002))
    if place >= 0:
        data[place:place] = depth * start + depth * struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)


CHANGES = (
    change_bytes, change_bytes, change_bytes, change_an_image_element, change_an_image_element, change_a_length,
    change_a_representation, remove_or_repeat, remove_or_repeat, cut_short, change_the_transfer_syntax,
    remove_an_element, nest,
)  # fmt: skip


def compress_mutants(folder: Path, files: list[bytes], numbers: Iterable[int], workers: int) -> list[LeftOut]:
    """Write mutants and compress them; returns what is left out."""
    (folder / "in").mkdir()
    for number in numbers:
        (folder / "in" / f"{number}.dcm").write_bytes(mutant(files, number))
    (folder / "in" / "0-unchanged.dcm").write_bytes(files[0])  # the first loads what was compiled
    plan = CompressionPlan(out=folder / "out", ratios=(4.0,))
    return compress_files(plan, list_files([folder / "in"], plan), workers, LIMITS)


def main() -> None:
    """Compress mutants until there are enough or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--found", type=Path, default=Path("found"))
    options = parser.parse_args()
    start, done, faults, reasons = time.monotonic(), 0, 0, Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        files = seed_files(Path(scratch))
        while done < options.mutants and time.monotonic() - start < 60 * options.minutes:
            numbers = range(options.first + done, options.first + min(done + BATCH, options.mutants))
            with tempfile.TemporaryDirectory() as folder:
                left_out = compress_mutants(Path(folder), files, numbers, options.workers)
                for file in left_out:
                    reasons[re.sub(r"\d+", "N", file.reason)[:60]] += 1
                    if FAULTS.search(file.reason):
                        faults += 1
                        options.found.mkdir(exist_ok=True)
                        shutil.copy(Path(folder, "in", file.name), options.found)
                        print(f"\n{file.name}: {file.reason}")
            done += len(numbers)
    for reason, count in reasons.most_common():
        print(f"{count:6} {reason}")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{done} mutants, {done - reasons.total()} compressed, {faults} faults; at most {most:.2f} GiB in a process")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
