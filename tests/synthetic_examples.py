"""Examples that a small network learns in a few epochs: a bright blob in noise, or none."""

import numpy as np

from mammo_jax.dataset.input_pipeline import Examples


def blobs(
    count: int = 120,
    *,
    size: tuple[int, int] = (32, 32),
    ratio: str = "1",
    folds: int = 3,
    views: int = 2,
    contrast: float = 4.0,
    seed: int = 0,
) -> Examples:
    """Return examples of which every second patient is positive, with `views` images per patient.

    The noise of an image is the same at every ratio. The lesion mask is a disk around the blob; the breast fills the
    image.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[: size[0], : size[1]]
    patients = np.arange(count) // views
    targets = patients % 2
    images = random.normal(size=(count, *size))
    centres = random.uniform(0.25, 0.75, (count, 2)) * size
    masks = np.zeros((count, *size), np.uint8)
    for image, mask, target, (row, column) in zip(images, masks, targets, centres):
        squared = (rows - row) ** 2 + (columns - column) ** 2
        image += target * contrast * np.exp(-squared / 18)
        mask[(squared <= 25) & (target == 1)] = 255
    return Examples(
        ratio=ratio,
        images=np.clip(20000 + 4000 * images, 0, 65535).astype(np.uint16)[..., None],
        targets=targets.astype(np.int64),
        labels=(2 * targets).astype(np.int64),
        folds=((patients // 2) % folds).astype(np.int64),
        image_ids=np.array([f"image{i:04}" for i in range(count)]),
        patient_ids=np.array([f"patient{p:04}" for p in patients]),
        masks=masks[..., None],
        breasts=np.full((count, *size, 1), 255, np.uint8),
        lateralities=np.array(["L", "R", ""])[np.arange(count) % 3],
    )
