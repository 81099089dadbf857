"""Is a loss in the images, or in the network? Model observers beside a study's networks, on the same patches and folds.

mammo-jax observer --out runs/study

Scores the patches of a study that is prepared, trained or not, by a channelised Hotelling observer, by the same one on
images with fewer pixels instead of JPEG 2000, by statistics of the file and the surroundings, and by an observer that
learnt permuted labels. Nothing is compressed again. Cost: a minute of one core. Writes RUN/observer/ and the report
anew; run again, it does nothing where nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_jax.dataset.input_pipeline import read_examples
from mammo_jax.files import read_json, sha256_file, write_json
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.run_lock import locked
from mammo_jax.observer.stage import ObserverError, ObserverPlan, score_observers
from mammo_jax.observer.summary import SCHEMA, summarise
from mammo_jax.provenance import environment, log_event
from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.predictions import read_predictions, write_predictions


@dataclass(frozen=True)
class ObserverConfig:
    """Which study.

    Attributes
    ----------
    out : Path
        Run folder of a study of patches; ratios, folds and resamples are the study's own.
    """

    out: Path = Path("runs/study")


def observe(run: RunFolder) -> bool:
    """Run the whole stage; return False where it was done before, with the same patches and predictions.

    Raises
    ------
    ObserverError
        The study is not prepared, its units are not patches, or a fold cannot be trained.
    """
    settings = _settings(run)
    data = read_json(run.dataset_complete)["data_sha256"]
    network = run.predictions if run.predictions.exists() else None
    made_from = {
        "schema": SCHEMA,
        "data_sha256": data,
        "predictions_sha256": sha256_file(network) if network is not None else None,
    }
    before = read_json(run.observer_summary) if run.observer_summary.exists() else {}
    if before.items() >= made_from.items():
        return False
    if before.get("data_sha256") != data or before.get("schema") != SCHEMA or not run.observer_predictions.exists():
        write_predictions(run.observer_predictions, score_observers(_plan(run, settings)))
    predictions = None if network is None else read_predictions(network)
    figures = summarise(read_predictions(run.observer_predictions), predictions, resamples=settings["resamples"])
    write_json(run.observer_summary, figures | made_from)
    log_event(run, "observer", **figures["counts"])
    return True


def _settings(run: RunFolder) -> dict[str, Any]:
    """Return the study's configuration, checked for what the stage needs."""
    if not run.config.exists() or not run.dataset_complete.exists():
        raise ObserverError(f"{run.path}: no prepared study; run `mammo-jax prepare --out {run.path}` first")
    settings: dict[str, Any] = read_json(run.config)["config"]
    if (unit := settings["units"]["unit"]) != "patch":
        raise ObserverError(
            f"{run.path}: it was made with --unit {unit}, and a model observer needs a lesion in the middle of a patch;"
            " name a study with --unit patch"
        )
    return settings


def _plan(run: RunFolder, settings: dict[str, Any]) -> ObserverPlan:
    images = _read_images_table(run.images)
    pitches = images.set_index("image_id")["pixel_pitch"]
    if settings["units"]["pixel_pitch"] is not None:
        pitches = pitches.fillna(settings["units"]["pixel_pitch"])
    return ObserverPlan(
        name=str(run.path),
        read=partial(read_examples, run.readable_parts(), masks=True),
        ratios=(1.0, *settings["ratios"]),
        sides=settings["units"]["patch_mm"] / pitches,
        audit=_read_images_table(run.audit),
        images=images,
    )


def _read_images_table(path: Path) -> pd.DataFrame:
    """Read a table with a row for each image, which may be called "NA" or "007"."""
    return pd.read_csv(path, dtype={"image_id": str}, keep_default_na=False, na_values={"pixel_pitch": [""]})


def observe_and_report(config: ObserverConfig, _flags: Sequence[str]) -> None:
    """Run the stage, and build the report anew if the study has one."""
    run = RunFolder(config.out)
    with locked(config.out):
        if run.config.exists():
            log_event(run, "start", job="observer", **environment())
        observed = observe(run)
        print(f"observers: {run.observer_summary}")
        if run.metrics.exists():
            print(f"report: {build_report(run) if observed or not run.report.exists() else run.report}")


def _parse(flags: list[str]) -> ObserverConfig:
    return read_flags("observer", ObserverConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(observe_and_report, _parse, arguments, networks=False)
