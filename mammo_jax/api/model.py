"""A trained network in Python: `mammo_jax.load_model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mammo_jax.api.run import Run, RunError
from mammo_jax.dataset.input_pipeline import Examples, read_examples
from mammo_jax.dataset.units import UnitConfig, lay_out, tissue_mask
from mammo_jax.errors import UserError
from mammo_jax.files import read_json
from mammo_jax.models import build_model
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.methods import METHODS, Maps, Method, compute_maps
from mammo_jax.saliency.stage import mean_training_image
from mammo_jax.sources import Mammogram
from mammo_jax.training.trained_model import TrainedModel, predict
from mammo_jax.training.trained_model import load_model as read_model


class ImageError(UserError):
    """Images that a network cannot take; the message says what it takes."""


class Model:
    """A network of a study, made by `load_model`.

    Attributes
    ----------
    trained : TrainedModel
        Settings, weights and record of the training.
    fold : int
        The fold that it was not trained on.
    units : UnitConfig
        How its images are cut out and scaled.
    """

    def __init__(self, run: RunFolder, trained: TrainedModel, fold: int, units: UnitConfig):
        self._run = run
        self.trained = trained
        self.fold = fold
        self.units = units

    def __repr__(self) -> str:
        """Return what the network is on one line."""
        shape = f"{self.units.input_rows} × {self.units.input_columns}"
        return f"Model({self.trained.config.model}, {shape} pixels, fold {self.fold} of {self._run.path})"

    def held_out(self, ratio: float = 1.0, *, masks: bool = False) -> Examples:
        """Return the examples of the fold that the network was not trained on, compressed at a ratio of the study.

        Parameters
        ----------
        ratio : float
        masks : bool
            With the lesion and breast masks.
        """
        examples = read_examples(self._run.readable_parts(), ratio, masks=masks)
        return examples.take(np.flatnonzero(examples.folds == self.fold))

    def cut_out(self, mammogram: Mammogram) -> np.ndarray:
        """Cut the network's images out of a mammogram, as the study did: the whole view, or a patch around each site.

        Returns
        -------
        uint16 [n, rows, columns, 1]

        Raises
        ------
        ImageError
            The network looks at patches, and no lesion or normal site is marked.
        """
        laid_out = lay_out(mammogram, tissue_mask(mammogram.pixels, self.units), self.units)
        if not laid_out:
            raise ImageError(f"{mammogram.image_id}: the network looks at patches, and no site is marked in this image")
        return np.stack([unit.record_image(mammogram.pixels, mammogram.bits_stored)[..., None] for unit in laid_out])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Score images.

        Parameters
        ----------
        images : uint16 [n, rows, columns] or [n, rows, columns, 1]
            As `held_out` and `cut_out` give them: of the model's input size, grey levels from 0 to 65535.

        Returns
        -------
        float64 [n]
            Logits: higher is more positive.

        Raises
        ------
        ImageError
            Their type or size is another.
        """
        return predict(self.trained, self._checked(images))

    def saliency(self, images: np.ndarray, method: Method = "ig_blurred") -> Maps:
        """Map where the network looks.

        Parameters
        ----------
        images
            As in `predict`.
        method : {"ig_black", "ig_blurred", "ig_mean", "smoothgrad_ig", "grad_cam"}
            See `mammo_jax.saliency.methods`.

        Returns
        -------
        Maps
            With ``maps``, float32 [n, rows, columns], and the completeness gap of each.

        Raises
        ------
        ImageError
            The images, or the method, cannot be used.
        """
        if method not in METHODS:
            raise ImageError(f"method: {method!r} is none of {', '.join(METHODS)}")
        images = self._checked(images)
        mean = np.zeros(images.shape[1:], np.float32)
        if method == "ig_mean":
            mean = mean_training_image(read_examples(self._run.readable_parts(), 1.0), self.fold)
        return compute_maps(method, build_model(self.trained.config), self.trained.variables, images, mean)

    def _checked(self, images: np.ndarray) -> np.ndarray:
        """Return images as uint16 [n, rows, columns, 1]."""
        images = np.asarray(images)
        shape = (self.units.input_rows, self.units.input_columns)
        if images.ndim == 3:
            images = images[..., None]
        if images.dtype != np.uint16 or images.ndim != 4 or images.shape[1:] != (*shape, 1) or not len(images):
            raise ImageError(
                f"images: {images.dtype} {list(images.shape)}, but the network takes uint16 [n, {shape[0]}, {shape[1]}]"
                " as Model.cut_out makes them of a mammogram"
            )
        return images


def load_model(run: Run | Path | str, fold: int = 0, *, ratio: float | str = 1.0, seed: int | None = None) -> Model:
    """Load a network of a study.

    Parameters
    ----------
    run : Run, or path of a run folder
    fold : int
        The fold that it was not trained on.
    ratio : float or "mixed"
        The ratio that it was trained at.
    seed : int or None
        Of its training; None takes the study's first.

    Raises
    ------
    RunError
        The folder is not a study's.
    CheckpointError
        There is no such network, or its file is damaged.
    """
    folder = RunFolder(run.folder if isinstance(run, Run) else Path(run))
    if not folder.config.exists():
        raise RunError(f"{folder.config}: no such file; name the folder of a study (mammo-jax study --out)")
    settings: dict[str, Any] = read_json(folder.config)["config"]
    chosen = settings["seeds"][0] if seed is None else seed
    trained = read_model(folder.model(chosen, ratio, fold).path)
    return Model(folder, trained, fold, UnitConfig(**settings["units"]))
