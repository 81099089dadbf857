"""The input pipeline: from the TFDS dataset to NumPy arrays and to batches. TensorFlow is imported only when needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mammo_jax.dataset.parts import DatasetError, check_part
from mammo_jax.ratios import MIXED, ratio_text, split_name
from mammo_jax.run_subfolders import PartFolder
from mammo_jax.runtime import quiet_tensorflow

MASKS = ("mask", "breast")
LATERALITY = "laterality"  # a dataset prepared by an older version lacks it


@dataclass(frozen=True)
class Examples:
    """All examples of one ratio, or of several mixed ratios, in the order of their image ids.

    Attributes
    ----------
    ratio : str
        The ratio as written in a predictions table: "1", "15", …, "mixed".
    images : uint16 [n, rows, columns, 1], or [n, ratios, rows, columns, 1] for mixed ratios
        Grey levels scaled to 0 … 65535.
    targets : int64 [n]
        0 (negative) or 1 (positive).
    labels : int64 [n]
        0 normal, 1 benign, 2 malignant.
    folds : int64 [n]
    image_ids, patient_ids : str arrays [n]
    masks, breasts : uint8 [n, rows, columns, 1] or None
        255 inside a lesion that is positive for the study's target, and inside the breast; None if not read.
    lateralities : str array [n] or None
        "L", "R", or "" where it is not known; None if the dataset does not have them.
    """

    ratio: str
    images: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    image_ids: np.ndarray
    patient_ids: np.ndarray
    masks: np.ndarray | None = None
    breasts: np.ndarray | None = None
    lateralities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: np.ndarray) -> Examples:
        """Return the examples at `indices`."""
        ids = ("image_ids", "patient_ids", "lateralities")
        arrays = ("images", "targets", "labels", "folds", *ids, "masks", "breasts")
        selected = {name: getattr(self, name)[indices] for name in arrays if getattr(self, name) is not None}
        return replace(self, **selected)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all data that training depends on, in hexadecimal."""
        digest = hashlib.sha256(f"{self.ratio} {self.images.shape} {self.images.dtype.str}".encode())
        for array in (self.images, self.targets):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\n".join([*self.image_ids, *self.patient_ids]).encode())
        return digest.hexdigest()


def read_examples(dataset_dirs: Sequence[Path | str], ratio: float, *, masks: bool = False) -> Examples:
    """Read all examples of one ratio.

    Parameters
    ----------
    dataset_dirs : sequence of path
        The parts of one dataset, each with a split for the ratio.
    ratio : float
    masks : bool
        Also read the lesion and breast masks.

    Returns
    -------
    `Examples`
        Sorted by image id, so that the order does not depend on the parts.

    Raises
    ------
    DatasetError
        If a folder has no dataset, the ratio or the masks are not in it, an image id occurs twice, or a file has
        changed since it was written.
    """
    _set_up_tensorflow()
    import tensorflow_datasets as tfds

    missing = [path for path in map(Path, dataset_dirs) if not PartFolder(path).info.is_file()]
    if missing or not dataset_dirs:
        where = missing[0] if missing else "no folder given"
        raise DatasetError(f"{where}: there is no dataset; run the job that prepares it first")
    split = split_name(ratio)
    for path in map(Path, dataset_dirs):
        check_part(path, split)
    builder = tfds.builder_from_directories([str(path) for path in dataset_dirs])
    if split not in builder.info.splits:
        known = ", ".join(sorted(builder.info.splits, key=lambda name: (len(name), name)))  # their order is random
        raise DatasetError(f"{dataset_dirs[0]}: no split {split!r}; it has {known}: prepare the ratio or leave it out")
    if masks and not set(MASKS) <= set(builder.info.features):
        raise DatasetError(f"{dataset_dirs[0]}: it has no breast masks; remove the dataset and prepare it again")
    skipped = {"codestream_bytes", "psnr", *(() if masks else MASKS)} & set(builder.info.features)
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, decoders={name: tfds.decode.SkipDecoding() for name in skipped}
    )
    optional = [*(MASKS if masks else ()), *({LATERALITY} & set(builder.info.features))]
    return _collect(dataset.batch(64).prefetch(2).as_numpy_iterator(), ratio, optional, str(dataset_dirs[0]))


def _collect(chunks: Iterable[dict[str, Any]], ratio: float, optional: Sequence[str], name: str) -> Examples:
    """Concatenate the chunks of all parts, sorted by image id."""
    fields = ["image", "target", "label", "fold", "image_id", "patient_id", *optional]
    columns: dict[str, list] = {field: [] for field in fields}
    for chunk in chunks:
        for field in fields:
            columns[field].append(chunk[field])
    if not columns["image"]:
        raise DatasetError(f"{name}: ratio {ratio_text(ratio)} has no examples; prepare the dataset again")
    joined = {key: np.concatenate(values) for key, values in columns.items()}
    texts = [key for key in ("image_id", "patient_id", LATERALITY) if key in joined]
    joined |= {key: np.char.decode(joined[key].astype(bytes)) for key in texts}
    image_ids = joined["image_id"]
    order = np.argsort(image_ids, kind="stable")
    repeated = image_ids[order][1:] == image_ids[order][:-1]
    if repeated.any():
        raise DatasetError(
            f"{name}: image {str(image_ids[order][1:][repeated][0])!r} occurs twice at ratio {ratio_text(ratio)};"
            " give each part of the dataset once"
        )
    return Examples(
        ratio=ratio_text(ratio),
        images=joined["image"][order],
        targets=joined["target"][order],
        labels=joined["label"][order],
        folds=joined["fold"][order],
        image_ids=image_ids[order],
        patient_ids=joined["patient_id"][order],
        masks=joined["mask"][order] if "mask" in joined else None,
        breasts=joined["breast"][order] if "breast" in joined else None,
        lateralities=joined[LATERALITY][order] if LATERALITY in joined else None,
    )


def mix(parts: Iterable[Examples]) -> Examples:
    """Combine the same examples at several ratios, for training on all of them.

    Raises
    ------
    DatasetError
        If the ratios don't have the same examples.
    """
    parts = list(parts)
    first = parts[0]
    for part in parts[1:]:
        same = all(
            np.array_equal(getattr(part, name), getattr(first, name)) for name in ("image_ids", "targets", "folds")
        )
        if not same:
            raise DatasetError(
                f"ratios {first.ratio} and {part.ratio} have different examples; prepare all ratios in one run"
            )
    return replace(first, ratio=MIXED, images=np.stack([part.images for part in parts], axis=1))


def one_ratio_each(examples: Examples, seed: int) -> Examples:
    """Select one ratio for every example of a mixture, by the seed; all ratios are equally frequent."""
    if examples.images.ndim == 4:
        return examples
    ratios = np.random.default_rng([seed]).permutation(len(examples)) % examples.images.shape[1]
    return replace(examples, images=examples.images[np.arange(len(examples)), ratios])


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the examples in one epoch: a permutation that depends only on seed and epoch.

    So training can be resumed without stored state; a shuffle buffer would need it.

    Returns
    -------
    int64 [count]
    """
    return np.random.default_rng([seed, epoch]).permutation(count)


def epoch_ratios(count: int, ratios: int, seed: int, epoch: int) -> np.ndarray:
    """Draw the index of each example's ratio in one epoch of a mixture; it depends only on seed and epoch.

    Returns
    -------
    int64 [count], 0 … ratios − 1
    """
    return np.random.default_rng([seed, epoch, 1]).integers(ratios, size=count)


def batches(
    examples: Examples,
    weights: np.ndarray,
    batch_size: int,
    seed: int,
    steps: range,
    rows: range | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the batches of a range of steps, prefetched by tf.data.

    Parameters
    ----------
    examples : Examples
    weights : float32 [n]
        Weight of each example, above 0.
    batch_size : int
        Rows of every batch. The last one of an epoch has padding rows of weight 0.
    seed : int
    steps : range
        Steps counted from the start of the first epoch; any of them can be the first.
    rows : range or None
        The rows of each batch that this process needs, all by default. Rows from `batch_size` on are padding.

    Yields
    ------
    dict
        "image" uint16 [rows, rows, columns, 1], "target" float32 and "weight" float32 [rows].
    """
    if not len(steps):
        return
    _set_up_tensorflow()
    import tensorflow as tf

    images = examples.images if examples.images.ndim == 5 else examples.images[:, None]
    row_indices = _row_indices(len(images), images.shape[1], batch_size, seed, steps, rows or range(batch_size))
    with tf.device("CPU"):
        pixels, targets = tf.constant(images), tf.constant(examples.targets, tf.float32)
        row_weights = tf.constant(weights, tf.float32)

        def gather(indices: Any) -> dict[str, Any]:
            valid = tf.maximum(indices, 0)
            weight = tf.where(indices[:, 0] >= 0, tf.gather(row_weights, valid[:, 0]), 0.0)
            return {"image": tf.gather_nd(pixels, valid), "target": tf.gather(targets, valid[:, 0]), "weight": weight}

        dataset = tf.data.Dataset.from_tensor_slices(row_indices)
        options = tf.data.Options()
        options.deterministic = True
        options.threading.private_threadpool_size = 1  # gathering is cheap, the cores belong to the training step
        dataset = dataset.map(gather).prefetch(2).with_options(options)
    yield from dataset.as_numpy_iterator()


def _row_indices(count: int, ratios: int, batch_size: int, seed: int, steps: range, rows: range) -> np.ndarray:
    """Return the indices of example and ratio for the rows of each step, −1 for padding: int64 [steps, rows, 2]."""
    per_epoch = steps_per_epoch(count, batch_size)
    indices = np.full((len(steps), max(rows.stop, batch_size), 2), -1)
    for epoch in range(steps.start // per_epoch, -(-steps.stop // per_epoch)):
        order = epoch_order(count, seed, epoch)
        pairs = np.full((per_epoch * batch_size, 2), -1)
        pairs[:count, 0] = order
        pairs[:count, 1] = epoch_ratios(count, ratios, seed, epoch)[order]
        first = epoch * per_epoch - steps.start
        start, stop = max(0, first), min(len(steps), first + per_epoch)
        indices[start:stop, :batch_size] = pairs.reshape(per_epoch, batch_size, 2)[start - first : stop - first]
    return indices[:, rows.start : rows.stop]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of batches in an epoch."""
    return -(-count // batch_size)


def _set_up_tensorflow() -> None:
    """Suppress TensorFlow's start-up messages, and hide the GPUs from it, which JAX uses."""
    quiet_tensorflow()
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
