"""Simulated lesions in real tissue: the phantom's lesions added to another source's normal mammograms."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from mammo_jax.preprocess import breast_mask, find_framing
from mammo_jax.sources.lesions import Stamp, draw_lesion, label_at, plant
from mammo_jax.sources.mammogram import Label, Lesion, Mammogram, Source, SourceError

EDGE_MARGIN = 16.0
"""Minimum distance in mm of a site from skin, film edge and chest wall, so that a mass's core is in the breast."""

TISSUE_RANGE = 0.85
"""Log exposure between the 5th and 95th percentile of a breast, from the default phantom. It converts a lesion's log
exposure to grey levels of an image whose calibration is unknown (our choice)."""

_SITE, _KIND, _FORM = range(3)


@dataclass(frozen=True)
class Hybrid:
    """A source that adds lesions to the normal mammograms of another source; patients stay the same.

    Every normal image of the base gives `plantings` images, each with its own label, site and lesion, which depend only
    on the seed and the image's number. A normal one is blended in the same way with a lesion of zero contrast, which
    does not change its pixels; its site is recorded.

    Attributes
    ----------
    base : Source
        Only its images labelled normal are used.
    seed : int
        Not negative.
    plantings : int
        Number of images generated from each normal image.
    benign, malignant : float
        Share of the images with such a lesion; at most 1 together.
    contrast : float
        Contrast of the lesions; 1 is realistic (see `lesions`).
    calcification_share : float
        Share of the lesions that are clusters of microcalcifications.
    pixel_pitch : float or None
        Size of a pixel in mm if the base does not know it.
    """

    base: Source
    seed: int = 0
    plantings: int = 4
    benign: float = 0.19
    malignant: float = 0.19
    contrast: float = 1.0
    calcification_share: float = 0.25
    pixel_pitch: float | None = None
    normals: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the fields, and list the base's normal images."""
        if self.plantings < 1 or self.seed < 0:
            raise SourceError(f"hybrid: plantings={self.plantings}, seed={self.seed}; at least 1 and 0 are needed")
        if min(self.benign, self.malignant) < 0 or self.benign + self.malignant > 1:
            raise SourceError("hybrid: benign and malignant are shares of the images, together at most 1")
        if self.contrast < 0 or not 0 <= self.calcification_share <= 1:
            raise SourceError("hybrid: contrast >= 0 and calcification_share in [0, 1] are needed")
        normals = tuple(index for index, label in enumerate(self.base.labels()) if label == "normal")
        if not normals:
            raise SourceError("hybrid: the base source has no image labelled normal to plant lesions into")
        object.__setattr__(self, "normals", normals)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.normals) * self.plantings

    def patients(self) -> list[str]:
        """Return the patient id of every image, which is the base's."""
        base = self.base.patients()
        return [base[index] for index in self.normals for _ in range(self.plantings)]

    def labels(self) -> list[Label]:
        """Return the label of every image."""
        return [label_at(self.seed, index, self.benign, self.malignant) for index in range(len(self))]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per image: the base's, with the new id and label; see `Source.table`."""
        base = self.base.table()
        rows = [(base[index], number) for index in self.normals for number in range(self.plantings)]
        return [
            {**row, "image_id": _planted_id(row["image_id"], number), "label": label}
            for (row, number), label in zip(rows, self.labels())
        ]

    def __getitem__(self, index: int) -> Mammogram:
        """Read the base's image and add a lesion or null lesion."""
        if not 0 <= index < len(self):
            raise IndexError(f"hybrid: image {index} of {len(self)}")
        base = self.base[self.normals[index // self.plantings]]
        pitch = base.pixel_pitch or self.pixel_pitch
        if pitch is None:
            raise SourceError(f"{base.image_id}: its pixel pitch is unknown; give the hybrid source a pixel_pitch")
        label = label_at(self.seed, index, self.benign, self.malignant)
        breast = breast_mask(base.pixels)
        row, column = self._site(index, base, breast, pitch)
        kind, form = self._stream(_KIND, index), self._stream(_FORM, index)
        stamp = draw_lesion(kind, form, label, pitch, self.contrast, self.calcification_share)
        pixels, lesion = _blend(base, breast, stamp, row, column)
        return replace(
            base,
            pixels=pixels,
            image_id=_planted_id(base.image_id, index % self.plantings),
            label=label,
            pixel_pitch=pitch,
            lesions=() if lesion is None else (lesion,),
            null_sites=((float(row), float(column)),) if lesion is None else (),
        )

    def _stream(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, index])

    def _site(self, index: int, base: Mammogram, breast: np.ndarray, pitch: float) -> tuple[int, int]:
        """Draw the centre of the lesion or null lesion uniformly over the breast, away from edges and muscle."""
        step = max(1, int(1 / pitch))
        small = np.pad(breast[::step, ::step], 1)
        depth = distance_transform_edt(small)[1:-1, 1:-1] * step * pitch
        allowed = depth >= EDGE_MARGIN
        if base.view != "CC":
            allowed &= ~_muscle_corner(breast)[::step, ::step]
        positions = np.flatnonzero(allowed)
        if not len(positions):
            raise SourceError(
                f"{base.image_id}: no room for a lesion {EDGE_MARGIN:g} mm inside the breast; leave it out"
            )
        row, column = np.unravel_index(self._stream(_SITE, index).choice(positions), allowed.shape)
        return int(row) * step, int(column) * step


def _planted_id(base_id: str, number: int) -> str:
    return f"{base_id}-p{number}"


def _muscle_corner(breast: np.ndarray) -> np.ndarray:
    """Return the triangle at the top of the chest wall with the pectoral muscle of an MLO view, bool [rows, columns].

    Its legs are 0.6 of the breast's bounding box along the top and along the chest wall (our choice, generous).
    """
    framing = find_framing(breast)
    rows = (np.arange(breast.shape[0]) - framing.top) / (framing.bottom - framing.top)
    columns = (np.arange(breast.shape[1]) - framing.left) / (framing.right - framing.left)
    from_chest_wall = 1 - columns if framing.mirrored else columns
    return rows[:, None] + from_chest_wall[None, :] < 0.6


def _blend(
    base: Mammogram, breast: np.ndarray, stamp: Stamp, row: int, column: int
) -> tuple[np.ndarray, Lesion | None]:
    """Add a stamp in grey levels and round; pixels outside the stamp's mask do not change."""
    low, high = np.percentile(base.pixels[breast][::7], [5, 95])
    image = base.pixels.astype(np.float32)
    lesion = plant(image, stamp, row, column, scale=(high - low) / TISSUE_RANGE)
    white = 2**base.bits_stored - 1
    return np.clip(np.rint(image), 0, white).astype(base.pixels.dtype), lesion
