"""The resize-only arm: what the loss would be if bytes were saved by fewer pixels instead of by JPEG 2000."""

from __future__ import annotations

import numpy as np


def reduce_to_equal_bytes(images: np.ndarray, sides: np.ndarray, ratio: float, seed: int = 0) -> np.ndarray:
    """Return patches as they are after their whole image was reduced in size until it had `ratio` times fewer pixels.

    Stored without compression such an image has as many bytes as a codestream of this ratio. Its pixels are area means,
    √ratio times as wide as those of the original. The patch falls on their grid anywhere, by chance; it is enlarged
    again by linear interpolation, which takes nothing away that a linear observer could use.

    The patches are already area means themselves, at the model's input size. So ratios up to the square of that
    reduction change nothing: what they would cost is in the AUROC of CR 1.

    Parameters
    ----------
    images : real [n, size, size, 1]
        Uncompressed patches at the model's input size.
    sides : float [n]
        Side of each patch in pixels of its original image.
    ratio : float
        1 or more.
    seed : int
        Of the places on the grid; the same for every ratio.

    Returns
    -------
    float64 [n, size, size, 1]
    """
    size = images.shape[1]
    widths = np.sqrt(ratio) * size / sides
    places = np.random.default_rng(seed).random((len(images), 2))
    reduced = images[..., 0].astype(np.float64)
    for index in np.flatnonzero(widths > 1):
        along_rows, along_columns = (_reduction(size, float(widths[index]), place) for place in places[index])
        reduced[index] = along_rows @ reduced[index] @ along_columns.T
    return reduced[..., None]


def _reduction(size: int, width: float, place: float) -> np.ndarray:
    """Return the matrix [size, size] that averages over wider pixels and interpolates between their centres.

    Parameters
    ----------
    size : int
        Pixels of a line.
    width : float
        Of a wide pixel, in pixels of the line.
    place : float
        0 … 1: where the first wide pixel ends, as a share of its width. A wide pixel at the edge of the patch is the
        mean of its part in the patch.
    """
    count = int(np.ceil(size / width - place)) + 1
    edges = np.clip(width * (place + np.arange(-1, count)), 0, size)
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-9])]
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    means = np.maximum(overlap, 0) / np.diff(edges)[:, None]
    centres = (edges[1:] + edges[:-1]) / 2
    enlarged = [np.interp(pixels + 0.5, centres, unit) for unit in np.eye(len(centres))]
    return np.stack(enlarged, axis=1) @ means
