"""Compress every image at every ratio and write the dataset and its audit: `mammo-jax prepare`, same flags as study."""

from __future__ import annotations

from collections.abc import Sequence

from mammo_jax.dataset.preparation import DatasetSettings, bind_source, prepare_dataset
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.study_run import run_study_job
from mammo_jax.sources import Source, SourceError
from mammo_jax.sources.datasets import DATASETS, PublishedSource
from mammo_jax.sources.folder import Folder
from mammo_jax.sources.hybrid import Hybrid
from mammo_jax.sources.mias import Mias
from mammo_jax.sources.phantom import Phantom


def prepare(config: StudyConfig) -> None:
    """Make folds, match normal patches, compress, cut, and write the dataset; skipped where it is complete.

    Where the images are gone a complete dataset still serves; where their table was changed it does not.
    """
    complete = config.run.dataset_complete.exists()
    if complete and config.source_dir is not None and not config.source_dir.exists():
        return
    source = open_source(config)
    bind_source(config.run, source, str(config.source_dir or f"the built-in {config.source}"))
    if complete:
        return
    settings = DatasetSettings(
        ratios=config.ratios,
        codec=config.codec,
        units=config.units,
        folds=config.folds,
        fold_seed=config.fold_seed,
        plants_sites=config.plants_sites,
    )
    prepare_dataset(config.run, source, settings, config.processes)


def open_source(config: StudyConfig) -> Source:
    """Open the source that the config names."""
    phantom = config.phantom
    if config.source == "phantom":
        return Phantom(
            images=phantom.images,
            seed=phantom.phantom_seed,
            rows=phantom.rows,
            columns=phantom.columns,
            pixel_pitch=phantom.phantom_pitch,
            contrast=phantom.contrast,
        )
    if config.source_dir is None:
        flag = "--table, the CSV file" if config.source == "folder" else "--source-dir, the folder of the data set"
        raise SourceError(f"source {config.source!r} needs {flag}")
    if config.source == "folder":
        files = config.folder
        return Folder(
            config.source_dir,
            bits_stored=files.bits_stored,
            plain_ids=files.plain_ids,
            id_key=files.id_key,
            frames=files.frames,
        )
    if config.source == "cbis_roi":
        # The ids are the archive's public ones; unchanged, they give everybody the same folds.
        return Folder(config.source_dir / "labels.csv", bits_stored=8, plain_ids=True)
    if config.source in DATASETS:
        return PublishedSource(DATASETS[config.source], config.source_dir, config.published)
    if config.source == "mias":
        return Mias(config.source_dir)
    return Hybrid(
        Mias(config.source_dir), seed=phantom.phantom_seed, plantings=phantom.plantings, contrast=phantom.contrast
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_study_job("prepare", prepare, arguments, networks=False)
