"""From the TFDS dataset to NumPy arrays, and from those to batches. TensorFlow is imported here, when it is needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mammo_jax.errors import UserError
from mammo_jax.ratios import MIXED, ratio_text, split_name

MASKS = ("mask", "breast")


class DatasetError(UserError):
    """A dataset that cannot be read; the message names the folder and the way out."""


@dataclass(frozen=True)
class Examples:
    """All examples of one ratio, or of several ones mixed, in the order of their image ids.

    Attributes
    ----------
    ratio : str
        The ratio as predictions tables write it: "1", "15", …, "mixed".
    images : uint16 [n, rows, columns, 1], or [n, ratios, rows, columns, 1] where they are mixed
        Grey levels scaled to 0 … 65535.
    targets : int64 [n]
        0 or 1, what is learnt.
    labels : int64 [n]
        0 normal, 1 benign, 2 malignant.
    folds : int64 [n]
    image_ids, patient_ids : str arrays [n]
    masks, breasts : uint8 [n, rows, columns, 1] or None
        255 inside a lesion that is a positive of the study's question, and inside the breast, if asked for.
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

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: np.ndarray) -> Examples:
        """Return the examples at `indices`."""
        arrays = ("images", "targets", "labels", "folds", "image_ids", "patient_ids", "masks", "breasts")
        taken = {name: getattr(self, name)[indices] for name in arrays if getattr(self, name) is not None}
        return replace(self, **taken)

    def fingerprint(self) -> str:
        """SHA-256 over everything that training depends on, in hexadecimal."""
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
        Read the lesion and breast masks as well.

    Returns
    -------
    `Examples`
        Sorted by image id, so that the order does not depend on the parts.

    Raises
    ------
    DatasetError
        If a folder holds no dataset, the ratio or the masks are not in it, or an image id comes twice.
    """
    _quiet_tensorflow()
    import tensorflow_datasets as tfds

    missing = [path for path in map(Path, dataset_dirs) if not (path / "dataset_info.json").is_file()]
    if missing or not dataset_dirs:
        where = missing[0] if missing else "no folder given"
        raise DatasetError(f"{where}: there is no dataset; run the job that prepares it first")
    builder = tfds.builder_from_directories([str(path) for path in dataset_dirs])
    split = split_name(ratio)
    if split not in builder.info.splits:
        known = ", ".join(sorted(builder.info.splits, key=lambda name: (len(name), name)))  # they come from a set
        raise DatasetError(f"{dataset_dirs[0]}: no split {split!r}; it has {known}: prepare the ratio or leave it out")
    if masks and not set(MASKS) <= set(builder.info.features):
        raise DatasetError(f"{dataset_dirs[0]}: no breast masks in it; remove the dataset and prepare it anew")
    skipped = {"codestream_bytes", "psnr", *(() if masks else MASKS)} & set(builder.info.features)
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, decoders={name: tfds.decode.SkipDecoding() for name in skipped}
    )
    return _collect(dataset.batch(64).prefetch(2).as_numpy_iterator(), ratio, masks, str(dataset_dirs[0]))


def _collect(chunks: Iterable[dict[str, Any]], ratio: float, masks: bool, name: str) -> Examples:
    """Put the chunks of all parts together, in the order of their image ids."""
    wanted = ["image", "target", "label", "fold", "image_id", "patient_id"] + (list(MASKS) if masks else [])
    columns: dict[str, list] = {key: [] for key in wanted}
    for chunk in chunks:
        for key in wanted:
            columns[key].append(chunk[key])
    if not columns["image"]:
        raise DatasetError(f"{name}: ratio {ratio_text(ratio)} has no examples; prepare the dataset anew")
    joined = {key: np.concatenate(values) for key, values in columns.items()}
    image_ids, patient_ids = (np.char.decode(joined[key].astype(bytes)) for key in ("image_id", "patient_id"))
    order = np.argsort(image_ids, kind="stable")
    twice = image_ids[order][1:] == image_ids[order][:-1]
    if twice.any():
        raise DatasetError(
            f"{name}: image {str(image_ids[order][1:][twice][0])!r} is there twice at ratio {ratio_text(ratio)};"
            " give each part of the dataset once"
        )
    return Examples(
        ratio=ratio_text(ratio),
        images=joined["image"][order],
        targets=joined["target"][order],
        labels=joined["label"][order],
        folds=joined["fold"][order],
        image_ids=image_ids[order],
        patient_ids=patient_ids[order],
        masks=joined["mask"][order] if masks else None,
        breasts=joined["breast"][order] if masks else None,
    )


def mix(parts: Iterable[Examples]) -> Examples:
    """Put the same examples at several ratios together, for training on all of them.

    Raises
    ------
    DatasetError
        If the ratios don't hold the same examples.
    """
    parts = list(parts)
    first = parts[0]
    for part in parts[1:]:
        same = all(
            np.array_equal(getattr(part, name), getattr(first, name)) for name in ("image_ids", "targets", "folds")
        )
        if not same:
            raise DatasetError(
                f"ratios {first.ratio} and {part.ratio} hold different examples; prepare all ratios in one run"
            )
    return replace(first, ratio=MIXED, images=np.stack([part.images for part in parts], axis=1))


def one_ratio_each(examples: Examples, seed: int) -> Examples:
    """Keep every example of a mixture at one ratio that the seed decides, all ratios equally often."""
    if examples.images.ndim == 4:
        return examples
    ratios = np.random.default_rng([seed]).permutation(len(examples)) % examples.images.shape[1]
    return replace(examples, images=examples.images[np.arange(len(examples)), ratios])


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Order of the examples in one epoch: a permutation that (seed, epoch) alone decide.

    Nothing has to be remembered to go on after an interruption, which a shuffle buffer would need.

    Returns
    -------
    int64 [count]
    """
    return np.random.default_rng([seed, epoch]).permutation(count)


def epoch_ratios(count: int, ratios: int, seed: int, epoch: int) -> np.ndarray:
    """Number of the ratio at which each example of a mixture is seen in one epoch; (seed, epoch) alone decide.

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
    """Yield the batches of some steps, prepared ahead by tf.data.

    Parameters
    ----------
    examples : Examples
    weights : float32 [n]
        Weight of each example, above 0.
    batch_size : int
        Rows of every batch. The last one of an epoch is filled up with rows of weight 0.
    seed : int
    steps : range
        Steps counted from the start of the first epoch; any of them can be the first.
    rows : range or None
        Which rows of each batch this process wants, all by default. Those from `batch_size` up get weight 0.

    Yields
    ------
    dict
        "image" uint16 [rows, rows, columns, 1], "target" float32 and "weight" float32 [rows].
    """
    if not len(steps):
        return
    _quiet_tensorflow()
    import tensorflow as tf

    images = examples.images if examples.images.ndim == 5 else examples.images[:, None]
    chosen = _chosen_rows(len(images), images.shape[1], batch_size, seed, steps, rows or range(batch_size))
    with tf.device("CPU"):
        kept, targets = tf.constant(images), tf.constant(examples.targets, tf.float32)
        row_weights = tf.constant(weights, tf.float32)

        def gather(indices: Any) -> dict[str, Any]:
            places = tf.maximum(indices, 0)
            weight = tf.where(indices[:, 0] >= 0, tf.gather(row_weights, places[:, 0]), 0.0)
            return {"image": tf.gather_nd(kept, places), "target": tf.gather(targets, places[:, 0]), "weight": weight}

        dataset = tf.data.Dataset.from_tensor_slices(chosen)
        options = tf.data.Options()
        options.deterministic = True
        options.threading.private_threadpool_size = 1  # gathering is cheap, the cores belong to the training step
        dataset = dataset.map(gather).prefetch(2).with_options(options)
    yield from dataset.as_numpy_iterator()


def _chosen_rows(count: int, ratios: int, batch_size: int, seed: int, steps: range, rows: range) -> np.ndarray:
    """Example and ratio of every wanted row of every step, −1 where there is none: int64 [steps, rows, 2]."""
    per_epoch = steps_per_epoch(count, batch_size)
    chosen = np.full((len(steps), max(rows.stop, batch_size), 2), -1)
    for epoch in range(steps.start // per_epoch, -(-steps.stop // per_epoch)):
        order = epoch_order(count, seed, epoch)
        pairs = np.full((per_epoch * batch_size, 2), -1)
        pairs[:count, 0] = order
        pairs[:count, 1] = epoch_ratios(count, ratios, seed, epoch)[order]
        first = epoch * per_epoch - steps.start
        here = slice(max(0, first), min(len(steps), first + per_epoch))
        chosen[here, :batch_size] = pairs.reshape(per_epoch, batch_size, 2)[here.start - first : here.stop - first]
    return chosen[:, rows.start : rows.stop]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches that it takes to see every example once."""
    return -(-count // batch_size)


def _quiet_tensorflow() -> None:
    """Keep TensorFlow's start-up messages off the terminal, and its hands off a GPU that JAX uses."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # announces itself otherwise; nothing here would use it
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
