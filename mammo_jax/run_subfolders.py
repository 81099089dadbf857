"""The folders within a run that hold one thing each: a part of the dataset, pictures, a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mammo_jax.ratios import ratio_text


@dataclass(frozen=True)
class PartFolder:
    """One part of a dataset.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @property
    def info(self) -> Path:
        """TFDS's description of the examples; missing where every image of the part was left out."""
        return self.path / "dataset_info.json"

    @property
    def tables(self) -> Path:
        """Rows of the run's tables for the images of this part."""
        return self.path / "tables.json"


@dataclass(frozen=True)
class PictureFolder:
    """Pictures of images at several ratios, each named after both.

    Attributes
    ----------
    path : Path
    """

    path: Path

    def picture(self, image_id: str, ratio: float) -> Path:
        """The picture of an image at a ratio."""
        return self.path / f"{image_id}_{ratio_text(ratio)}.png"

    def pictures(self) -> list[Path]:
        """All pictures that there are, in the order of their names."""
        return sorted(self.path.glob("*.png"))

    @staticmethod
    def image_and_ratio(picture: Path) -> tuple[str, float] | None:
        """Image id and ratio of a picture by its name; None where it is not a name of `picture`."""
        image_id, _, text = picture.stem.rpartition("_")
        try:
            ratio = float(text)
        except ValueError:
            return None
        return (image_id, ratio) if image_id and 1 <= ratio < float("inf") else None


@dataclass(frozen=True)
class ModelFolder:
    """The folder of one trained network: one seed, training ratio and fold.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Weights and record of the finished training."""
        return self.path / "model"

    @property
    def progress(self) -> Path:
        """Where an unfinished training goes on."""
        return self.path / "progress"

    @property
    def predictions(self) -> Path:
        """Scores of the held-out fold."""
        return self.path / "predictions.parquet"

    @property
    def validation(self) -> Path:
        """Scores of the validation patients at CR 1."""
        return self.path / "validation.parquet"


@dataclass(frozen=True)
class FoldModels:
    """The folder of the networks of one seed and training ratio, one a fold.

    Attributes
    ----------
    path : Path
    """

    path: Path

    def fold(self, fold: int) -> ModelFolder:
        """Folder of the network that is tested on this fold."""
        return ModelFolder(self.path / f"fold_{fold}")
