"""The pictures of the report's cases: records of the dataset, crops of full images, and maps to lay over them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from mammo_jax.dataset.stored_pictures import StoredPicture, read_pictures
from mammo_jax.files import read_json
from mammo_jax.report.sections import example_rows
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.localisation import smooth
from mammo_jax.saliency.maps import load_maps
from mammo_jax.saliency.panels import FULL_STRENGTH, OUTLINE, heat

MAX_SIDE = 256
"""Pixels of a picture's side; of a larger image the part around the lesion is shown, pixel by pixel."""


@dataclass(frozen=True)
class CasePicture:
    """A picture at a ratio, as PNG, and the map at this ratio to lay over it; empty where there is none."""

    ratio: float
    png: bytes
    saliency: bytes = b""


@dataclass(frozen=True)
class CaseRecord:
    """An image of the dataset at every ratio, as PNG in the grey-level window of the uncompressed one.

    Attributes
    ----------
    label : int
    window : (slice, slice)
        The part that is shown.
    pictures : dict of ratio to bytes
    outline : bytes
        The lesion's outline, else transparent; empty without a lesion.
    """

    label: int
    window: tuple[slice, slice]
    pictures: dict[float, bytes]
    outline: bytes


def stored_pictures(parts: Sequence[Path], ratios: Mapping[str, Sequence[float]]) -> dict[str, CaseRecord]:
    """Read images of a dataset.

    Parameters
    ----------
    parts : sequence of Path
    ratios : mapping of image id to its ratios, of which 1 comes first
    """
    every = sorted({ratio for of_image in ratios.values() for ratio in of_image})
    wanted = {ratio: {name for name, of_image in ratios.items() if ratio in of_image} for ratio in every}
    records = read_pictures(parts, wanted)
    found = {}
    for image_id in ratios:
        by_ratio = {ratio: of_ratio[image_id] for ratio, of_ratio in records.items() if image_id in of_ratio}
        if 1.0 in by_ratio:
            found[image_id] = _record(by_ratio)
    return found


def _record(by_ratio: Mapping[float, StoredPicture]) -> CaseRecord:
    first = by_ratio[1.0]
    window = _window(first)
    low, high = np.percentile(first.image[window], (0.5, 99.5))
    pictures = {}
    for ratio, picture in by_ratio.items():
        grey = np.clip((picture.image[window].astype(float) - low) / max(high - low, 1.0), 0, 1)
        pictures[ratio] = _png(np.rint(255 * grey).astype(np.uint8))
    outline = _outline(first.mask[window]) if first.mask[window].any() else b""
    return CaseRecord(first.label, window, pictures, outline)


def _window(picture: StoredPicture) -> tuple[slice, slice]:
    """Return the part around the lesion, or around the middle."""
    centre = ndimage.center_of_mass(picture.mask) if picture.mask.any() else [side / 2 for side in picture.mask.shape]
    slices = []
    for middle, side in zip(centre, picture.image.shape):
        width = min(MAX_SIDE, side)
        start = int(np.clip(round(middle - width / 2), 0, side - width))
        slices.append(slice(start, start + width))
    return slices[0], slices[1]


def _outline(mask: np.ndarray) -> bytes:
    edge = ndimage.binary_dilation(mask) & ~mask
    return _png(np.concatenate([np.broadcast_to(OUTLINE, (*mask.shape, 3)), 255 * edge[..., None]], axis=2))


def saliency_overlays(
    run: RunFolder, folds: Mapping[str, int], records: Mapping[str, CaseRecord]
) -> dict[str, dict[float, bytes]]:
    """Colour the maps of images, as far as the run has them, with one scale for all ratios of an image.

    Parameters
    ----------
    run : RunFolder
    folds : mapping of image id to fold
    records : mapping of image id to CaseRecord

    Returns
    -------
    dict of image id to dict of ratio to PNG
    """
    if not run.saliency.summary.exists():
        return {}
    method = read_json(run.saliency.summary)["primary"]
    overlays: dict[str, dict[float, bytes]] = {image_id: {} for image_id in folds}
    full: dict[str, float] = {}
    ratios = sorted({ratio for image_id in folds for ratio in records[image_id].pictures})  # 1 comes first
    for ratio, fold in product(ratios, sorted(set(folds.values()))):
        path = run.saliency.maps(ratio, fold)
        stored = load_maps(path, (method,)) if path.exists() else None
        for index, image_id in enumerate([] if stored is None else stored.image_ids.tolist()):
            if image_id in overlays and stored is not None:
                smoothed = smooth(stored.maps[method][index])
                full.setdefault(image_id, float(np.percentile(smoothed, FULL_STRENGTH)))
                overlays[image_id][ratio] = _overlay(smoothed[records[image_id].window], full[image_id])
    return overlays


def _overlay(smoothed: np.ndarray, full: float) -> bytes:
    strength = np.clip(smoothed / full, 0, 1) if full > 0 else np.zeros(smoothed.shape)
    colours, opacity = heat(strength)
    return _png(np.rint(255 * np.concatenate([colours, opacity], axis=2)).astype(np.uint8))


def crop_cases(run: RunFolder) -> tuple[list[tuple[str, list[CasePicture]]], list[str]]:
    """Read the example crops of full images, and the names of files that were left out."""
    rows, refused = example_rows(run.examples)
    return [(row["image_id"], [CasePicture(crop["ratio"], crop["png"]) for crop in row["crops"]]) for row in rows], (
        refused
    )


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
