"""The input pipeline: from TFDS parts to sorted arrays, and from arrays to batches with every example once."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from synthetic_examples import blobs

from mammo_jax.dataset.input_pipeline import (
    Examples,
    batches,
    epoch_order,
    mix,
    one_ratio_each,
    read_examples,
    steps_per_epoch,
)
from mammo_jax.dataset.parts import DatasetError
from mammo_jax.ratios import split_name


def write_part(directory, examples: Examples, ratios=(1.0, 15.0), *, laterality=True):
    """Write examples in the format of the study's datasets; ratio 15 is the complement of ratio 1."""
    shape = examples.images.shape[1:]
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
            **({"laterality": tfds.features.Text()} if laterality else {}),
            "codestream_bytes": np.int64,
            "psnr": np.float32,
        }
    )
    directory.mkdir()
    identity = tfds.core.DatasetIdentity(
        name="mammograms", version=tfds.core.Version("1.0.0"), data_dir=str(directory), module_name=""
    )
    writer = tfds.core.SequentialWriter(tfds.core.DatasetInfo(builder=identity, features=features), 1 << 20)
    splits = [split_name(ratio) for ratio in ratios]
    writer.initialize_splits(splits)
    for i in range(len(examples)):
        record = {
            "mask": np.full(shape, 255 * (examples.targets[i] == 1), np.uint8),
            "breast": np.full(shape, 255 * (i % 2), np.uint8),
            "label": examples.labels[i],
            "target": examples.targets[i],
            "fold": examples.folds[i],
            "image_id": str(examples.image_ids[i]),
            "patient_id": str(examples.patient_ids[i]),
            "codestream_bytes": 1,
            **({"laterality": str(examples.lateralities[i])} if laterality else {}),
            "psnr": np.float32(np.inf),
        }
        for split in splits:
            image = examples.images[i] if split == "ratio_1" else 65535 - examples.images[i]
            writer.add_examples({split: [{**record, "image": image}]})
    writer.close_all()
    return directory


@pytest.fixture(scope="module")
def examples():
    return blobs(12, size=(8, 10))


@pytest.fixture(scope="module")
def parts(examples, tmp_path_factory):
    """Two parts; the second one is in reverse order and has the smallest image ids."""
    root = tmp_path_factory.mktemp("dataset")
    return [
        write_part(root / "a", examples.take(np.arange(5, 12))),
        write_part(root / "b", examples.take(np.arange(5)[::-1])),
    ]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_parts_are_read_in_the_order_of_image_ids(parts, examples, order):
    read = read_examples(parts[order], 1)
    for name in ("images", "targets", "labels", "folds", "image_ids", "patient_ids", "lateralities"):
        np.testing.assert_array_equal(getattr(read, name), getattr(examples, name))
    assert read.images.dtype == np.uint16
    assert read.ratio == "1"
    assert read.masks is None
    assert read.breasts is None


def test_a_ratio_has_its_own_images_and_masks_are_read_when_asked_for(parts, examples):
    read = read_examples(parts, 15.0, masks=True)
    np.testing.assert_array_equal(read.images, 65535 - examples.images)
    assert read.ratio == "15"
    np.testing.assert_array_equal(read.masks[:, 0, 0, 0], 255 * examples.targets)
    assert read.breasts.shape == read.images.shape
    assert set(np.unique(read.breasts)) == {0, 255}


def test_a_dataset_of_before_lateralities_is_read_without_them(examples, tmp_path):
    old = write_part(tmp_path / "old", examples, laterality=False)
    read = read_examples([old], 1)
    assert read.lateralities is None
    np.testing.assert_array_equal(read.patient_ids, examples.patient_ids)


def test_what_is_missing_is_named(parts, tmp_path):
    with pytest.raises(DatasetError, match=r"no split 'ratio_20'; it has ratio_1, ratio_15: prepare the ratio"):
        read_examples(parts, 20)
    with pytest.raises(DatasetError, match="gone: there is no dataset; run the job that prepares it first"):
        read_examples([tmp_path / "gone"], 1)
    with pytest.raises(DatasetError, match="no folder given"):
        read_examples([], 1)


def test_an_image_that_occurs_twice_is_named(parts, examples, tmp_path):
    again = write_part(tmp_path / "c", examples.take(np.array([7])))
    with pytest.raises(DatasetError, match="image 'image0007' occurs twice at ratio 1;"):
        read_examples([*parts, again], 1)


def test_the_fingerprint_follows_every_part_that_training_depends_on(examples):
    brighter, other_target = examples.images.copy(), examples.targets.copy()
    brighter[3, 2, 1] += 1
    other_target[0] = 1 - other_target[0]
    changes = {"images": brighter, "targets": other_target, "patient_ids": examples.patient_ids[::-1], "ratio": "15"}
    values = {name: getattr(examples, name) for name in Examples.__dataclass_fields__}
    fingerprints = {Examples(**{**values, name: value}).fingerprint() for name, value in changes.items()}
    assert examples.fingerprint() == Examples(**values).fingerprint()
    assert len(fingerprints | {examples.fingerprint()}) == 5


def test_an_epoch_has_every_example_once_in_batches_of_one_shape(examples):
    weights = np.linspace(1, 2, 12).astype(np.float32)
    two_epochs = list(batches(examples, weights, 5, seed=3, steps=range(6)))
    assert len(two_epochs) == 2 * steps_per_epoch(12, 5) == 6
    assert {batch["image"].shape for batch in two_epochs} == {(5, 8, 10, 1)}
    for epoch in (two_epochs[:3], two_epochs[3:]):
        joined = {key: np.concatenate([batch[key] for batch in epoch]) for key in epoch[0]}
        np.testing.assert_array_equal(joined["weight"] > 0, np.arange(15) < 12)
        order = np.argsort(joined["weight"][:12])
        np.testing.assert_array_equal(joined["image"][order], examples.images)
        np.testing.assert_array_equal(joined["target"][order], examples.targets)
        np.testing.assert_array_equal(joined["weight"][order], weights)


@pytest.mark.parametrize("first", [0, 1, 3, 7, 11])
def test_any_step_can_be_the_first(examples, first):
    weights = np.ones(12, np.float32)
    whole = list(batches(examples, weights, 5, seed=3, steps=range(12)))
    resumed = list(batches(examples, weights, 5, seed=3, steps=range(first, 12)))
    for a, b in zip(whole[first:], resumed, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    assert not list(batches(examples, weights, 4, seed=3, steps=range(4, 4)))


def test_processes_share_a_batch_without_overlap(examples):
    weights = np.ones(12, np.float32)
    (whole,) = batches(examples, weights, 5, seed=3, steps=range(1, 2))
    parts = [next(batches(examples, weights, 5, 3, range(1, 2), rows)) for rows in (range(3), range(3, 6))]
    for name, values in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(joined[:5], values)
    assert [part["weight"].tolist() for part in parts] == [[1, 1, 1], [1, 1, 0]]


def test_a_mixture_shows_each_example_at_a_ratio_that_seed_and_epoch_draw(examples):
    mixture = mix(replace(examples, ratio=str(i), images=examples.images // (i + 1)) for i in range(3))
    assert mixture.ratio == "mixed"
    weights = np.ones(12, np.float32)
    ratios = []
    for epoch in range(30):
        epoch_batches = list(batches(mixture, weights, 5, seed=1, steps=range(3 * epoch, 3 * epoch + 3)))
        images = np.concatenate([batch["image"] for batch in epoch_batches])[:12]
        order = epoch_order(12, 1, epoch)
        equal = np.stack([(images == examples.images[order] // (i + 1)).all((1, 2, 3)) for i in range(3)])
        np.testing.assert_array_equal(equal.sum(0), 1)
        ratios.append(equal.argmax(0)[np.argsort(order)])
    counts = np.bincount(np.ravel(ratios), minlength=3)
    assert (abs(counts - 120) < 40).all()
    assert (np.ptp(ratios, axis=0) == 2).all(), "every example is used at every ratio"


def test_a_mixture_validates_at_one_ratio_each(examples):
    mixture = mix([examples, replace(examples, images=examples.images // 2)])
    fixed = one_ratio_each(mixture, seed=4)
    halved = (fixed.images == examples.images // 2).all((1, 2, 3))
    assert halved.sum() == 6
    np.testing.assert_array_equal(fixed.images[~halved], examples.images[~halved])
    assert one_ratio_each(examples, seed=4) is examples


def test_ratios_with_different_examples_are_not_mixed(examples):
    with pytest.raises(DatasetError, match="ratios 1 and 15 have different examples"):
        mix([examples, replace(examples.take(np.arange(11)), ratio="15")])


def test_the_order_depends_on_seed_and_epoch():
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)
    np.testing.assert_array_equal(epoch_order(50, 1, 2), epoch_order(50, 1, 2))
