"""Checkpoints: written by Orbax, there whole or not at all, and verified by hashes when they are loaded.

Orbax restores a flipped bit in a data file without an error, so a checkpoint has the SHA-256 of each of its files, and
that of all arrays and the metadata, which names the network where another one starts from it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from mammo_jax.checksums import find_damage, write_checksums
from mammo_jax.errors import UserError
from mammo_jax.files import atomic_directory

HASH = "sha256"
_METADATA = "metadata/metadata"


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the folder and what to do."""


def save_checkpoint(directory: Path | str, arrays: Any, metadata: dict[str, Any]) -> None:
    """Write a checkpoint atomically: the folder appears with all its content or not at all.

    Parameters
    ----------
    directory : path
        Must not exist.
    arrays : nested dicts of NumPy arrays
        See `flax.serialization.to_state_dict` for other trees.
    metadata : dict
        JSON-serialisable; the key "sha256" is added.
    """
    metadata = {**metadata, HASH: content_hash(arrays, metadata)}
    with atomic_directory(Path(directory).absolute()) as temporary:
        with _checkpointer() as checkpointer:
            checkpointer.save(
                temporary,
                args=ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), metadata=ocp.args.JsonSave(metadata)),
                force=True,  # into the folder that is there, empty
            )
        write_checksums(temporary)


def load_checkpoint(directory: Path | str) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint and verify its hash.

    Returns
    -------
    arrays : nested dicts of NumPy arrays
    metadata : dict

    Raises
    ------
    CheckpointError
        If the folder is missing or unreadable, or its content has changed since it was written.
    """
    path = Path(directory).absolute()
    if not path.is_dir():
        raise CheckpointError(f"{directory}: there is no checkpoint; train the model first")
    if damage := find_damage(path):
        raise CheckpointError(f"{damage}; {_remove(directory)}")
    try:
        with _checkpointer() as checkpointer:
            restored = checkpointer.restore(
                path, args=ocp.args.Composite(arrays=ocp.args.PyTreeRestore(), metadata=ocp.args.JsonRestore())
            )
        arrays, metadata = restored.arrays, restored.metadata
        intact = metadata[HASH] == content_hash(arrays, metadata)
    except Exception as error:  # Orbax and TensorStore raise many different errors for a damaged file
        raise CheckpointError(f"{directory}: unreadable ({str(error)[:200]}); {_remove(directory)}") from error
    if not intact:
        raise CheckpointError(f"{directory}: the content has changed (its SHA-256 differs); {_remove(directory)}")
    return arrays, metadata


def _remove(directory: Path | str) -> str:
    return f"the disk may be failing: remove {directory} and run again, the model will be trained again"


def read_metadata(directory: Path | str) -> dict[str, Any]:
    """Read only a checkpoint's metadata, which is fast; only these are compared with their hash.

    Raises
    ------
    CheckpointError
        If the metadata is missing or unreadable, or has changed since it was written.
    """
    path = Path(directory) / _METADATA
    if damage := find_damage(Path(directory), lambda name: name == _METADATA):
        raise CheckpointError(f"{damage}; {_remove(directory)}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory}: unreadable metadata ({error}); {_remove(directory)}") from error


def content_hash(arrays: Any, metadata: dict[str, Any]) -> str:
    """Return the SHA-256 of every array (path, type, shape, bytes, sorted by path) and of the metadata without hash."""
    digest = hashlib.sha256()
    leaves = {
        jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(arrays)
    }
    for path in sorted(leaves):
        leaf = leaves[path]
        digest.update(f"{path} {leaf.dtype.str} {leaf.shape} ".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    rest = {key: value for key, value in metadata.items() if key != HASH}
    digest.update(json.dumps(rest, sort_keys=True, allow_nan=False).encode())
    return digest.hexdigest()


class ProgressCheckpoints:
    """The checkpoints of an unfinished training, each in a folder named by its step; only the newest one is kept.

    Parameters
    ----------
    directory : path
    """

    def __init__(self, directory: Path | str):
        self.directory = Path(directory)

    def save(self, step: int, arrays: Any, metadata: dict[str, Any]) -> None:
        """Write the state after `step` steps, then remove older checkpoints."""
        older = list(self._finished())
        save_checkpoint(self.directory / str(step), arrays, metadata)
        for path in older:
            shutil.rmtree(path)

    def load(self) -> tuple[Any, dict[str, Any]] | None:
        """Return the newest checkpoint's arrays and metadata, or None; an interrupted save is ignored."""
        finished = list(self._finished())
        return load_checkpoint(finished[-1]) if finished else None

    def remove(self) -> None:
        """Remove all checkpoints, also incomplete ones."""
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def _finished(self) -> Iterator[Path]:
        # Orbax renames a folder to its final name, here the number of the step, only when it is complete.
        paths = self.directory.iterdir() if self.directory.is_dir() else ()
        yield from sorted((path for path in paths if path.name.isdecimal()), key=lambda path: int(path.name))


@contextmanager
def _checkpointer() -> Iterator[ocp.Checkpointer]:
    # Each process reads and writes by itself: of several processes only one calls save.
    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(), active_processes={jax.process_index()}, barrier_sync_key_prefix="alone"
    )
    handler = ocp.CompositeCheckpointHandler(composite_options=ocp.CompositeOptions(multiprocessing_options=alone))
    checkpointer = ocp.Checkpointer(handler, multiprocessing_options=alone)
    try:
        yield checkpointer
    finally:
        checkpointer.close()
