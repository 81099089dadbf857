"""A published data set as a source: entries that a reader made from its tables, and the settings that choose them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mammo_jax.sources.dicom_series import check_intents
from mammo_jax.sources.image_files import MAX_PIXELS, bits_of
from mammo_jax.sources.mammogram import LABELS, Label, Mammogram, SourceError
from mammo_jax.sources.regions import Region
from mammo_jax.sources.stored_pixels import read_pixels
from mammo_jax.sources.tables import is_name

logger = logging.getLogger(__name__)

Laterality = Literal["L", "R"]


@dataclass(frozen=True)
class PublishedConfig:
    """How the tables of published data sets are read.

    Attributes
    ----------
    split : str or None
        Take only this part of a data set that is published in parts: train or test. None takes all.
    birads_normal : tuple of str
        BI-RADS categories that are taken as normal, where a data set has no pathology.
    birads_benign : tuple of str
        Those that are taken as benign.
    birads_malignant : tuple of str
        Those that are taken as malignant. 4 stands for 4A to 4C too, unless these are named. An image of a category
        that none of the three has, such as 0, is left out.
    """

    split: Literal["train", "test"] | None = None
    birads_normal: tuple[str, ...] = ("1",)
    birads_benign: tuple[str, ...] = ("2", "3")
    birads_malignant: tuple[str, ...] = ("4", "5", "6")

    def __post_init__(self) -> None:
        """Raise ValueError for a category with two labels."""
        counts = Counter(_category(text) for categories in self._categories.values() for text in categories)
        twice = sorted(category for category, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"birads: category {', '.join(twice)} is named twice; give each one label")

    @property
    def _categories(self) -> dict[Label, tuple[str, ...]]:
        return {"normal": self.birads_normal, "benign": self.birads_benign, "malignant": self.birads_malignant}

    def label(self, birads: str) -> Label | None:
        """Return the label of a BI-RADS category, written as "BI-RADS 4", "4a" or "4"; None if the rule has none."""
        labels = {_category(text): label for label, texts in self._categories.items() for text in texts}
        category = _category(birads)
        return labels.get(category) or labels.get(category[:1])


def _category(text: str) -> str:
    return text.strip().upper().removeprefix("BI-RADS").strip()


@dataclass(frozen=True)
class Entry:
    """What the tables say of one image.

    Attributes
    ----------
    path : Path
    image_id, patient_id : str
        The data set's own public ones.
    label : {"normal", "benign", "malignant"} or None
        None if the rule for BI-RADS has no label for it.
    laterality : {"L", "R"} or None
    view, density : str or None
    split : str or None
        The published part that it belongs to.
    regions : tuple of Region
    table : Path
        The file that says all this.
    """

    path: Path
    image_id: str
    patient_id: str
    label: Label | None
    table: Path
    laterality: Laterality | None = None
    view: str | None = None
    density: str | None = None
    split: str | None = None
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A data set that can be read as it is downloaded.

    Attributes
    ----------
    title, citation : str
        For reports: what it holds, and where it was published.
    reference : str
        What the labels rest on, in a sentence.
    read : callable
        Makes the entries from the folder; it reads tables and headers, but no pixels.
    splits : tuple of str
        The parts in which it is published.
    by_birads : bool
        Whether its labels come from BI-RADS categories, by the config's rule.
    marks_lesions : bool
    """

    title: str
    citation: str
    reference: str
    read: Callable[[Path, PublishedConfig], list[Entry]]
    splits: tuple[str, ...] = ()
    by_birads: bool = False
    marks_lesions: bool = True


class PublishedSource:
    """The mammograms of a published data set.

    Parameters
    ----------
    dataset : Dataset
    directory : path of the folder as downloaded
    config : PublishedConfig
    max_pixels : int
        Largest rows × columns that is read.

    Raises
    ------
    SourceError
        The folder lacks a table, a table cannot be read, no image of the tables is there, there is no such split, or
        some images are for presentation and others for processing.
    """

    def __init__(
        self,
        dataset: Dataset,
        directory: Path | str,
        config: PublishedConfig | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ):
        config = config or PublishedConfig()
        directory = Path(directory)
        if not directory.is_dir():
            raise SourceError(f"{directory}: is no folder; give that of the data set, as downloaded")
        self.max_pixels = max_pixels
        entries = dataset.read(directory, config)
        entries = _of_split(directory, entries, dataset, config)
        entries = _labelled(directory, entries)
        self._entries = _present(directory, entries)
        check_intents(entry.path for entry in self._entries)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._entries)

    def __getitem__(self, index: int) -> Mammogram:
        """Read one image with its masks; SourceError if a file cannot be used."""
        entry = self._entries[index]
        stored = read_pixels(entry.path, max_pixels=self.max_pixels)
        shape = (stored.pixels.shape[0], stored.pixels.shape[1])
        bits_stored, bits_inferred = bits_of(stored, None)
        return Mammogram(
            pixels=stored.pixels,
            bits_stored=bits_stored,
            bits_inferred=bits_inferred,
            image_id=entry.image_id,
            patient_id=entry.patient_id,
            label=_known(entry),
            pixel_pitch=stored.pixel_pitch,
            laterality=entry.laterality or stored.laterality,
            view=entry.view or stored.view,
            lesions=tuple(region.lesion(shape, max_pixels=self.max_pixels) for region in entry.regions),
            already_lossy=stored.already_lossy,
            padding_range=stored.padding_range,
            density=entry.density,
        )

    def patients(self) -> list[str]:
        """Return the patient id of every image."""
        return [entry.patient_id for entry in self._entries]

    def labels(self) -> list[Label]:
        """Return the label of every image."""
        return [_known(entry) for entry in self._entries]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per image; see `Source.table`."""
        return [
            {
                "image_id": entry.image_id,
                "patient_id": entry.patient_id,
                "label": entry.label,
                "files": [str(entry.path), str(entry.table), *_mask_files(entry)],
                "laterality": entry.laterality,
                "view": entry.view,
                "density": entry.density,
                "lesions": [asdict(region) | {"mask_files": len(region.mask_files)} for region in entry.regions],
            }
            for entry in self._entries
        ]


def worst(labels: list[Label]) -> Label:
    """Return the most severe of some labels."""
    return max(labels, key=LABELS.index)


def _known(entry: Entry) -> Label:
    assert entry.label is not None  # the others are left out at the start
    return entry.label


def _mask_files(entry: Entry) -> list[str]:
    return [str(path) for region in entry.regions for path in region.mask_files]


def _of_split(directory: Path, entries: list[Entry], dataset: Dataset, config: PublishedConfig) -> list[Entry]:
    """Keep one published part, without the test patients who are in training too."""
    if config.split is None:
        return entries
    if config.split not in dataset.splits:
        raise SourceError(
            f"{directory}: --split {config.split}: this data set has "
            f"{'only ' + ' and '.join(dataset.splits) if dataset.splits else 'no published parts'}; leave it out"
        )
    chosen = [entry for entry in entries if entry.split == config.split]
    if config.split == "train":
        return chosen
    training = {entry.patient_id for entry in entries if entry.split == "train"}
    alone = [entry for entry in chosen if entry.patient_id not in training]
    if len(alone) < len(chosen):
        logger.warning(
            "%s: %d test images are left out: their patients are in the training part too",
            directory,
            len(chosen) - len(alone),
        )
    return alone


def _labelled(directory: Path, entries: list[Entry]) -> list[Entry]:
    labelled = [entry for entry in entries if entry.label is not None]
    if len(labelled) < len(entries):
        logger.warning(
            "%s: %d images are left out: the rule for BI-RADS has no label for their category",
            directory,
            len(entries) - len(labelled),
        )
    return labelled


def _present(directory: Path, entries: list[Entry]) -> list[Entry]:
    """Leave out the images of the tables that were not downloaded; refuse a table that leads out of the folder."""
    for entry in entries:
        if not Path(os.path.normpath(entry.path)).is_relative_to(os.path.normpath(directory)):
            raise SourceError(f"{entry.table}: names a file outside of {directory}; download the table again")
        if not is_name(entry.image_id):  # pictures of the report are named by it
            raise SourceError(f"{entry.table}: {entry.image_id!r} is no name of an image; download the table again")
    present = [entry for entry in entries if entry.path.is_file()]
    if not present:
        first = f"; the first would be {entries[0].path}" if entries else ""
        raise SourceError(f"{directory}: none of the images that its tables list is there{first}")
    if len(present) < len(entries):
        logger.warning("%s: %d of %d images are not there", directory, len(entries) - len(present), len(entries))
    return present
