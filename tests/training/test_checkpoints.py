"""Checkpoints: a round trip, and flipped bits that are always detected."""

import jax
import numpy as np
import pytest

from mammo_jax.training.checkpoints import (
    CheckpointError,
    ProgressCheckpoints,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)


def arrays(value=1.0):
    random = np.random.default_rng(0)
    return {
        "params": {"kernel": random.normal(size=(3, 4)).astype(np.float32), "bias": np.full(4, value, np.float32)},
        "count": np.array(7, np.int32),
        "empty": {},
    }


def assert_same(read, written):
    jax.tree.map(np.testing.assert_array_equal, read, written)
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.dtype, b.dtype), read, written)


def test_round_trip(tmp_path):
    save_checkpoint(tmp_path / "model", arrays(), {"fold": 2, "history": [{"loss": 0.5}]})
    read, metadata = load_checkpoint(tmp_path / "model")
    assert_same(read, arrays())
    assert metadata == {"fold": 2, "history": [{"loss": 0.5}], "sha256": metadata["sha256"]}
    assert read_metadata(tmp_path / "model") == metadata
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("old", ['"fold": 2', '"kernel"'])
def test_a_checkpoint_of_an_older_version_has_one_hash_of_its_content(old, tmp_path):
    save_checkpoint(tmp_path / "model", arrays(), {"fold": 2, "kernel": 0})
    (tmp_path / "model" / "SHA256SUMS").unlink()
    path = tmp_path / "model" / "metadata" / "metadata"
    text = path.read_text()
    path.write_text(text.replace(old, old.replace("2", "3").replace("kernel", "Kernel")))
    with pytest.raises(CheckpointError, match=r"model: the content has changed \(its SHA-256 differs\)"):
        load_checkpoint(tmp_path / "model")
    path.write_text(text)
    assert_same(load_checkpoint(tmp_path / "model")[0], arrays())


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: there is no checkpoint; train the model first"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="nowhere: unreadable metadata"):
        read_metadata(tmp_path / "nowhere")


def test_progress_keeps_the_newest_checkpoint_and_ignores_an_interrupted_save(tmp_path):
    progress = ProgressCheckpoints(tmp_path / "progress")
    assert progress.load() is None
    for epoch in (9, 10):
        progress.save(epoch, arrays(epoch), {"epoch": epoch})
    (tmp_path / "progress" / "11.orbax-checkpoint-tmp").mkdir()
    read, metadata = progress.load()
    assert metadata["epoch"] == 10
    assert_same(read, arrays(10))
    assert {path.name for path in (tmp_path / "progress").iterdir()} == {"10", "11.orbax-checkpoint-tmp"}
    progress.remove()
    assert not (tmp_path / "progress").exists()
    progress.remove()
