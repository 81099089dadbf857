"""The records of one part of a dataset, in the format of TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammo_jax.ratios import split_name


class RecordWriter:
    """Writes a TFDS directory with one split per ratio; TensorFlow is imported here, in the worker process.

    Parameters
    ----------
    directory : Path
    ratios : sequence of float
        Including 1.
    rows, columns : int
        Size of every image and mask.
    """

    def __init__(self, directory: Path, ratios: Sequence[float], rows: int, columns: int):
        import tensorflow_datasets as tfds

        shape = (rows, columns, 1)
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape, dtype=np.uint16, encoding_format="png"),
                "mask": tfds.features.Image(shape=shape, dtype=np.uint8, encoding_format="png"),
                "breast": tfds.features.Image(shape=shape, dtype=np.uint8, encoding_format="png"),
                "label": np.int64,
                "target": np.int64,
                "fold": np.int64,
                "image_id": tfds.features.Text(),
                "patient_id": tfds.features.Text(),
                "laterality": tfds.features.Text(),
                "codestream_bytes": np.int64,
                "psnr": np.float32,
            }
        )
        identity = tfds.core.DatasetIdentity(
            name="mammograms", version=tfds.core.Version("1.0.0"), data_dir=str(directory), module_name=""
        )
        info = tfds.core.DatasetInfo(builder=identity, features=features)
        self.writer = tfds.core.SequentialWriter(info, max_examples_per_shard=1 << 20)
        self.writer._serializer = _serializer_of_equal_bytes(features)
        self.splits = [split_name(ratio) for ratio in ratios]
        self.empty = True

    def add(self, records: dict[str, list]) -> None:
        """Append one image's records to their splits."""
        if self.empty and records[self.splits[0]]:
            self.writer.initialize_splits(self.splits)
            self.empty = False
        if not self.empty:
            self.writer.add_examples(records)

    def close(self) -> None:
        """Close every split. A part without units writes no files, so `parts` does not list it."""
        if not self.empty:
            self.writer.close_all()


def _serializer_of_equal_bytes(features: Any) -> Any:
    """TFDS's serializer, but with the fields in the order of their names; its own depends on the process."""
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    class InOrder(ExampleSerializer):
        def serialize_example(self, example: Any) -> bytes:
            return self.get_tf_example(example).SerializeToString(deterministic=True)

    return InOrder(features.get_serialized_info())
