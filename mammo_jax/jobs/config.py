"""The study's typed configuration: command-line flags, presets and the run's config.json are all this one class."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

import tyro

from mammo_jax.compression.ladder import CodecName
from mammo_jax.dataset.units import UnitConfig
from mammo_jax.errors import UserError
from mammo_jax.files import read_json
from mammo_jax.jobs.flags import from_json
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.scored import scored_unit
from mammo_jax.jobs.source_config import FolderConfig, PhantomConfig
from mammo_jax.planning.images import Check
from mammo_jax.processes import available_cores
from mammo_jax.ratios import LADDER, MIXED
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.methods import Method
from mammo_jax.sources.datasets import DATASETS, PublishedConfig
from mammo_jax.statistics.analysis_levels import AnalysisLevels, Level, Pooling
from mammo_jax.statistics.evaluation import RESAMPLES, check_resamples
from mammo_jax.statistics.operating_point import SENSITIVITY, OperatingPoint
from mammo_jax.statistics.rule import ALPHAS, MARGIN, MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.training_config import TrainingConfig

MAX_SEED = 2**32 - 2
"""Of 32 bits; saliency may take the next one as well."""

BOOTSTRAP_SEED = 0
"""Of every study's statistics."""

SourceName = Literal[
    "phantom", "mias", "folder", "hybrid", "cbis_roi",
    "cbis-ddsm", "inbreast", "vindr-mammo", "cmmd", "rsna-2023", "cdd-cesm",
]  # fmt: skip


class ConfigError(UserError):
    """Stored settings that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class StudyConfig:
    """One study: images, ratios, units, training, statistics.

    Attributes
    ----------
    out : Path
        Run folder: all that a study makes lies there.
    source : str
        Where the images come from: drawn phantoms, mini-MIAS, files of your own (folder), lesions planted into
        mini-MIAS (hybrid), or a published data set.
    source_dir : Path or None
        folder: the CSV file (--table). mias, hybrid, cbis_roi: the folder with labels.csv and images/. A published data
        set: its folder, as downloaded.
    ratios : tuple of float
        The ladder; 1 is always added.
    codec : str
        What compresses: our JPEG 2000 to the byte, or another codec at the nearest size that it reaches.
    train_ratios : tuple of float or None
        Ratios that models are trained at, beside 1; None trains at every ratio of the ladder.
    mixed : bool
        Train on all ratios together as well.
    transfer_matrix : bool
        Test every model on every ratio, not only those trained at CR 1 and on all ratios.
    folds : int
        Parts of the patients for cross-validation; each is tested by networks that the others trained.
    seeds : tuple of int
        One training of every network for each.
    fold_seed : int
        Another seed divides the patients anew.
    margin : float
        Largest loss of AUROC that passes, fixed before the run.
    alpha : float
        One-sided level of the test: 0.025 or 0.05. The other one's result is shown too.
    min_positive_patients : int
        With fewer patients with a positive image no ratio is given; a model with an AUROC above 0.8 needs more, see
        docs/EVIDENCE.md.
    analysis_level : str
        What the verdict counts, not what the network sees (that is the unit): each image or patch by itself, each
        breast, or each woman. The other levels are shown beside it.
    level_score : str
        The score of a breast or a woman: the maximum or the mean over its images.
    sensitivity : float
        A ratio must not harm sensitivity or specificity at the threshold that has this sensitivity uncompressed, on the
        validation patients.
    prevalence : float or None
        Share of positives where the model is to be used, such as 0.006; then recalls and missed positives per 1000 are
        given.
    resamples : int
        Bootstrap resamples for the intervals.
    features_from : Path or None
        A finished patch run of OTHER patients: each training starts from its network of the same seed, ratio and fold.
    workers : int or None
        Processes that compress, and that train on the CPU; None takes every core.
    check : {"headers", "pixels"}
        What the plan reads of every image before the study begins: its header, or all of its pixels.
    distributed : bool
        train: this is one of several processes that share each model, see `mammo_jax.devices.join_processes`.
    saliency : bool
        Also measure where the networks look (the job `saliency`); can be asked for later.
    saliency_method : str
        The method that is followed over the ratios; the others are compared with it at CR 1. From the blurred image, a
        map shows what the detail adds, not what is bright.
    """

    out: Path = Path("runs/study")
    source: SourceName = "phantom"
    source_dir: Annotated[Path | None, tyro.conf.arg(aliases=("--table",))] = None
    ratios: tuple[float, ...] = LADDER
    codec: CodecName = "mammo_jax"
    train_ratios: tuple[float, ...] | None = None
    mixed: bool = False
    transfer_matrix: bool = True
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    fold_seed: int = 0
    margin: float = MARGIN
    alpha: float = ALPHAS[0]
    min_positive_patients: int = MIN_POSITIVE_PATIENTS
    analysis_level: Level = "image"
    level_score: Pooling = "max"
    sensitivity: float = SENSITIVITY
    prevalence: float | None = None
    resamples: int = RESAMPLES
    features_from: Path | None = None
    workers: int | None = None
    check: Check = "headers"
    distributed: bool = False
    saliency: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    saliency_method: Method = "ig_blurred"
    units: UnitConfig = field(default_factory=UnitConfig)
    phantom: PhantomConfig = field(default_factory=PhantomConfig)
    folder: FolderConfig = field(default_factory=FolderConfig)
    published: PublishedConfig = field(default_factory=PublishedConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse at once what would be refused after hours."""
        check_resamples(self.resamples)
        _ = self.rule, self.operating_point  # refuse what they cannot be
        if self.folds < 2:
            raise ValueError(f"folds: {self.folds} is too few; models of the others score a fold, so take 2")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {self.seeds}; give at least one, and none twice")
        if min(self.seeds) < 0 or max(self.seeds) > MAX_SEED:
            raise ValueError(f"seeds: {self.seeds}; each must be a whole number from 0 to {MAX_SEED}")
        if not self.ratios or any(not 1 < ratio < float("inf") for ratio in self.ratios):
            raise ValueError("ratios: each must be a finite number above 1; 1 itself is always part of the study")
        if list(self.ratios) != sorted(set(self.ratios)):
            raise ValueError("ratios: write them once each and in rising order")
        if unknown := set(self.train_ratios or ()) - {1.0, *self.ratios}:
            raise ValueError(f"train_ratios: {sorted(unknown)} are not among the ratios")

    @property
    def run(self) -> RunFolder:
        """The run's files."""
        return RunFolder(self.out)

    @property
    def features_run(self) -> RunFolder | None:
        """The run whose networks training starts from."""
        return None if self.features_from is None else RunFolder(self.features_from)

    @property
    def rule(self) -> Rule:
        """The verdict's rule."""
        return Rule(self.margin, self.alpha, self.min_positive_patients)

    @property
    def levels(self) -> AnalysisLevels:
        """The verdict's analysis level."""
        return AnalysisLevels(self.analysis_level, self.level_score, scored_unit(self.units.unit))

    @property
    def operating_point(self) -> OperatingPoint:
        """Where sensitivity and specificity are measured."""
        return OperatingPoint(self.sensitivity, prevalence=self.prevalence)

    @property
    def plants_sites(self) -> bool:
        """Whether the source plants lesions and lesion-free sites itself, so that no normal patches are matched."""
        return self.source in ("phantom", "hybrid")

    @property
    def processes(self) -> int:
        """How many processes compress."""
        return self.workers or available_cores()

    @property
    def trained_ratios(self) -> tuple[float | str, ...]:
        """Every ratio that models are trained at, 1 first, the mixture last."""
        chosen = self.ratios if self.train_ratios is None else self.train_ratios
        return (1.0, *(ratio for ratio in chosen if ratio != 1), *([MIXED] if self.mixed else []))


def parse(arguments: list[str], job: str = "study") -> StudyConfig:
    """Read flags on top of a stored run's config (--config), or of the preset that belongs to the source and unit.

    A preset is `mammo_jax/jobs/presets/SOURCE_UNIT.py` with a CONFIG. For `folder` and published data sets it is that
    of `mias`, or of `cbis_roi` where each image is a patch; `cbis_roi` has one for all units, since its images are
    nothing else. Without --unit it is a patch, or the whole image where a data set does not mark lesions.
    """
    path = _flag(arguments, "config", "")
    if path:
        return read_flags(job, StudyConfig, _without_config(arguments), read_config(Path(path)), prefixes=False)
    source = _flag(arguments, "source", "phantom")
    marked = source not in DATASETS or DATASETS[source].marks_lesions
    preset = load_preset(source, _flag(arguments, "unit", "patch" if marked else "whole"))
    return read_flags(job, StudyConfig, arguments, preset, prefixes=False)


def load_preset(source: str, unit: str) -> StudyConfig:
    """Load the preset of a source and a unit."""
    others = source == "folder" or source in DATASETS
    like = ("cbis_roi" if unit == "frame" else "mias") if others else source
    name = f"mammo_jax.jobs.presets.{like}" + ("" if like == "cbis_roi" else f"_{unit}")
    try:
        preset: StudyConfig = importlib.import_module(name).CONFIG
    except ModuleNotFoundError:
        return StudyConfig()  # the flag's value is wrong; the parser says so in its own words
    if not others:
        return preset
    return dataclasses.replace(preset, source=cast(SourceName, source), out=Path(f"runs/{source}-{unit}"))


def read_config(path: Path) -> StudyConfig:
    """Read the settings of a run from its config.json, or from its folder.

    Raises
    ------
    ConfigError
        The file is none, or has settings that this version does not know.
    """
    path = RunFolder(path).config if path.is_dir() else path
    try:
        return from_json(StudyConfig, read_json(path)["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--config {path}: cannot be used ({error}); give a run's config.json or folder") from error


def _without_config(arguments: list[str]) -> list[str]:
    """The flags without --config FILE or --config=FILE."""
    if "--config" in arguments:
        place = arguments.index("--config")
        return arguments[:place] + arguments[place + 2 :]
    return [argument for argument in arguments if not argument.startswith("--config=")]


def _flag(arguments: list[str], name: str, default: str) -> str:
    """Value of `--name VALUE` or `--name=VALUE`, without parsing the rest."""
    for position, argument in enumerate(arguments):
        if argument == f"--{name}" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"--{name}="):
            return argument.split("=", 1)[1]
    return default
