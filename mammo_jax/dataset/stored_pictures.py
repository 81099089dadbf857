"""Some images of a dataset, as they were stored, without decoding all others."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    dataset_dirs: Sequence[Path | str], wanted: Mapping[float, Collection[str]]
) -> dict[float, dict[str, StoredPicture]]:
    """Read the records that have these image ids.

    Parameters
    ----------
    dataset_dirs : sequence of path
        The parts of one dataset.
    wanted : mapping of ratio to image ids

    Returns
    -------
    dict of ratio to dict of image id to StoredPicture
        Without what the dataset does not have.

    Raises
    ------
    DatasetError
        If a record cannot be read.
    """
    quiet_tensorflow()
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directories([str(path) for path in dataset_dirs])
    decoders = {name: tfds.decode.SkipDecoding() for name in set(PICTURES) & set(builder.info.features)}
    found: dict[float, dict[str, StoredPicture]] = {}
    for ratio, image_ids in wanted.items():
        if split_name(ratio) in builder.info.splits:
            records = builder.as_dataset(split=split_name(ratio), shuffle_files=False, decoders=decoders)
            named = ((record["image_id"].decode(), record) for record in records.as_numpy_iterator())
            found[ratio] = {name: _picture(record, dataset_dirs[0]) for name, record in named if name in image_ids}
    return found


def _picture(record: Mapping[str, Any], folder: Path | str) -> StoredPicture:
    try:
        image, mask = (np.asarray(Image.open(io.BytesIO(record[name]))) for name in PICTURES[:2])
    except OSError as error:
        name = record["image_id"].decode()
        raise DatasetError(f"{folder}: image {name!r} is damaged; remove the dataset and prepare it again") from error
    return StoredPicture(image.astype(np.uint16), mask > 0, int(record["label"]))
