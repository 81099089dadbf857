"""The protocol: what a verdict rests on, written down with a hash before any score exists, and compared afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mammo_jax.errors import UserError
from mammo_jax.files import read_json, sha256_json
from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.analysis_levels import AnalysisLevels, Level, Pooling, Scored
from mammo_jax.statistics.metrics import primary_model
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.rule import Rule

SCHEMA = "mammo_jax protocol 2"
Status = Literal["fixed beforehand", "declared", "exploratory"]
ThresholdFrom = Literal["given", "validation patients", "every resample", "none"]
Source = Literal["images of a study", "test set"]
NAMES = {
    "margin": "margin",
    "alpha": "one-sided level",
    "min_positive_patients": "smallest number of positive patients",
    "unit": "unit scored",
    "analysis_level": "analysis level",
    "level_score": "score of a breast or a woman",
    "sensitivity": "sensitivity of the operating point",
    "threshold": "threshold",
    "threshold_from": "threshold found from",
    "resamples": "bootstrap resamples",
    "bootstrap_seed": "seed of the bootstrap",
    "frozen": "one finished model",
    "ladder": "compression ratios",
    "target": "target",
    "source": "hash made over",
    "source_sha256": "SHA-256 of the images",
    "primary_model": "primary model",
}
"""The fields in words, in the order in which they are shown."""


class ProtocolError(UserError):
    """A protocol that cannot be used, or that a run does not keep to; the message says what to do."""


@dataclass(frozen=True)
class Protocol:
    """Everything that could be chosen afterwards to please.

    Attributes
    ----------
    margin, alpha, min_positive_patients
        See `mammo_jax.statistics.rule.Rule`.
    unit : {"image", "patch"}
        What one score is about.
    analysis_level, level_score
        See `mammo_jax.statistics.analysis_levels.AnalysisLevels`.
    sensitivity : float
        Of the operating point.
    threshold : float or None
        A frozen model's own.
    threshold_from : {"given", "validation patients", "every resample", "none"}
        As `mammo_jax.statistics.harm.at_operating_point` names it: "every resample" is from the test scores at CR 1;
        "none" is an evaluation without CR 1, which has no operating point.
    resamples, bootstrap_seed : int
        Of the bootstrap; another seed moves a bound a little, which can be enough for a ratio to pass.
    frozen : bool
        Whether the verdict is about one finished model, or about all that such a training gives.
    ladder : tuple of float
        The tested ratios in rising order, without 1.
    target : str
        What label 1 stands for.
    source : {"images of a study", "test set"}
        What the next hash is made over.
    source_sha256 : str
        Of the images of a run (`data_sha256` in its log), or of the test set of imported scores, `sha256_of_test_set`.
    primary_model : str
    """

    margin: float
    alpha: float
    min_positive_patients: int
    unit: Scored
    analysis_level: Level
    level_score: Pooling
    sensitivity: float
    threshold: float | None
    threshold_from: ThresholdFrom
    resamples: int
    bootstrap_seed: int
    frozen: bool
    ladder: tuple[float, ...]
    target: str
    source: Source
    source_sha256: str
    primary_model: str

    def fields(self) -> dict[str, Any]:
        """Return the fields as JSON types; 15 and 15.0 are the same number."""
        numbers = ("margin", "alpha", "sensitivity")
        found = asdict(self) | {"ladder": [float(ratio) for ratio in self.ladder]}
        found |= {name: float(found[name]) for name in numbers}
        return found | {"threshold": None if self.threshold is None else float(self.threshold)}

    @property
    def sha256(self) -> str:
        """SHA-256 of the fields as canonical JSON."""
        return sha256_json(self.fields())

    def document(self) -> dict[str, Any]:
        """Return what is written to a protocol file."""
        return {"schema": SCHEMA, "protocol": self.fields(), "sha256": self.sha256}


def new_protocol(
    rule: Rule,
    levels: AnalysisLevels,
    point: OperatingPoint,
    *,
    threshold_from: ThresholdFrom,
    resamples: int,
    bootstrap_seed: int,
    frozen: bool,
    ladder: tuple[float, ...],
    target: str,
    source: Source,
    source_sha256: str,
    primary_model: str,
) -> Protocol:
    """Return the protocol of these settings."""
    return Protocol(
        margin=rule.margin,
        alpha=rule.alpha,
        min_positive_patients=rule.min_positive_patients,
        unit=levels.scored,
        analysis_level=levels.primary,
        level_score=levels.pooling,
        sensitivity=point.sensitivity,
        threshold=point.threshold,
        threshold_from=threshold_from,
        resamples=resamples,
        bootstrap_seed=bootstrap_seed,
        frozen=frozen,
        ladder=tuple(sorted(ratio for ratio in ladder if ratio != 1)),
        target=target,
        source=source,
        source_sha256=source_sha256,
        primary_model=primary_model,
    )


def read_protocol(path: Path) -> Protocol:
    """Read a protocol file.

    Raises
    ------
    ProtocolError
        If it is not one, or was changed after it was written: its hash is not that of its fields.
    """
    try:
        document = read_json(path)
    except FileNotFoundError as error:
        raise ProtocolError(f"{path}: no such file; mammo-jax protocol writes one") from error
    except ValueError as error:
        raise ProtocolError(f"{path}: not readable JSON ({error}); mammo-jax protocol writes a protocol") from error
    return checked(document, str(path))


def checked(document: Any, name: str) -> Protocol:
    """Return the protocol of a document, see `read_protocol`; `name` is for the message."""
    if isinstance(document, Mapping) and document.get("schema") == "mammo_jax protocol 1":
        raise ProtocolError(
            f"{name}: a protocol of an older version, which left the bootstrap's seed open; evaluate with that version,"
            " or take the protocol away, and the verdict is exploratory"
        )
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise ProtocolError(f"{name}: field schema is not {SCHEMA!r}; mammo-jax protocol writes a protocol")
    content, wanted = document.get("protocol"), {field.name for field in fields(Protocol)}
    if not isinstance(content, Mapping) or set(content) != wanted:
        raise ProtocolError(f"{name}: the fields of the protocol are not {', '.join(sorted(wanted))}")
    if document.get("sha256") != sha256_json(content):
        raise ProtocolError(
            f"{name}: its content does not fit its SHA-256, so it was changed after it was written; take the original,"
            " or evaluate without it, which is then exploratory"
        )
    try:
        protocol = Protocol(**{**content, "ladder": tuple(content["ladder"])})
        kept = protocol.fields() == content
    except (TypeError, ValueError):
        kept = False
    if not kept:
        raise ProtocolError(f"{name}: a field of the protocol has no value that mammo-jax protocol writes")
    return protocol


def differences(fixed: Protocol, used: Protocol) -> list[dict[str, str]]:
    """List the fields in which an evaluation is not what the protocol says: field, fixed and used, as text."""
    ours, theirs = fixed.fields(), used.fields()
    return [
        {"field": NAMES[name], "fixed": as_text(ours[name]), "used": as_text(theirs[name])}
        for name in NAMES
        if ours[name] != theirs[name]
    ]


def differences_text(found: Sequence[Mapping[str, str]]) -> str:
    """Return differences in words: "margin 0.05, and here 0.1; target …"."""
    return "; ".join(f"{item['field']} {item['fixed']}, and here {item['used']}" for item in found)


def as_text(value: Any) -> str:
    """Return a field's value for a reader."""
    if isinstance(value, list):
        return ", ".join(ratio_text(ratio) for ratio in value)
    if isinstance(value, float):
        return ratio_text(value) if math.isfinite(value) else "not evaluated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def used_protocol(metrics: Mapping[str, Any], source: Source, source_sha256: str) -> Protocol:
    """Return the protocol that an evaluation kept to, from its metrics."""
    model = primary_model(metrics)
    levels, operating = metrics["analysis_levels"], model["operating_point"]
    threshold_from: ThresholdFrom = operating["threshold_from"] if operating else "none"
    return Protocol(
        margin=metrics["margin"],
        alpha=metrics["alpha"],
        min_positive_patients=metrics["minimum_positive_patients"],
        unit=levels["scored"],
        analysis_level=levels["primary"],
        level_score=levels["pooling"],
        sensitivity=operating["sensitivity"] if operating else float("nan"),
        threshold=operating["thresholds"][0][0] if threshold_from == "given" else None,
        threshold_from=threshold_from,
        resamples=metrics["resamples"],
        bootstrap_seed=metrics["seed"],
        frozen=metrics["frozen"],
        ladder=tuple(sorted({result["test_ratio"] for result in model["results"] if result["test_ratio"] != 1})),
        target=metrics["target"],
        source=source,
        source_sha256=source_sha256,
        primary_model=metrics["primary_model"],
    )


def sha256_of_test_set(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a test set: its patients, images and labels, in any order, each image once or more often.

    Parameters
    ----------
    table : DataFrame
        Columns patient_id, image_id and label (0 or 1).
    """
    rows = table[["patient_id", "image_id", "label"]].drop_duplicates()
    return sha256_json(sorted([str(patient), str(image), int(label)] for patient, image, label in rows.to_numpy()))
