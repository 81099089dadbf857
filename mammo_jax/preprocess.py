"""Preprocessing: from a whole mammogram to the model's input.

Bounding box and orientation are determined once, on the uncompressed image, and reused for every ratio: otherwise the
crop would differ between the ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

MODEL_WHITE = 65535  # the grey level of 2**bits_stored - 1 in a record


@dataclass(frozen=True)
class Framing:
    """The breast's bounding box in pixels of the whole image, and whether the image is mirrored.

    Attributes
    ----------
    top, left, bottom, right : int
        Bounding box of the breast; bottom and right are exclusive.
    mirrored : bool
        True if columns are reversed, so that the chest wall is always on the left.
    """

    top: int
    left: int
    bottom: int
    right: int
    mirrored: bool

    def position(self, row: float, column: float) -> tuple[float, float]:
        """Return a point's position in the box: (0, 0) top at the chest wall … (1, 1) bottom on the other side."""
        along_wall = (row - self.top) / (self.bottom - self.top)
        from_left = (column - self.left) / (self.right - self.left)
        return along_wall, 1 - from_left if self.mirrored else from_left


def breast_mask(pixels: np.ndarray) -> np.ndarray:
    """Segment the breast: the largest bright component of the downsampled image, with holes filled.

    The threshold is 10 % of the range from the darkest to the brightest (99.5 %) downsampled level. Film labels and
    noise are excluded because they are small. The image is downsampled to at least 128 blocks along the shorter side,
    which makes this fast.

    Parameters
    ----------
    pixels : uint8 or uint16 array [rows, columns]

    Returns
    -------
    bool array [rows, columns]; all True if the image is blank.
    """
    step = max(1, min(pixels.shape) // 128)
    small = _shrink(pixels, step)
    low, high = float(small.min()), float(np.percentile(small, 99.5))
    bright = small > low + 0.1 * (high - low)
    opened = ndimage.binary_opening(bright, np.ones((3, 3)))  # separates the bright borders of film scans
    components, count = ndimage.label(opened if opened.any() else bright)
    if count == 0 or high <= low:
        return np.ones(pixels.shape, bool)
    sizes = np.bincount(components.ravel())[1:]
    largest = ndimage.binary_fill_holes(components == 1 + int(sizes.argmax()))
    rows = np.minimum(np.arange(pixels.shape[0]) // step, small.shape[0] - 1)
    columns = np.minimum(np.arange(pixels.shape[1]) // step, small.shape[1] - 1)
    return largest[rows[:, None], columns[None, :]]


def _shrink(pixels: np.ndarray, step: int) -> np.ndarray:
    """Downsample by the mean of step × step blocks; an incomplete block at the edge is dropped."""
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    blocks = pixels[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean((1, 3), dtype=np.float32)


def find_framing(mask: np.ndarray) -> Framing:
    """Determine box and orientation from the breast mask [rows, columns]; the chest wall is on the side with more."""
    rows = np.flatnonzero(mask.any(1))
    columns = np.flatnonzero(mask.any(0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    half = (right - left) // 2
    mirrored = bool(mask[:, left : left + half].sum() < mask[:, right - half : right].sum())
    return Framing(int(rows[0]), left, int(rows[-1]) + 1, right, mirrored)


def whole_view(pixels: np.ndarray, framing: Framing, shape: tuple[int, int], zoom: float | None = None) -> np.ndarray:
    """Resample the breast's box, with the chest wall on the left, to the top left of a black canvas.

    Parameters
    ----------
    pixels : real array [rows, columns]
        Grey levels, or a mask as 0.0 / 1.0.
    shape : (rows, columns)
        Size of the canvas, the model's input.
    zoom : float, optional
        Model pixels per source pixel; by default, and at most, so that the box fits.

    Returns
    -------
    float32 array [shape]
    """
    box_rows, box_columns = framing.bottom - framing.top, framing.right - framing.left
    fitting = min(shape[0] / box_rows, shape[1] / box_columns)
    zoom = fitting if zoom is None else min(zoom, fitting)
    rows = min(shape[0], max(1, round(box_rows * zoom)))
    columns = min(shape[1], max(1, round(box_columns * zoom)))
    view = _resample(pixels, (framing.left, framing.top, framing.right, framing.bottom), (rows, columns))
    canvas = np.zeros(shape, np.float32)
    canvas[:rows, :columns] = view[:, ::-1] if framing.mirrored else view
    return canvas


def patch_view(pixels: np.ndarray, row: float, column: float, side: float, size: int, mirrored: bool) -> np.ndarray:
    """Resample a square of `side` source pixels around (row, column), moved inside the image, to `size` × `size`."""
    top, left = patch_corner(pixels.shape, row, column, side)
    view = _resample(pixels, (left, top, left + side, top + side), (size, size))
    return np.ascontiguousarray(view[:, ::-1]) if mirrored else view


def patch_corner(shape: tuple[int, ...], row: float, column: float, side: float) -> tuple[float, float]:
    """Return top and left of a patch around (row, column), moved so that it is inside an image of `shape`."""
    return (
        min(max(row - side / 2, 0.0), max(shape[0] - side, 0.0)),
        min(max(column - side / 2, 0.0), max(shape[1] - side, 0.0)),
    )


def _resample(pixels: np.ndarray, box: tuple[float, float, float, float], shape: tuple[int, int]) -> np.ndarray:
    """Resample the region `box` = (left, top, right, bottom) to `shape` with a box filter (area mean), as float32."""
    left, top, right, bottom = box
    first_row, first_column = max(int(top) - 1, 0), max(int(left) - 1, 0)
    part = np.asarray(pixels[first_row : int(bottom) + 2, first_column : int(right) + 2], np.float32)
    inner = (
        max(left - first_column, 0.0),
        max(top - first_row, 0.0),
        min(right - first_column, part.shape[1]),
        min(bottom - first_row, part.shape[0]),
    )
    image = Image.fromarray(part)
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BOX, box=inner))


def to_record(view: np.ndarray, bits_stored: int) -> np.ndarray:
    """Scale grey levels so that 2**bits_stored - 1 becomes 65535; uint16 [rows, columns]."""
    white = (1 << bits_stored) - 1
    return np.round(np.clip(view, 0, white) * (MODEL_WHITE / white)).astype(np.uint16)
