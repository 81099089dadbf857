"""Some images of a dataset, as they were stored, without decoding all others."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mammo_jax.dataset.input_pipeline import DatasetError
from mammo_jax.ratios import split_name
from mammo_jax.runtime import quiet_tensorflow

PICTURES = ("image", "mask", "breast")


@dataclass(frozen=True)
class StoredPicture:
    """One record of a dataset.

    Attributes
    ----------
    image : uint16 [rows, columns]
        Grey levels scaled to 0 … 65535, at the size that the networks see.
    mask : bool [rows, columns]
        Inside a lesion that is positive for the study's target.
    label : int
        0 normal, 1 benign, 2 malignant.
    """

    image: np.ndarray
    mask: np.ndarray
    label: int


def read_pictures(
    dataset_dirs: Sequence[Path | str], ratio: float, image_ids: Collection[str]
) -> dict[str, StoredPicture]:
    """Read the records of one ratio that have these image ids.

    Parameters
    ----------
    dataset_dirs : sequence of path
        The parts of one dataset.
    ratio : float
    image_ids : collection of str

    Returns
    -------
    dict of image id to StoredPicture
        Without those that the dataset does not have; empty where it does not have the ratio.

    Raises
    ------
    DatasetError
        If a record cannot be read.
    """
    quiet_tensorflow()
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directories([str(path) for path in dataset_dirs])
    if split_name(ratio) not in builder.info.splits:
        return {}
    skipped = set(PICTURES) & set(builder.info.features)
    dataset = builder.as_dataset(
        split=split_name(ratio),
        shuffle_files=False,
        decoders={name: tfds.decode.SkipDecoding() for name in skipped},
    )
    found = {}
    for record in dataset.as_numpy_iterator():
        image_id = record["image_id"].decode()
        if image_id in image_ids:
            try:
                image, mask = (np.asarray(Image.open(io.BytesIO(record[name]))) for name in PICTURES[:2])
            except OSError as error:
                raise DatasetError(f"{dataset_dirs[0]}: image {image_id!r} is damaged; prepare it again") from error
            found[image_id] = StoredPicture(image.astype(np.uint16), mask > 0, int(record["label"]))
    return found
