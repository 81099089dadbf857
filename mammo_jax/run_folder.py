"""The files of a run, by name: what a study writes, and what each later stage reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mammo_jax.ratios import split_name
from mammo_jax.run_subfolders import FoldModels, ModelFolder, PartFolder, PictureFolder


@dataclass(frozen=True)
class SaliencyFolder:
    """The files of the saliency stage.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @property
    def summary(self) -> Path:
        """All figures of the report; written last."""
        return self.path / "summary.json"

    @property
    def images(self) -> Path:
        """Every measure of every image."""
        return self.path / "images.parquet"

    @property
    def faithfulness(self) -> Path:
        """Insertion and deletion curves."""
        return self.path / "faithfulness.parquet"

    @property
    def panels(self) -> PictureFolder:
        """Pictures of lesions with their maps."""
        return PictureFolder(self.path / "panels")

    def fold_faithfulness(self, fold: int) -> Path:
        """Insertion and deletion curves of one fold."""
        return self.path / "faithfulness" / f"fold_{fold}.parquet"

    def cell(self, model: str, ratio: float, fold: int) -> Path:
        """Measures of one model at one ratio on one fold."""
        return self.path / "cells" / f"fold_{fold}" / f"{model}-{split_name(ratio)}.parquet"

    def maps(self, ratio: float, fold: int) -> Path:
        """Maps of the trained model at one ratio on one fold."""
        return self.path / "maps" / f"fold_{fold}" / f"{split_name(ratio)}.npz"

    def mean_image(self, fold: int) -> Path:
        """Mean training image of a fold, which is a baseline."""
        return self.path / "maps" / f"fold_{fold}" / "mean_image.npy"

    def run(self, name: str) -> RunFolder:
        """Folder of the networks that only this stage needs, such as those of another seed."""
        return RunFolder(self.path / name)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @property
    def config(self) -> Path:
        """Settings, their hash and the command."""
        return self.path / "config.json"

    @property
    def log(self) -> Path:
        """Events, one JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def training_log(self) -> Path:
        """Loss and validation scores of every epoch of every model, one JSON object a line."""
        return self.path / "training.jsonl"

    @property
    def source(self) -> Path:
        """Hash of the source's table, to which the run is bound."""
        return self.path / "source.json"

    @property
    def protocol(self) -> Path:
        """What the verdict rests on, written before anything is trained."""
        return self.path / "protocol.json"

    @property
    def folds(self) -> Path:
        """Fold of every patient."""
        return self.path / "folds.csv"

    @property
    def normal_sites(self) -> Path:
        """Centres of matched normal patches."""
        return self.path / "normal_sites.json"

    @property
    def pixel_hashes(self) -> Path:
        """Hash of every image's pixels."""
        return self.path / "pixel_hashes.json"

    @property
    def duplicates(self) -> Path:
        """Files of images that two patients have in common, for which the run was refused."""
        return self.path / "duplicates.csv"

    @property
    def largest_ratios(self) -> Path:
        """Largest ratio of every image that another codec reaches."""
        return self.path / "largest_ratios.json"

    @property
    def dataset(self) -> Path:
        """The TFDS dataset, in parts."""
        return self.path / "dataset"

    def dataset_part(self, number: int) -> PartFolder:
        """A part of the dataset, which is there whole or not at all."""
        return PartFolder(self.dataset / f"part-{number:05d}")

    def dataset_parts(self) -> list[PartFolder]:
        """The parts of the dataset that there are, in order."""
        return [PartFolder(path) for path in sorted(self.dataset.glob("part-*"))]

    def readable_parts(self) -> list[Path]:
        """Folders of those parts that hold examples, for `mammo_jax.dataset.input_pipeline.read_examples`."""
        return [part.path for part in self.dataset_parts() if part.info.exists()]

    @property
    def dataset_complete(self) -> Path:
        """Number and hash of the images; written when all parts are there."""
        return self.dataset / "complete.json"

    @property
    def audit(self) -> Path:
        """Bytes, ratios and image quality of every codestream."""
        return self.path / "audit.csv"

    @property
    def images(self) -> Path:
        """Every image of the dataset."""
        return self.path / "images.csv"

    @property
    def subgroups(self) -> Path:
        """What is known of every example, for subgroups: view, density, kind and size of the lesion."""
        return self.path / "subgroups.csv"

    @property
    def left_out(self) -> Path:
        """Images that could not be used, and why."""
        return self.path / "left_out.csv"

    @property
    def examples(self) -> PictureFolder:
        """Crops for the report."""
        return PictureFolder(self.path / "examples")

    @property
    def predictions(self) -> Path:
        """Scores of every model on its held-out fold."""
        return self.path / "predictions.parquet"

    @property
    def validation(self) -> Path:
        """Scores, at CR 1, of the patients that each model was validated with; models trained at CR 1 only."""
        return self.path / "validation.parquet"

    @property
    def metrics(self) -> Path:
        """Statistics and verdict."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def checklist(self) -> Path:
        """Items of reporting guidelines, filled from the run; its authors write into one column."""
        return self.path / "checklist.csv"

    def figure(self, name: str, kind: str) -> Path:
        """A figure of the report as a file of this kind, "svg" or "png"."""
        return self.path / "figures" / f"{name}.{kind}"

    @property
    def saliency(self) -> SaliencyFolder:
        """The saliency stage."""
        return SaliencyFolder(self.path / "saliency")

    @property
    def observer_predictions(self) -> Path:
        """Scores of the model observers on the held-out folds."""
        return self.path / "observer" / "predictions.parquet"

    @property
    def observer_summary(self) -> Path:
        """Figures of the observer stage; written last."""
        return self.path / "observer" / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """All models."""
        return self.path / "checkpoints"

    def models(self, seed: int, train_ratio: float | str) -> FoldModels:
        """Folder of the models of one seed and training ratio."""
        return FoldModels(self.checkpoints / f"seed_{seed}" / split_name(train_ratio))

    def model(self, seed: int, train_ratio: float | str, fold: int) -> ModelFolder:
        """Folder of one model."""
        return self.models(seed, train_ratio).fold(fold)
