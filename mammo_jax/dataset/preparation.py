"""All that a dataset needs before it is written: folds, matched normal patches, ratios that the codec can reach.

Every step stores its result in the run folder, so that an interrupted preparation goes on with the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pandas as pd

import codec
from codec.ratio import text_below
from mammo_jax.compression.ladder import OURS, CodecName, CompressionError, codec_title, largest_ratio
from mammo_jax.dataset.equal_images import check_patients_are_apart
from mammo_jax.dataset.example_crops import choose_examples
from mammo_jax.dataset.folds import check_duplicates, stored_folds
from mammo_jax.dataset.matching import Survey, match_normals, survey_image
from mammo_jax.dataset.units import UnitConfig, is_positive
from mammo_jax.dataset.writing import DatasetPlan, write_dataset
from mammo_jax.files import read_json, sha256_json, write_json
from mammo_jax.processes import results_in_order
from mammo_jax.progress import counted
from mammo_jax.provenance import log_event
from mammo_jax.run_folder import RunFolder
from mammo_jax.sources import Source, SourceError
from mammo_jax.sources.problems import commonest

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetSettings:
    """What the dataset of a run is made with.

    Attributes
    ----------
    ratios : tuple of float
        The ladder, without 1.
    codec : str
        What compresses; see `mammo_jax.compression`.
    units : UnitConfig
    folds : int
    fold_seed : int
    plants_sites : bool
        Whether the source plants lesions and lesion-free sites itself, so that no normal patches have to be matched.
    """

    ratios: tuple[float, ...]
    codec: CodecName
    units: UnitConfig
    folds: int
    fold_seed: int
    plants_sites: bool


def prepare_dataset(run: RunFolder, source: Source, settings: DatasetSettings, processes: int) -> None:
    """Make folds, match normal patches, and write the dataset with its audit; `run.dataset_complete` comes last.

    Raises
    ------
    SourceError, FoldError, CompressionError, WorkerError
    """
    if not settings.plants_sites:  # what a source draws itself is never the same twice
        check_patients_are_apart(run, source, processes)
    if settings.codec != OURS:
        _check_ratios(run, source, settings, processes)
    patients = source.patients()
    positives = [is_positive(label, settings.units.target) for label in source.labels()]
    folds = stored_folds(run.folds, patients, positives, n_folds=settings.folds, seed=settings.fold_seed)
    plan = DatasetPlan(
        source=source,
        ratios=settings.ratios,
        codec=settings.codec,
        units=settings.units,
        folds={patient: int(fold) for patient, fold in zip(patients, folds)},
        normal_sites=_normal_sites(run, source, settings, processes),
        examples=choose_examples(source),
        run=run,
    )
    write_dataset(plan, processes)
    reasons = _reasons(run)
    if not run.readable_parts():
        raise SourceError(f"no image could be used: {reasons}; {run.left_out} says why for each")
    if reasons:
        logger.warning("some images are left out: %s; %s says why for each", reasons, run.left_out)
    images = pd.read_csv(run.images, dtype=str, keep_default_na=False)
    _warn_of_duplicates(images)
    _warn_of_inferred_bits(images)
    data_hash = sha256_json(sorted(images["image_id"] + " " + images["sha256"]))
    write_json(run.dataset_complete, {"images": len(images), "data_sha256": data_hash})
    log_event(run, "prepared", images=len(images), left_out=len(source) - len(images), data_sha256=data_hash)


def _reasons(run: RunFolder) -> str:
    """The commonest reasons why images were left out, with the number of images; empty where all could be used."""
    try:
        return commonest(pd.read_csv(run.left_out, dtype=str, keep_default_na=False)["problem"])
    except pd.errors.EmptyDataError:
        return ""


def bind_source(run: RunFolder, source: Source, name: str) -> None:
    """Bind the run to its source's table at the first start; later refuse another table.

    Folds, matched sites and parts of the dataset name patients and images by id or by place in the table, so none of
    them would notice a changed label or a row that was taken out.

    Raises
    ------
    SourceError
        The table is not the one that the run was begun with; the message gives its `name`.
    """
    table = {"images": len(source), "table_sha256": sha256_json(source.table())}
    if not run.source.exists():
        write_json(run.source, table)
        return
    before = read_json(run.source)
    if before != table:
        raise SourceError(
            f"{name}: its patients, labels, files or lesions are not those that {run.path} was begun with "
            f"({before['images']} images then, {len(source)} now); put the old table back, or choose another --out"
        )


def _warn_of_duplicates(images: pd.DataFrame) -> None:
    repeated = check_duplicates(*(images[column].tolist() for column in ("image_id", "patient_id", "sha256")))
    if repeated:
        logger.warning(
            "%d images are there more than once, under the same patient, first %s; each counts as one more image",
            len(repeated),
            " = ".join(repeated[0]),
        )


def _warn_of_inferred_bits(images: pd.DataFrame) -> None:
    counts = images.loc[images["bits_inferred"] == "True", "bits_stored"].value_counts()
    if len(counts):
        logger.warning(
            "bits_stored was inferred from the largest pixel: %s; if that is wrong, give --bits-stored or a column",
            ", ".join(f"{bits} in {count} images" for bits, count in counts.items()),
        )


def _check_ratios(run: RunFolder, source: Source, settings: DatasetSettings, processes: int) -> None:
    """Refuse a ratio that the codec cannot reach for every image; ours says so by itself, image by image."""
    path = run.largest_ratios
    if not path.exists():
        largest = _of_images(partial(_largest_ratio, source, settings.codec), source, "trying", processes)
        write_json(path, dict(largest))
    reached = read_json(path)
    image_id = min(reached, key=reached.__getitem__, default=None)
    if image_id is not None and reached[image_id] < max(settings.ratios):
        raise CompressionError(
            f"{codec_title(settings.codec)} can compress {image_id} {text_below(reached[image_id])} times at most; "
            f"ask for --ratios up to that, or for another --codec"
        )


def _largest_ratio(source: Source, codec_name: CodecName, index: int) -> tuple[str, float] | None:
    try:
        mammogram = source[index]
        return mammogram.image_id, largest_ratio(codec_name, mammogram.pixels, mammogram.bits_stored)
    except (SourceError, codec.CodecError):
        return None  # the pass that writes the dataset lists it


def _normal_sites(
    run: RunFolder, source: Source, settings: DatasetSettings, processes: int
) -> dict[str, list[tuple[float, float]]]:
    """Centres of normal patches matched to the lesions; empty for other units and where the source plants them."""
    if settings.units.unit != "patch" or settings.plants_sites or settings.units.normals_per_lesion == 0:
        return {}
    path = run.normal_sites
    if not path.exists():
        surveys = _survey(source, settings, processes)
        write_json(path, match_normals(surveys, settings.units.normals_per_lesion))
    return {image_id: [(row, column) for row, column in sites] for image_id, sites in read_json(path).items()}


def _survey(source: Source, settings: DatasetSettings, processes: int) -> list[Survey]:
    """Survey every image that can be used; the pass that writes the dataset lists those that cannot.

    Raises
    ------
    SourceError
        Those that can have no lesion among them; the message gives the first reason of one that cannot.
    """
    survey_one = partial(_survey_one, source, settings.units, settings.fold_seed)
    results = _of_images(survey_one, source, "finding normal sites", processes)
    surveys = [result for result in results if isinstance(result, Survey)]
    reasons = [result for result in results if isinstance(result, str)]
    if reasons and not any(len(survey.lesions) for survey in surveys):
        raise SourceError(
            f"no lesion patch can be cut: {len(reasons)} of {len(source)} images cannot be used, the first because "
            f"{reasons[0]}"
        )
    return surveys


def _survey_one(source: Source, units: UnitConfig, seed: int, index: int) -> Survey | str:
    try:
        return survey_image(source[index], units, seed)
    except SourceError as error:
        return str(error)


def _of_images(function: Callable[[int], Result | None], source: Source, title: str, processes: int) -> list[Result]:
    """Results of a function for every index of the source, without those that are None."""
    results = results_in_order(function, range(len(source)), processes)
    shown = counted(results, title, len(source), "image")
    return [result for result in shown if result is not None]
