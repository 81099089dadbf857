"""Fix beforehand what a verdict rests on, for scores that another program will make; a study writes its own protocol.

    mammo-jax protocol --images test_set.csv --ratios 15 20 50 --target malignant --primary-model mine --frozen

writes protocol.json with a SHA-256 over it. Keep it, best where its date can be proven, before you score anything, and
hand it in with the scores: mammo-jax evaluate --protocol protocol.json. The report then says "declared", and names
every field that the evaluation does not keep to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro

from mammo_jax.files import read_json, write_json
from mammo_jax.jobs.config import BOOTSTRAP_SEED, StudyConfig
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.provenance import log_event
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import AnalysisLevels, Level, Pooling, Scored
from mammo_jax.statistics.evaluation import RESAMPLES, check_resamples
from mammo_jax.statistics.operating_point import SENSITIVITY, OperatingPoint
from mammo_jax.statistics.predictions import read_text_table
from mammo_jax.statistics.protocol import (
    Protocol,
    ProtocolError,
    ThresholdFrom,
    differences,
    differences_text,
    new_protocol,
    read_protocol,
    sha256_of_test_set,
)
from mammo_jax.statistics.rule import ALPHAS, MARGIN, MIN_POSITIVE_PATIENTS, Rule


@dataclass(frozen=True)
class ProtocolConfig:
    """What is fixed.

    Attributes
    ----------
    images : Path
        CSV or Parquet file of the test set with the columns patient_id, image_id and label (0 or 1), as the predictions
        will have them; without scores.
    ratios : tuple of float
        The compression ratios that will be scored, beside 1.
    target : str
        What label 1 stands for.
    primary_model : str
        The name of the model that the verdict is about, as the predictions will have it.
    out : Path
        JSON file that is written.
    unit : str
        What one score is about.
    margin, alpha, min_positive_patients, analysis_level, level_score, sensitivity, threshold
        As for `evaluate`.
    resamples, bootstrap_seed, frozen
        As for `evaluate`.
    validation : bool
        The threshold will be found from scores of validation patients, which `evaluate` is given.
    """

    images: Path
    ratios: tuple[float, ...]
    target: str
    primary_model: str
    out: Path = Path("protocol.json")
    unit: Scored = "image"
    margin: float = MARGIN
    alpha: float = ALPHAS[0]
    min_positive_patients: int = MIN_POSITIVE_PATIENTS
    analysis_level: Level = "woman"
    level_score: Pooling = "max"
    sensitivity: float = SENSITIVITY
    threshold: float | None = None
    resamples: int = RESAMPLES
    bootstrap_seed: int = 0
    frozen: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    validation: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False

    @property
    def threshold_from(self) -> ThresholdFrom:
        """What the threshold will be found from."""
        if self.threshold is not None:
            return "given"
        return "validation patients" if self.validation else "every resample"


def write_protocol(config: ProtocolConfig, _flags: Sequence[str]) -> None:
    """Write the protocol, and print its hash; a protocol that is there already stays."""
    if config.out.exists():
        raise ProtocolError(f"{config.out} is there already, and a protocol is not written twice; choose another --out")
    if not config.ratios or min(config.ratios) <= 1 or len(set(config.ratios)) < len(config.ratios):
        raise ProtocolError(f"ratios: {config.ratios}; give at least one, each above 1 and none twice")
    check_resamples(config.resamples)
    if config.threshold is not None and (config.validation or not config.frozen):
        raise ProtocolError("threshold: only a frozen model is given one; add --frozen, and leave --validation out")
    protocol = new_protocol(
        Rule(config.margin, config.alpha, config.min_positive_patients),
        AnalysisLevels(config.analysis_level, config.level_score, config.unit),
        OperatingPoint(config.sensitivity, config.threshold),
        threshold_from=config.threshold_from,
        resamples=config.resamples,
        bootstrap_seed=config.bootstrap_seed,
        frozen=config.frozen,
        ladder=config.ratios,
        target=config.target,
        source="test set",
        source_sha256=sha256_of_test_set(read_test_set(config.images)),
        primary_model=config.primary_model,
    )
    write_json(config.out, protocol.document())
    print(f"protocol: {config.out}\nSHA-256:  {protocol.sha256}")


def read_test_set(path: Path) -> pd.DataFrame:
    """Read a test set without scores.

    Raises
    ------
    PredictionsError
        If the file is missing or unreadable.
    ProtocolError
        If it is not a table of patients, images and labels, or has scores already.
    """
    table = read_text_table(path)
    columns = ["patient_id", "image_id", "label"]
    if missing := [name for name in columns if name not in table]:
        raise ProtocolError(f"{path}: column {missing[0]!r} is missing; a test set has {', '.join(columns)}")
    if "score" in table:
        raise ProtocolError(f"{path}: column 'score': there are scores already, and a protocol is written before them")
    table = table[columns].astype(str).apply(lambda column: column.str.strip())
    wrong = table.index[~table["label"].isin(["0", "1"]) | (table == "").any(axis=1)]
    if table.empty or len(wrong):
        row = f"row {wrong[0] + 2}" if len(wrong) else "no rows"
        raise ProtocolError(f"{path}: {row}: every row needs a patient_id, an image_id and a label of 0 or 1")
    if table.drop_duplicates()["image_id"].duplicated().any():
        raise ProtocolError(f"{path}: column 'image_id': an image has two patients or labels; give it one")
    return table


def study_protocol(config: StudyConfig) -> Protocol | None:
    """Return the protocol of a study's configuration; None before its images are compressed."""
    complete = config.run.dataset_complete
    if not complete.exists():
        return None
    return new_protocol(
        config.rule,
        config.levels,
        config.operating_point,
        threshold_from="validation patients" if config.training.validation_parts > 1 else "every resample",
        resamples=config.resamples,
        bootstrap_seed=BOOTSTRAP_SEED,
        frozen=False,
        ladder=config.ratios,
        target=config.units.target,
        source="images of a study",
        source_sha256=read_json(complete)["data_sha256"],
        primary_model=config.training.model,
    )


def fix_protocol(config: StudyConfig) -> None:
    """Write a study's protocol before anything is trained; later refuse to go on with another one.

    A run that has models, or scores, and no protocol gets none: it would prove nothing.

    Raises
    ------
    ProtocolError
        The protocol was changed, or the configuration or the images were.
    """
    run, ours = config.run, study_protocol(config)
    if run.protocol.exists():
        fixed = read_protocol(run.protocol)
        if ours is not None and (changed := differences(fixed, ours)):
            raise ProtocolError(
                f"{run.protocol} was fixed before the run was trained, and its settings are others now: "
                f"{differences_text(changed)}; put them back, or choose another --out"
            )
    elif ours is not None and not run.predictions.exists() and not run.checkpoints.exists():
        write_json(run.protocol, ours.document())
        log_event(run, "protocol", sha256=ours.sha256)


def protocol_of_run(run: RunFolder) -> dict[str, Any] | None:
    """Return what `mammo_jax.report.protocol.protocol_status` reads, for a study's own evaluation; None without one.

    Where the dataset is gone nothing contradicts the hash of its images.
    """
    if not run.protocol.exists():
        return None
    fixed = read_protocol(run.protocol)
    complete = run.dataset_complete
    source = read_json(complete)["data_sha256"] if complete.exists() else fixed.source_sha256
    return {"document": fixed.document(), "source_sha256": source, "by_run": True}


def protocol_of_scores(path: Path, predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the same for scores that a protocol was handed in with.

    Raises
    ------
    ProtocolError
        The protocol is a study's own: its hash is of the study's images, which a table of scores does not have.
    """
    fixed = read_protocol(path)
    if fixed.source != "test set":
        raise ProtocolError(
            f"{path}: a study's own protocol, whose hash is of its images and not of a table of scores; evaluate into"
            " the study's own folder, or write a protocol for these scores with mammo-jax protocol"
        )
    return {"document": fixed.document(), "source_sha256": sha256_of_test_set(predictions), "by_run": False}


def _parse(flags: list[str]) -> ProtocolConfig:
    return read_flags("protocol", ProtocolConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(write_protocol, _parse, arguments, networks=False)
