"""Compress every image at every ratio and write the dataset and its audit: `mammo-jax prepare`, same flags as study."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TypeVar

import pandas as pd
from tqdm import tqdm

import codec
from mammo_jax.compression.ladder import OURS, CodecName, CompressionError, codec_title, largest_ratio
from mammo_jax.dataset.example_crops import choose_examples
from mammo_jax.dataset.folds import check_duplicates, stored_folds
from mammo_jax.dataset.matching import Survey, match_normals, survey_image
from mammo_jax.dataset.units import UnitConfig, is_positive
from mammo_jax.dataset.writing import DatasetPlan, parts, write_dataset
from mammo_jax.files import read_json, sha256_json, write_json
from mammo_jax.jobs.config import StudyConfig, parse, reporting_errors, start_run
from mammo_jax.processes import reporting_lost_workers
from mammo_jax.provenance import log_event
from mammo_jax.sources import Source, SourceError
from mammo_jax.sources.folder import Folder
from mammo_jax.sources.hybrid import Hybrid
from mammo_jax.sources.mias import Mias
from mammo_jax.sources.phantom import Phantom

Found = TypeVar("Found")
logger = logging.getLogger(__name__)


def prepare(config: StudyConfig) -> None:
    """Make folds, find matched normal patches, compress, cut, and write the dataset; skipped where it is complete.

    Where the images are gone a complete dataset still serves; where their table was changed it does not.
    """
    complete = config.out / "dataset" / "complete.json"
    if complete.exists() and config.source_dir is not None and not config.source_dir.exists():
        return
    source = open_source(config)
    check_source(config, source)
    if complete.exists():
        return
    if config.codec != OURS:
        _check_ratios(config, source)
    patients = source.patients()
    positives = [is_positive(label, config.units.target) for label in source.labels()]
    folds = stored_folds(config.out / "folds.csv", patients, positives, n_folds=config.folds, seed=config.fold_seed)
    plan = DatasetPlan(
        source=source,
        ratios=config.ratios,
        codec=config.codec,
        units=config.units,
        folds={patient: int(fold) for patient, fold in zip(patients, folds)},
        normal_sites=_normal_sites(config, source),
        examples=choose_examples(source),
        directory=config.out / "dataset",
    )
    write_dataset(plan, config.processes)
    if not parts(plan.directory):
        raise SourceError(f"no image could be used; {config.out / 'left_out.csv'} says why for each")
    images = pd.read_csv(config.out / "images.csv", dtype=str, keep_default_na=False)
    repeated = check_duplicates(*(images[column].tolist() for column in ("image_id", "patient_id", "sha256")))
    if repeated:
        logger.warning(
            "%d images are there more than once, under the same patient, first %s; each counts as one more image",
            len(repeated),
            " = ".join(repeated[0]),
        )
    data_hash = sha256_json(sorted(images["image_id"] + " " + images["sha256"]))
    write_json(complete, {"images": len(images), "data_sha256": data_hash})
    log_event(config.out, "prepared", images=len(images), left_out=len(source) - len(images), data_sha256=data_hash)


def open_source(config: StudyConfig) -> Source:
    """Open the source that the config names."""
    made = config.phantom
    if config.source == "phantom":
        return Phantom(
            images=made.images,
            seed=made.phantom_seed,
            rows=made.rows,
            columns=made.columns,
            pixel_pitch=made.phantom_pitch,
            contrast=made.contrast,
        )
    if config.source_dir is None:
        raise SourceError(f"source {config.source!r} needs --source-dir")
    if config.source == "folder":
        files = config.folder
        return Folder(config.source_dir, bits_stored=files.bits_stored, plain_ids=files.plain_ids, id_key=files.id_key)
    if config.source == "mias":
        return Mias(config.source_dir)
    return Hybrid(Mias(config.source_dir), seed=made.phantom_seed, plantings=made.plantings, contrast=made.contrast)


def check_source(config: StudyConfig, source: Source) -> None:
    """Bind the run to its source's table at the first start, in source.json; later refuse another table.

    Folds, matched sites and parts of the dataset name patients and images by id or by place in the table, so none of
    them would notice a changed label or a row that was taken out.
    """
    path = config.out / "source.json"
    found = {"images": len(source), "table_sha256": sha256_json(source.table())}
    if not path.exists():
        write_json(path, found)
        return
    before = read_json(path)
    if before != found:
        table = config.source_dir or f"the built-in {config.source}"
        raise SourceError(
            f"{table}: its patients, labels, files or lesions are not those that {config.out} was begun with "
            f"({before['images']} images then, {len(source)} now); put the old table back, or choose another --out"
        )


def _normal_sites(config: StudyConfig, source: Source) -> dict[str, list[tuple[float, float]]]:
    """Centres of normal patches matched to the lesions; empty for whole images and where the source plants them."""
    if config.units.unit == "whole" or config.source in ("phantom", "hybrid"):
        return {}
    path = config.out / "normal_sites.json"
    if not path.exists():
        write_json(path, match_normals(_survey(config, source), config.units.normals_per_lesion))
    return {image_id: [(row, column) for row, column in sites] for image_id, sites in read_json(path).items()}


def _check_ratios(config: StudyConfig, source: Source) -> None:
    """Refuse a ratio that the codec cannot have for every image; ours says so by itself, image by image."""
    path = config.out / "largest_ratios.json"
    if not path.exists():
        largest = _of_images(partial(_largest_ratio, source, config.codec), source, "trying", config.processes)
        write_json(path, dict(largest))
    reached = read_json(path)
    image_id = min(reached, key=reached.__getitem__, default=None)
    if image_id is not None and reached[image_id] < max(config.ratios):
        raise CompressionError(
            f"{codec_title(config.codec)} can compress {image_id} {reached[image_id]:.6g} times at most; "
            f"ask for --ratios up to that, or for another --codec"
        )


def _largest_ratio(source: Source, codec_name: CodecName, index: int) -> tuple[str, float] | None:
    try:
        mammogram = source[index]
        return mammogram.image_id, largest_ratio(codec_name, mammogram.pixels, mammogram.bits_stored)
    except (SourceError, codec.CodecError):
        return None  # the pass that writes the dataset lists it


def _survey(config: StudyConfig, source: Source) -> list[Survey]:
    """Survey every image that can be used; the pass that writes the dataset lists those that cannot.

    Raises
    ------
    SourceError
        Those that can have no lesion among them; the message gives the first reason of one that cannot.
    """
    survey_one = partial(_survey_one, source, config.units, config.fold_seed)
    found = _of_images(survey_one, source, "finding normal sites", config.processes)
    surveys = [each for each in found if isinstance(each, Survey)]
    reasons = [each for each in found if isinstance(each, str)]
    if reasons and not any(len(survey.lesions) for survey in surveys):
        raise SourceError(
            f"no lesion patch can be cut: {len(reasons)} of {len(source)} images cannot be used, the first because "
            f"{reasons[0]}"
        )
    return surveys


def _of_images(find: Callable[[int], Found | None], source: Source, title: str, processes: int) -> list[Found]:
    """Results of `find` for every index of the source, without those that are None."""
    with reporting_lost_workers(), ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        found = tqdm(pool.map(find, range(len(source)), chunksize=8), title, len(source), unit="image")
        return [each for each in found if each is not None]


def _survey_one(source: Source, units: UnitConfig, seed: int, index: int) -> Survey | str:
    try:
        return survey_image(source[index], units, seed)
    except SourceError as error:
        return str(error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    config = parse(given, __doc__ or "")
    with reporting_errors():
        start_run(config, "prepare", given)
        prepare(config)
