"""Example crops for the report: the same region of one image at every ratio."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mammo_jax.files import atomic_path
from mammo_jax.preprocess import find_framing, patch_corner
from mammo_jax.run_subfolders import PictureFolder
from mammo_jax.sources import Label, Mammogram, Source

CROP_PIXELS = 256


def choose_examples(source: Source) -> tuple[int, ...]:
    """Return the indices of the first malignant images of two patients, and of the first benign one of another."""
    indices: list[int] = []
    patients, labels = source.patients(), source.labels()
    wanted: tuple[Label, ...] = ("malignant", "malignant", "benign")
    for label in wanted:
        shown_patients = {patients[index] for index in indices}
        candidates = (
            index for index in range(len(labels)) if labels[index] == label and patients[index] not in shown_patients
        )
        first = next(candidates, None)
        if first is not None:
            indices.append(first)
    return tuple(indices)


def write_example_crop(
    folder: PictureFolder, mammogram: Mammogram, breast: np.ndarray, ratio: float, pixels: np.ndarray
) -> None:
    """Write the crop around the first lesion (or the breast's centre) as an 8-bit PNG.

    The grey-level window comes from the uncompressed image, so that only the image changes and not the display.
    """
    side = min(CROP_PIXELS, *pixels.shape)
    if mammogram.lesions:
        row, column = mammogram.lesions[0].row, mammogram.lesions[0].column
    else:
        box = find_framing(breast)
        row, column = (box.top + box.bottom) / 2, (box.left + box.right) / 2
    top, left = (int(edge) for edge in patch_corner(pixels.shape, row, column, side))
    window = np.s_[top : top + side, left : left + side]
    low, high = np.percentile(mammogram.pixels[window], (0.5, 99.5))
    crop = np.clip((pixels[window].astype(float) - low) / max(high - low, 1.0), 0, 1)
    with atomic_path(folder.picture(mammogram.image_id, ratio)) as temporary:
        Image.fromarray(np.round(255 * crop).astype(np.uint8)).save(temporary, format="PNG")
