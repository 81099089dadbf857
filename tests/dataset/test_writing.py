"""What one image adds to the dataset and its audit, when another codec than ours compresses it."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_jax.dataset import writing as dataset
from mammo_jax.dataset.units import UnitConfig, lay_out
from mammo_jax.preprocess import breast_mask
from mammo_jax.processes import WorkerError
from mammo_jax.run_folder import RunFolder
from mammo_jax.sources import Lesion, Mammogram
from mammo_jax.sources.phantom import Phantom


def test_the_audit_of_another_codec_names_it_and_holds_its_sizes():
    source = Phantom(images=8, seed=0, rows=416, columns=320, pixel_pitch=0.56, contrast=1.0)
    plan = dataset.DatasetPlan(
        source=source,
        ratios=(8.0, 60.0),
        codec="htj2k",
        units=UnitConfig(target="lesion", input_rows=32, input_columns=32),
        folds=dict.fromkeys(source.patients(), 0),
        normal_sites={},
        examples=(),
        run=RunFolder(Path("never written")),
    )
    done = [dataset._process(plan, source[index], is_example=False) for index in range(8)]
    audit = pd.DataFrame([row for _, rows, _ in done for row in rows])
    assert len(audit) == 8 * 2
    assert audit["codec"].str.startswith("HTJ2K (openjph").all()
    assert (audit["codestream_bytes"] <= audit["target_bytes"]).all()
    assert (audit["codestream_bytes"] > 0.9 * audit["target_bytes"]).mean() > 0.9
    assert (audit["ratio_allocated"] >= audit["ratio"]).all()
    by_ratio = audit.groupby("ratio")["psnr_breast"].median()
    assert by_ratio[8] > by_ratio[60] > 20
    for index, (records, _, facts) in enumerate(done):
        assert {record["laterality"] for record in records["ratio_8"]} <= {source[index].laterality} <= {"L", "R"}
        assert set(records) == {"ratio_1", "ratio_8", "ratio_60"}
        assert [fact["image_id"] for fact in facts] == [record["image_id"] for record in records["ratio_1"]]
        assert len(records["ratio_8"]) == len(records["ratio_1"])


@pytest.mark.parametrize(("target", "marked"), [("malignant", [0]), ("abnormal", [0, 1])])
def test_the_mask_holds_only_lesions_that_are_positive_for_the_target(target, marked):
    pixels = np.zeros((160, 128), np.uint16)
    pixels[10:150, :80] = np.random.default_rng(0).integers(2000, 3000, (140, 80))
    lesions = (Lesion(50.0, 30.0, 8.0, "malignant"), Lesion(100.0, 40.0, 8.0, "benign"))
    mammogram = Mammogram(pixels, 12, "a", "a", "malignant", 0.1, lesions=lesions)
    units = UnitConfig(unit="whole", target=target, input_rows=160, input_columns=128)
    plan = dataset.DatasetPlan(None, (), "mammo_jax", units, {"a": 0}, {}, (), RunFolder(Path("never written")))
    records, _, _ = dataset._process(plan, mammogram, is_example=False)
    (unit,) = lay_out(mammogram, breast_mask(pixels), units)
    cut = [unit.record_mask(lesion.filled(pixels.shape)) for lesion in lesions]
    assert all(mask.any() for mask in cut)
    expected = np.maximum.reduce([cut[number] for number in marked])
    np.testing.assert_array_equal(records["ratio_1"][0]["mask"][..., 0], expected)


class Fatal(Phantom):
    """Ends the process that reads it, as the system does where memory runs out."""

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_clear_error(tmp_path):
    source = Fatal(images=8, rows=416, columns=320, pixel_pitch=0.56)
    plan = dataset.DatasetPlan(source, (8.0,), "mammo_jax", UnitConfig(), {}, {}, (), RunFolder(tmp_path))
    with pytest.raises(WorkerError, match="lack of memory; run again with fewer --workers"):
        dataset.write_dataset(plan, workers=1)


def test_records_are_the_same_bytes_in_every_process(tmp_path, without_processes):
    """Protocol buffers write maps in an order that each process draws, unless they are asked for the names' order."""
    import tensorflow as tf

    source = Phantom(images=8, seed=0, rows=416, columns=320, pixel_pitch=0.56, contrast=1.0)
    folds = dict.fromkeys(source.patients(), 0)
    units = UnitConfig(target="lesion", input_rows=32, input_columns=32)
    plan = dataset.DatasetPlan(source, (), "mammo_jax", units, folds, {}, (), RunFolder(tmp_path))
    dataset.write_dataset(plan, 1)
    (shard,) = plan.run.dataset_part(0).path.glob("*.tfrecord*")
    records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())
    assert len(records) >= 8
    for record in records:
        assert tf.train.Example.FromString(record).SerializeToString(deterministic=True) == record
