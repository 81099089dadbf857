"""The frames of one object, compressed one after the other: each has the exact ratio, or all together have it.

The table has one row for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import codec
from codec.ratio import bits_per_pixel, image_bytes, ratio_for_target, ratio_of, target_bytes
from mammo_jax.compression.encapsulation import EncapsulatedFrames
from mammo_jax.compression.image_quality import psnr
from mammo_jax.compression.ladder import codec_ladder
from mammo_jax.compression.padding_range import DecodedPadding, WidenedRange
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.compression.syntaxes import SYNTAXES

_SUMS = ("target_bytes", "codestream_bytes", "bytes_below_target", "header_bytes", "padding_bytes")


@dataclass(frozen=True)
class CompressedFrames:
    """Codestreams of one file, one for each frame.

    Attributes
    ----------
    folder : Path
        Of the result.
    codestreams : EncapsulatedFrames
    rows : list of dict
        Their rows in the table of sizes, one for each layer, without what depends on the file.
    padding : WidenedRange or None
        Padding values after lossy compression, where there were any before.
    """

    folder: Path
    codestreams: EncapsulatedFrames
    rows: list[dict[str, Any]]
    padding: WidenedRange | None


class _OfFrame(NamedTuple):
    """One result of a frame: its codestream, its rows, one for each layer, and the pixels that it decodes to."""

    folder: Path
    codestream: bytes
    rows: list[dict[str, Any]]
    decoded: np.ndarray


@contextmanager
def compressed_frames(
    plan: CompressionPlan, frames: Sequence[np.ndarray], bits: int, padding: tuple[int, int] | None = None
) -> Iterator[list[CompressedFrames]]:
    """Compress the frames of a file to each ratio of the plan; the results last as long as the context.

    Only one frame's pixels are in memory at a time. The codestreams of several frames are in temporary files in the
    folder of the results.

    Parameters
    ----------
    plan : CompressionPlan
    frames : sequence of uint8 or uint16 arrays [rows, columns]
        All of one shape.
    bits : int
        Bits stored.
    padding : (int, int) or None
        Smallest and largest value of padding pixels.

    Raises
    ------
    codec.CodecError
        A frame cannot be compressed to one of the ratios.
    """
    rows: dict[Path, list[list[dict[str, Any]]]] = {folder: [] for folder in plan.folders.values()}
    with ExitStack() as files:
        codestreams = {
            folder: files.enter_context(EncapsulatedFrames(len(frames), _room(plan) if len(frames) > 1 else None))
            for folder in rows
        }
        counts = {folder: DecodedPadding(padding, bits) for folder in rows if padding and not plan.lossless}
        for number, ratios in enumerate(_ratios_of_frames(plan, frames, bits)):
            pixels = frames[number]
            for folder, codestream, layers, decoded in _of_one(plan, pixels, bits, ratios):
                codestreams[folder].add(codestream)
                rows[folder].append(layers)
                if folder in counts:
                    counts[folder].add(pixels, decoded)
        yield [
            CompressedFrames(
                folder,
                codestreams[folder],
                [_of_all(layer) for layer in zip(*rows[folder], strict=True)],
                counts[folder].widened() if folder in counts else None,
            )
            for folder in rows
        ]


def _room(plan: CompressionPlan) -> Path:
    plan.out.mkdir(parents=True, exist_ok=True)
    return plan.out


def _ratios_of_frames(plan: CompressionPlan, frames: Sequence[np.ndarray], bits: int) -> Iterator[tuple[float, ...]]:
    """The ratios to which each frame is compressed: those of the plan, or others with which all frames have them."""
    if plan.per == "frame" or len(frames) == 1:
        yield from [plan.ratios] * len(frames)
        return
    uncompressed = image_bytes(frames[0], bits, plan.reference)
    divided = codec.divide_bytes(frames, plan.ratios, bits_stored=bits, reference=plan.reference)
    for sizes in zip(*divided, strict=True):
        yield tuple(ratio_for_target(uncompressed, size) for size in sizes)


def _of_one(plan: CompressionPlan, pixels: np.ndarray, bits: int, ratios: tuple[float, ...]) -> Iterator[_OfFrame]:
    """The results of one frame."""
    return _in_layers(plan, pixels, bits) if plan.layers or plan.lossless else _one_by_one(plan, pixels, bits, ratios)


def _of_all(frames: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """One row for all frames: sizes are sums, the ratios those of the whole, and the PSNR has all pixels' errors."""
    row = dict(frames[0])
    for name in _SUMS:
        if all(isinstance(frame.get(name), int) for frame in frames):
            row[name] = sum(frame[name] for frame in frames)
    pixels = len(frames) * row["rows"] * row["columns"]
    error = sum(10 ** (-frame["psnr"] / 10) for frame in frames) / len(frames)  # of the range, squared
    size = row["codestream_bytes"]
    return row | {
        "frames": len(frames),
        "frame_bytes": " ".join(str(frame["codestream_bytes"]) for frame in frames),
        "ratio_allocated": ratio_of(pixels * row["bits_allocated"] // 8, size),
        "ratio_stored": ratio_of(len(frames) * row.pop("stored_bytes"), size),
        "bits_per_pixel": bits_per_pixel(size, pixels),
        "psnr": frames[0]["psnr"] if len(frames) == 1 else -10 * math.log10(error) if error else math.inf,
    }


def _one_by_one(plan: CompressionPlan, pixels: np.ndarray, bits: int, ratios: tuple[float, ...]) -> Iterator[_OfFrame]:
    ladder = codec_ladder(
        SYNTAXES[plan.syntax].codec,
        pixels,
        ratios,
        bits_stored=bits,
        reference=plan.reference,
        tolerance=0,
    )
    for ratio, encoded in zip(plan.ratios, ladder, strict=True):
        assert encoded.reconstruction is not None  # ladders always return one
        row = _row(pixels, bits, len(encoded.codestream), encoded.reconstruction) | {
            "ratio": ratio,
            "target_bytes": encoded.target_bytes,
            "bytes_below_target": encoded.target_bytes - len(encoded.codestream),
            "header_bytes": encoded.header_bytes,
            "padding_bytes": encoded.padding_bytes,
        }
        yield _OfFrame(plan.folders[ratio], encoded.codestream, [row], encoded.reconstruction)


def _in_layers(plan: CompressionPlan, pixels: np.ndarray, bits: int) -> Iterator[_OfFrame]:
    encoded = codec.encode_layers(
        pixels, plan.ratios, bits_stored=bits, reference=plan.reference, lossless=plan.lossless
    )
    rows = []
    for number, size in enumerate(encoded.layer_bytes, 1):
        decoded = codec.decode(encoded.codestream, layers=number, max_pixels=pixels.size).astype(pixels.dtype)
        ratio = encoded.ratios[number - 1] if number <= len(encoded.ratios) else None
        target = None if ratio is None else target_bytes(image_bytes(pixels, bits, plan.reference), ratio)
        rows.append(
            _row(pixels, bits, size, decoded)
            | {
                "ratio": "" if ratio is None else ratio,
                "target_bytes": "" if target is None else target,
                "bytes_below_target": "" if target is None else target - size,
                "layer": number,
                "header_bytes": encoded.header_bytes[number - 1],
                "padding_bytes": encoded.padding_bytes[number - 1],
            }
        )
    yield _OfFrame(plan.folders[None], encoded.codestream, rows, decoded)


def _row(pixels: np.ndarray, bits: int, size: int, decoded: np.ndarray) -> dict[str, Any]:
    """What is known of a frame's codestream, or its first layers, of `size` bytes."""
    return {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "bits_allocated": 8 * pixels.itemsize,
        "bits_stored": bits,
        "stored_bytes": image_bytes(pixels, bits, "stored"),
        "codestream_bytes": size,
        "psnr": psnr(pixels, decoded, bits),
    }
