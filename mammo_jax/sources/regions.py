"""Regions of lesions as data sets mark them: polygons, boxes, ellipses, points and mask files become masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.draw import polygon

from mammo_jax.sources.mammogram import Label, Lesion, SourceError
from mammo_jax.sources.stored_pixels import read_pixels

Outline = tuple[tuple[float, float], ...]
"""Corners (row, column) in pixels of the whole image; fewer than three are single points."""


@dataclass(frozen=True)
class Region:
    """One lesion as it is marked; the mask is made when its image is read.

    Attributes
    ----------
    label : {"benign", "malignant"}
    kind : str or None
    outlines : tuple of Outline
        The lesion is inside any of them.
    mask_files : tuple of Path
        Image or DICOM files, of which the one that has the image's size is the mask: non-zero inside the lesion.
    """

    label: Label
    kind: str | None = None
    outlines: tuple[Outline, ...] = ()
    mask_files: tuple[Path, ...] = ()

    def lesion(self, shape: tuple[int, int], *, max_pixels: int) -> Lesion:
        """Return the lesion with its mask in an image of `shape`.

        Raises
        ------
        SourceError
            No mask file can be read or has the image's size, or nothing of the lesion is inside the image.
        """
        mask = self._read_mask(shape, max_pixels) if self.mask_files else filled(self.outlines, shape)
        if not mask.any():
            where = self.mask_files[0] if self.mask_files else "a marked lesion"
            raise SourceError(f"{where}: has no pixel inside the image; correct the mark, or leave the image out")
        return Lesion(*enclosing_circle(mask), self.label, mask, self.kind)

    def _read_mask(self, shape: tuple[int, int], max_pixels: int) -> np.ndarray:
        sizes = []
        for path in self.mask_files:
            pixels = read_pixels(path, max_pixels=max_pixels).pixels
            if pixels.shape == shape:
                return pixels > 0
            sizes.append("×".join(map(str, pixels.shape)))
        raise SourceError(
            f"{self.mask_files[0]}: the mask must have the image's size {'×'.join(map(str, shape))}, "
            f"and is of {', '.join(sizes)} pixels"
        )


def filled(outlines: Sequence[Outline], shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of the inside of any of the outlines, and of single points; bool [rows, columns]."""
    mask = np.zeros(shape, bool)
    for outline in outlines:
        corners = np.array(outline, float).reshape(-1, 2)
        if len(corners) > 2:
            mask[polygon(corners[:, 0], corners[:, 1], shape)] = True
            if np.ptp(corners, axis=0).min() >= 1:
                continue
        # Points, and outlines too thin to hold the centre of a pixel.
        rows, columns = np.rint(corners).astype(int).T
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        mask[rows[inside], columns[inside]] = True
    return mask


def box(top: float, left: float, bottom: float, right: float) -> Outline:
    """Return the outline of a rectangle."""
    return ((top, left), (top, right), (bottom, right), (bottom, left))


def ellipse(row: float, column: float, row_radius: float, column_radius: float) -> Outline:
    """Return the outline of an ellipse with vertical and horizontal axes, as a polygon of 90 corners."""
    turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return tuple(
        zip((row + row_radius * np.sin(turn)).tolist(), (column + column_radius * np.cos(turn)).tolist(), strict=True)
    )


def enclosing_circle(mask: np.ndarray) -> tuple[float, float, float]:
    """Return the centre of mass of a mask, and the radius of the circle around it that contains all its pixels."""
    rows, columns = np.nonzero(mask)
    centre_row, centre_column = float(rows.mean()), float(columns.mean())
    radius = float(np.hypot(rows - centre_row, columns - centre_column).max())
    return centre_row, centre_column, max(radius, 0.5)
