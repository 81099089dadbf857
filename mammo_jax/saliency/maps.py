"""Map files: one per fold and ratio, with the maps of all methods in half precision and with a scale, no pickle."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.files import atomic_path


@dataclass(frozen=True)
class MapFile:
    """The content of a map file.

    Attributes
    ----------
    image_ids : str array [n]
    images : uint16 [n, rows, columns]
    lesions : bool [n, rows, columns]
    maps : dict
        Method → float32 [n, rows, columns].
    """

    image_ids: np.ndarray
    images: np.ndarray
    lesions: np.ndarray
    maps: dict[str, np.ndarray]


def save_maps(path: Path, examples: Examples, maps: Mapping[str, np.ndarray]) -> None:
    """Write maps with their images and lesions as NumPy .npz, atomically.

    Besides "image_ids", "images" and "lesions", each method has two arrays: "METHOD" float16 [n, rows, columns],
    between −1 and 1, and "METHOD_scale" float32 [n], the factor to multiply it with.
    """
    assert examples.masks is not None
    arrays = {
        "image_ids": np.asarray(examples.image_ids, np.str_),
        "images": examples.images[..., 0],
        "lesions": examples.masks[..., 0] > 0,
    }
    for method, values in maps.items():
        scale = np.maximum(np.abs(values).max((1, 2)), np.finfo(np.float32).tiny).astype(np.float32)
        arrays[method] = (values / scale[:, None, None]).astype(np.float16)
        arrays[f"{method}_scale"] = scale
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def load_maps(path: Path, only: Collection[str] | None = None) -> MapFile:
    """Read a map file, without pickle: all methods, or only some."""
    with np.load(path, allow_pickle=False) as stored:
        methods = [name.removesuffix("_scale") for name in stored.files if name.endswith("_scale")]
        methods = [method for method in methods if only is None or method in only]
        maps = {
            method: stored[method].astype(np.float32) * stored[f"{method}_scale"][:, None, None] for method in methods
        }
        return MapFile(stored["image_ids"], stored["images"], stored["lesions"], maps)
