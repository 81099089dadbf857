"""The frames of one object, compressed one after the other: each has the exact ratio, and the table one row for all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import codec
from codec.ratio import bits_per_pixel, image_bytes, ratio_of, target_bytes
from mammo_jax.compression.image_quality import psnr
from mammo_jax.compression.ladder import codec_ladder
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
    codestreams : list of bytes
    rows : list of dict
        Their rows in the table of sizes, one for each layer, without what depends on the file.
    """

    folder: Path
    codestreams: list[bytes]
    rows: list[dict[str, Any]]


def compress_frames(plan: CompressionPlan, frames: Iterable[np.ndarray], bits: int) -> list[CompressedFrames]:
    """Compress the frames of a file to each ratio of the plan.

    Only one frame's pixels are in memory at a time, and the codestreams of all.

    Parameters
    ----------
    plan : CompressionPlan
    frames : iterable of uint8 or uint16 arrays [rows, columns]
        All of one shape.
    bits : int
        Bits stored.

    Raises
    ------
    codec.CodecError
        A frame cannot be compressed to one of the ratios.
    """
    codestreams: dict[Path, list[bytes]] = {}
    rows: dict[Path, list[list[dict[str, Any]]]] = {}
    for pixels in frames:
        for folder, codestream, of_frame in (_in_layers if plan.layers or plan.lossless else _one_by_one)(
            plan, pixels, bits
        ):
            codestreams.setdefault(folder, []).append(codestream)
            rows.setdefault(folder, []).append(of_frame)
    return [
        CompressedFrames(folder, codestreams[folder], [_of_all(layer) for layer in zip(*rows[folder], strict=True)])
        for folder in codestreams
    ]


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


def _one_by_one(
    plan: CompressionPlan, pixels: np.ndarray, bits: int
) -> Iterator[tuple[Path, bytes, list[dict[str, Any]]]]:
    ladder = codec_ladder(
        SYNTAXES[plan.syntax].codec,
        pixels,
        plan.ratios,
        bits_stored=bits,
        reference=plan.reference,
        tolerance=0,
    )
    for encoded in ladder:
        assert encoded.reconstruction is not None  # ladders always return one
        row = _row(pixels, bits, len(encoded.codestream), encoded.reconstruction) | {
            "ratio": encoded.ratio,
            "target_bytes": encoded.target_bytes,
            "bytes_below_target": encoded.target_bytes - len(encoded.codestream),
            "header_bytes": encoded.header_bytes,
            "padding_bytes": encoded.padding_bytes,
        }
        yield plan.folders[encoded.ratio], encoded.codestream, [row]


def _in_layers(
    plan: CompressionPlan, pixels: np.ndarray, bits: int
) -> Iterator[tuple[Path, bytes, list[dict[str, Any]]]]:
    encoded = codec.encode_layers(
        pixels, plan.ratios, bits_stored=bits, reference=plan.reference, lossless=plan.lossless
    )
    rows = []
    for number, size in enumerate(encoded.layer_bytes, 1):
        decoded = codec.decode(encoded.codestream, layers=number, max_pixels=pixels.size)
        ratio = encoded.ratios[number - 1] if number <= len(encoded.ratios) else None
        target = None if ratio is None else target_bytes(image_bytes(pixels, bits, plan.reference), ratio)
        rows.append(
            _row(pixels, bits, size, decoded.astype(pixels.dtype))
            | {
                "ratio": "" if ratio is None else ratio,
                "target_bytes": "" if target is None else target,
                "bytes_below_target": "" if target is None else target - size,
                "layer": number,
                "header_bytes": encoded.header_bytes[number - 1],
                "padding_bytes": encoded.padding_bytes[number - 1],
            }
        )
    yield plan.folders[None], encoded.codestream, rows


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
