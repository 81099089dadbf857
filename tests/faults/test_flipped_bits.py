"""One flipped bit in any file of a checkpoint or of a dataset's part is found, and the message names the file."""

import os
import random
import re

import numpy as np
import pytest

from mammo_jax.checksums import find_damage, write_checksums
from mammo_jax.dataset import writing
from mammo_jax.dataset.input_pipeline import read_examples
from mammo_jax.dataset.parts import DatasetError
from mammo_jax.dataset.units import UnitConfig
from mammo_jax.run_folder import RunFolder
from mammo_jax.sources.phantom import Phantom
from mammo_jax.training.checkpoints import CheckpointError, load_checkpoint, read_metadata, save_checkpoint

FLIPS = 200


def flipped_bits(folder, seed):
    """Flip one bit after the other, anywhere in the folder's files, and yield the file while its bit is flipped."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    draw = random.Random(seed)
    for path in [*filter(os.path.getsize, files), *draw.choices(files, sizes, k=FLIPS)][
        :FLIPS
    ]:  # every file at least once
        whole = path.read_bytes()
        place, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        yield path
        path.write_bytes(whole)


def test_in_a_checkpoint(tmp_path):
    arrays = {"kernel": np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), "count": np.array(7)}
    model = tmp_path / "model"
    save_checkpoint(model, arrays, {"fold": 2, "history": [0.5] * 1000})
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
    found, in_metadata = 0, 0
    for path in flipped_bits(model, seed=1):
        with pytest.raises(CheckpointError, match=rf"disk may be failing: remove {model} and run again") as caught:
            load_checkpoint(model)
        found += str(path) in str(caught.value) or "SHA256SUMS" in path.name
        if path.match("metadata/metadata"):
            in_metadata += 1
            with pytest.raises(CheckpointError, match=r"metadata/metadata has changed since it was written"):
                read_metadata(model)
    assert found == FLIPS
    assert in_metadata > 5
    np.testing.assert_array_equal(load_checkpoint(model)[0]["kernel"], arrays["kernel"])


@pytest.fixture
def dataset(tmp_path, without_processes):
    source = Phantom(images=8, seed=0, rows=416, columns=320, pixel_pitch=0.56, contrast=1.0)
    units = UnitConfig(target="lesion", input_rows=32, input_columns=32)
    folds = dict.fromkeys(source.patients(), 0)
    plan = writing.DatasetPlan(source, (15.0,), "mammo_jax", units, folds, {}, (), RunFolder(tmp_path))
    writing.write_dataset(plan, 1)
    return plan


def test_in_a_part_of_a_dataset(dataset):
    part = dataset.run.dataset_part(0).path
    found = {"ratio_1": 0, "ratio_15": 0, "tables": 0, "other": 0}
    for path in flipped_bits(part, seed=2):
        kind = next((kind for kind in found if re.search(rf"\b{kind}\b|-{kind}\.", path.name)), "other")
        with pytest.raises(
            DatasetError, match=rf"remove the whole folder {dataset.run.dataset} and run again"
        ) as caught:
            read_examples([part], 15.0 if kind == "ratio_15" else 1.0)
        found[kind] += str(path) in str(caught.value) or "SHA256SUMS" in path.name
        if kind in ("tables", "other"):
            with pytest.raises(DatasetError, match=r"has changed since|is missing"):
                writing.write_dataset(dataset, 1)
    assert sum(found.values()) == FLIPS
    assert min(found.values()) > 0
    assert len(read_examples([part], 15.0)) == len(read_examples([part], 1.0)) == 8


def test_a_lost_file_is_named_and_what_has_no_hashes_is_read(dataset):
    part = dataset.run.dataset_part(0).path
    (shard,) = part.glob("*ratio_15.tfrecord*")
    shard.rename(shard.with_name("elsewhere"))
    with pytest.raises(DatasetError, match=rf"{shard} is missing"):
        read_examples([part], 15.0)
    shard.with_name("elsewhere").rename(shard)
    (part / "SHA256SUMS").unlink()
    assert len(read_examples([part], 15.0)) == 8


def test_files_that_others_put_there_are_no_damage(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    write_checksums(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert find_damage(tmp_path) is None
    (tmp_path / "a").unlink()
    assert find_damage(tmp_path) == f"{tmp_path / 'a'} is missing"
