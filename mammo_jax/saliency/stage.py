"""The saliency stage of a study: maps and measures of every held-out positive image, cell by cell, resumable.

A cell is one model at one ratio on one fold. The model trained on uncompressed images is measured at all ratios. At
CR 1 there are also a model of another training seed (the reference: the variation between trainings), a model trained
on permuted labels, and the model with its layers randomised one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.errors import UserError
from mammo_jax.files import atomic_path
from mammo_jax.models import build_model
from mammo_jax.progress import progress
from mammo_jax.run_folder import SaliencyFolder
from mammo_jax.run_subfolders import FoldModels
from mammo_jax.saliency.baselines import baselines_for, network_inputs
from mammo_jax.saliency.drift import similarity
from mammo_jax.saliency.faithfulness import FRACTIONS, insertion_and_deletion, order_by_saliency
from mammo_jax.saliency.localisation import localise
from mammo_jax.saliency.maps import load_maps, save_maps
from mammo_jax.saliency.methods import CONTROL, METHODS, Method, compute_maps
from mammo_jax.saliency.randomisation import parameter_cascade
from mammo_jax.training.trained_model import TrainedModel, load_model, predict

TRAINED, OTHER_SEED, RANDOM_LABELS, CASCADE = "trained", "other_seed", "random_labels", "cascade"
RANDOM_ORDER = "random"
CASCADE_SEED = 1


class SaliencyError(UserError):
    """A run whose saliency cannot be measured; the message says what to do."""


@dataclass(frozen=True)
class SaliencyPlan:
    """The input and settings of the saliency stage.

    Attributes
    ----------
    folder : SaliencyFolder
    read : callable
        ratio → `Examples` with masks.
    ratios : tuple of float
        1 first.
    folds : int
    method : str
        The method that is computed at all ratios, with Grad-CAM and the plain image; at CR 1 all are computed.
    models : dict
        TRAINED, RANDOM_LABELS and, if there is one, OTHER_SEED → the folder of its models.
    """

    folder: SaliencyFolder
    read: Callable[[float], Examples]
    ratios: tuple[float, ...]
    folds: int
    method: Method
    models: dict[str, FoldModels]


@dataclass(frozen=True)
class _Cell:
    model: str
    ratio: float
    fold: int


def measure_saliency(plan: SaliencyPlan) -> pd.DataFrame:
    """Compute every missing cell, and merge all cells into images.parquet and faithfulness.parquet.

    Returns
    -------
    DataFrame
        images.parquet: one row per image, model, ratio and method.

    Raises
    ------
    SaliencyError
        If no held-out positive image has a lesion mark.
    """
    models = [TRAINED, *(name for name in (OTHER_SEED, RANDOM_LABELS) if name in plan.models), CASCADE]
    cells = [_Cell(model, 1.0, fold) for fold in range(plan.folds) for model in models]
    cells += [_Cell(TRAINED, ratio, fold) for ratio in plan.ratios[1:] for fold in range(plan.folds)]
    missing = [cell for cell in cells if not plan.folder.cell(*astuple(cell)).exists()]
    with progress("saliency", len(cells), "cell", len(cells) - len(missing)) as bar:
        folds = _Folds(plan)
        for cell in missing:
            folds.measure(cell)
            bar.update()
    merge_tables([plan.folder.fold_faithfulness(fold) for fold in range(plan.folds)], plan.folder.faithfulness)
    return merge_tables([plan.folder.cell(*astuple(cell)) for cell in cells], plan.folder.images)


def merge_tables(parts: list[Path], path: Path) -> pd.DataFrame:
    """Concatenate Parquet tables, write the result if it does not exist yet, and return it."""
    tables = [table for table in (pq.read_table(part) for part in parts) if table.num_rows]
    if not tables:
        raise SaliencyError(
            f"{path.parent}: no held-out positive image has a lesion mark, so localisation cannot be measured;"
            " leave --saliency out"
        )
    merged = pa.concat_tables(tables)
    if not path.exists():
        _write_table(path, merged)
    return merged.to_pandas()


def _write_table(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary)


def mean_training_image(examples: Examples, fold: int) -> np.ndarray:
    """Return the mean of the images outside of a fold, float32 [rows, columns, 1]."""
    return examples.images[examples.folds != fold].mean(0, dtype=np.float64).astype(np.float32)


class _Folds:
    """Computes cells; caches the examples of one ratio, the models, and the folds' mean images."""

    def __init__(self, plan: SaliencyPlan):
        self.plan = plan
        self.cached_examples: Examples | None = None
        self.models: dict[tuple[str, int], TrainedModel] = {}
        self.mean_images: list[np.ndarray] = []

    def measure(self, cell: _Cell) -> None:
        """Compute a cell's maps and write its table, and at CR 1 the trained model's faithfulness."""
        examples = self._marked(cell)
        tables = [
            self._table(cell, layer, model, examples) for layer, model in self._models(cell, examples) if len(examples)
        ]
        rows = pd.DataFrame([row for table in tables for row in table])
        if cell.model == TRAINED and cell.ratio == 1:
            path = self.plan.folder.fold_faithfulness(cell.fold)
            _write_table(path, pa.Table.from_pandas(self._faithfulness(cell, examples), preserve_index=False))
        _write_table(self.plan.folder.cell(*astuple(cell)), pa.Table.from_pandas(rows, preserve_index=False))

    def _examples(self, ratio: float) -> Examples:
        if self.cached_examples is None or float(self.cached_examples.ratio) != ratio:
            self.cached_examples = self.plan.read(ratio)
        return self.cached_examples

    def _marked(self, cell: _Cell) -> Examples:
        """Return the positive images of the held-out fold whose lesion is marked."""
        examples = self._examples(cell.ratio)
        assert examples.masks is not None
        marked = examples.masks.reshape(len(examples), -1).any(1)
        return examples.take(np.flatnonzero((examples.folds == cell.fold) & (examples.targets == 1) & marked))

    def _mean_image(self, fold: int) -> np.ndarray:
        """Return the mean training image at CR 1 of the fold's models, float32 [rows, columns, 1]."""
        path = self.plan.folder.mean_image(fold)
        if not path.exists():
            examples = self._examples(1.0)
            mean = mean_training_image(examples, fold)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, mean, allow_pickle=False)
        return np.load(path, allow_pickle=False)

    def _model(self, name: str, fold: int) -> TrainedModel:
        if (name, fold) not in self.models:
            self.models[name, fold] = load_model(self.plan.models[name].fold(fold).path)
        return self.models[name, fold]

    def _models(self, cell: _Cell, examples: Examples) -> Iterator[tuple[str, TrainedModel]]:
        """Yield the models of a cell, each with the layer that was randomised last ("" if none was)."""
        if cell.model != CASCADE:
            yield "", self._model(cell.model, cell.fold)
            return
        trained = self._model(TRAINED, cell.fold)
        network = build_model(trained.config)
        inputs = network_inputs(examples.images[:1])
        if len(inputs):
            for layer, variables in parameter_cascade(network, trained.variables, inputs, CASCADE_SEED):
                yield layer, TrainedModel(trained.config, variables, trained.record)

    def _methods(self, cell: _Cell) -> list[str]:
        methods = METHODS if cell.ratio == 1 else [name for name in METHODS if name in (self.plan.method, "grad_cam")]
        return [*methods, CONTROL] if cell.model == TRAINED else [*methods]

    def _table(self, cell: _Cell, layer: str, model: TrainedModel, examples: Examples) -> list[dict[str, Any]]:
        """Return the rows of one model, for every image and method. The trained model's maps are written first."""
        network, mean_image = build_model(model.config), self._mean_image(cell.fold)
        maps_by_method = {
            name: compute_maps(name, network, model.variables, examples.images, mean_image)
            for name in self._methods(cell)
        }
        if cell.model == TRAINED:
            path = self.plan.folder.maps(cell.ratio, cell.fold)
            save_maps(path, examples, {name: computed.maps for name, computed in maps_by_method.items()})
        # From the file, so that a resumed run has the same half-precision maps.
        reference = load_maps(self.plan.folder.maps(1.0, cell.fold)).maps
        scores = predict(model, examples.images)
        rows = []
        for name, computed in maps_by_method.items():
            for index in range(len(examples)):
                attributions = computed.maps[index]
                rows.append(
                    {
                        "model": cell.model,
                        "layer": layer,
                        "ratio": cell.ratio,
                        "fold": cell.fold,
                        "method": name,
                        "image_id": str(examples.image_ids[index]),
                        "patient_id": str(examples.patient_ids[index]),
                        "score": float(scores[index]),
                        "gap": float(computed.gaps[index]),
                        "steps": int(computed.steps[index]),
                        "complete": bool(computed.complete[index]),
                        **localise(attributions, *_masks(examples, index)),
                        **similarity(attributions, reference[name][index], _masks(examples, index)[1]),
                    }
                )
        return rows

    def _faithfulness(self, cell: _Cell, examples: Examples) -> pd.DataFrame:
        """Compute the trained model's insertion and deletion curves at CR 1: a row per image, order and fraction."""
        model = self._model(TRAINED, cell.fold)
        network = build_model(model.config)
        rows = []
        if len(examples):
            maps = load_maps(self.plan.folder.maps(1.0, cell.fold)).maps
            inputs, replacements = network_inputs(examples.images), baselines_for(examples.images, "blurred")
        for index in range(len(examples)):
            breast = _masks(examples, index)[1]
            orders = {name: order_by_saliency(values[index], breast) for name, values in maps.items()}
            random = np.random.default_rng(index)
            orders[RANDOM_ORDER] = random.permutation(orders[CONTROL])
            for name, order in orders.items():
                curves = insertion_and_deletion(network, model.variables, inputs[index], replacements[index], order)
                for kind, curve in zip(("insertion", "deletion"), curves):
                    rows += [
                        {
                            "image_id": str(examples.image_ids[index]),
                            "patient_id": str(examples.patient_ids[index]),
                            "fold": cell.fold,
                            "method": name,
                            "curve": kind,
                            "fraction": float(fraction),
                            "probability": float(probability),
                        }
                        for fraction, probability in zip(FRACTIONS, curve)
                    ]
        return pd.DataFrame(rows)


def _masks(examples: Examples, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lesion and breast masks of one example; bool [rows, columns]."""
    assert examples.masks is not None
    assert examples.breasts is not None
    return examples.masks[index, ..., 0] > 0, examples.breasts[index, ..., 0] > 0
