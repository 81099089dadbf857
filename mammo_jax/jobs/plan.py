"""Say what a study will do, cost and need, and what of it cannot work: `mammo-jax plan`, same flags as study.

Reads the table and every image's header, with --check pixels every pixel as well. Checks the patients of each fold, the
network and its starting weights, disk, memory and devices. Writes nothing. Exits with 1 where the study cannot end
well. A study begins with this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from codec.encoding.codestream_writer import FIXED_BYTES
from mammo_jax.dataset.folds import read_folds
from mammo_jax.dataset.units import is_positive
from mammo_jax.errors import UserError
from mammo_jax.jobs.config import StudyConfig, parse
from mammo_jax.jobs.prepare import open_source
from mammo_jax.jobs.run_job import run_job
from mammo_jax.planning.cost import Work, network_bytes
from mammo_jax.planning.errors import PlanError
from mammo_jax.planning.features import check_features
from mammo_jax.planning.images import CheckedImage, check_images, check_samples
from mammo_jax.planning.machine import devices_text, unused_devices
from mammo_jax.planning.needs import Needs, check_needs, needs_of
from mammo_jax.planning.patients import FoldPatients, Images, patients_of_folds
from mammo_jax.provenance import environment
from mammo_jax.ratios import ratio_text
from mammo_jax.sources import Source
from mammo_jax.sources.problems import commonest
from mammo_jax.sources.stored_pixels import StoredSize
from mammo_jax.training.starting_weights import origin

Value = TypeVar("Value")

LIKELY_AUROC = 0.85
"""For which the patients of a verdict are counted beforehand."""


@dataclass(frozen=True)
class Plan:
    """What a study will do, with every number that is known beforehand.

    Attributes
    ----------
    labels : dict
        Label → number of images, of those that can be used.
    patients : int
    folds : list of FoldPatients
    work : Work
    needs : Needs
    warnings : list of str
        What may go wrong.
    """

    labels: dict[str, int]
    patients: int
    folds: list[FoldPatients]
    work: Work
    needs: Needs
    warnings: list[str]


def make_plan(config: StudyConfig) -> Plan:
    """Check all that can be checked before images are compressed.

    Raises
    ------
    UserError
        What cannot work, and what to do.
    """
    source = open_source(config)
    network = network_bytes(config.training, (config.units.input_rows, config.units.input_columns))
    if config.features_from is None:
        origin(config.training, None)
    images = _without_too_small(check_images(source, config.units, config.check, config.processes), config)
    usable = [place for place, image in enumerate(images) if image.size is not None]
    problems = [image.problem for image in images if image.size is None]
    if not usable:
        raise PlanError(f"no image can be used: {commonest(problems)}")
    if config.check == "headers":
        check_samples(source, config.units, usable)
    patients, labels = _of(source.patients(), usable), _of(source.labels(), usable)
    targets = [is_positive(label, config.units.target) for label in labels]
    units, examples, marks = _examples(config, source, usable, targets)
    folds = patients_of_folds(
        Images(patients, targets, examples),
        n_folds=config.folds,
        seed=config.fold_seed,
        validation_parts=config.training.validation_parts,
        stored=read_folds(config.run.folds) if config.run.folds.exists() else None,
    )
    if config.features_run is not None:
        held_out = [fold.names for fold in folds]
        check_features(config.features_run, config.seeds, config.trained_ratios, held_out, config.training)
    sizes = [size for place in usable if (size := images[place].size)]
    work = _work(config, sizes, units)
    needs = needs_of(work, network, config.out, config.processes, config.workers)
    left_out = [f"{len(problems)} of {len(images)} images cannot be used: {commonest(problems)}"] if problems else []
    warnings = [*left_out, *marks, *_verdict_warnings(config, folds), *check_needs(needs), *unused_devices()]
    return Plan(dict(Counter(labels)), len(set(patients)), folds, work, needs, warnings)


def _of(column: Sequence[Value], places: Sequence[int]) -> list[Value]:
    return [column[place] for place in places]


def _without_too_small(images: list[CheckedImage], config: StudyConfig) -> list[CheckedImage]:
    """Mark those of which the largest ratio leaves no room for a codestream's markers."""
    largest = max(config.ratios)

    def judged(image: CheckedImage) -> CheckedImage:
        if image.size is None or image.size.pixels * image.size.bits_allocated / 8 / largest >= FIXED_BYTES:
            return image
        return CheckedImage(None, f"too small for a compression ratio of {largest:g}; give smaller --ratios")

    return [judged(image) for image in images]


def _examples(
    config: StudyConfig, source: Source, usable: list[int], targets: list[int]
) -> tuple[int, tuple[list[bool], list[bool]], list[str]]:
    """Number of examples of a ratio, which images give negative and positive ones, and warnings."""
    negative, positive = [not target for target in targets], [bool(target) for target in targets]
    if config.units.unit != "patch" or config.plants_sites:
        return len(usable), (negative, positive), []
    table = source.table()
    marked = [len(table[place]["lesions"]) for place in usable]
    if not sum(marked):
        raise PlanError(
            "--unit patch cuts patches around marked lesions, and no lesion is marked; add lesion_row, lesion_column"
            " and lesion_radius to the table, or take --unit whole"
        )
    if config.units.target == "lesion":  # normal patches come from all images
        negative = [True] * len(usable)
    unmarked = sum(target and not count for target, count in zip(targets, marked))
    positive = [bool(target and count) for target, count in zip(targets, marked)]
    warnings = [f"{unmarked} positive images have no marked lesion; they give no positive patch"] if unmarked else []
    return sum(marked) * (1 + config.units.normals_per_lesion), (negative, positive), warnings


def _work(config: StudyConfig, sizes: Sequence[StoredSize], units: int) -> Work:
    ratios = len(config.ratios) + 1
    everywhere = 1 + config.mixed  # networks that are tested on every ratio even without a transfer matrix
    trained = len(config.trained_ratios)
    tests = trained * ratios if config.transfer_matrix else everywhere * ratios + trained - everywhere
    each = config.folds * len(config.seeds)
    return Work(
        sizes=sizes,
        drawn=config.source == "phantom",
        ratios=len(config.ratios),
        codec=config.codec,
        units=units,
        input_shape=(config.units.input_rows, config.units.input_columns),
        folds=config.folds,
        models=trained * each,
        tests=tests * each,
        training=config.training,
    )


def _verdict_warnings(config: StudyConfig, folds: Sequence[FoldPatients]) -> list[str]:
    positive = sum(fold.positive for fold in folds)
    needed = config.rule.needed_positive_patients(LIKELY_AUROC)
    warnings = []
    if positive < needed:
        warnings.append(
            f"{positive} positive patients; at an AUROC of {LIKELY_AUROC:g} a verdict needs {needed}, so it will most"
            " likely be 'cannot tell'"
        )
    if min(min(fold.positive, fold.negative) for fold in folds) == 1:
        warnings.append("a fold has a single positive or negative patient, which forbids a verdict; take fewer --folds")
    return warnings


def plan_lines(plan: Plan, config: StudyConfig) -> list[str]:
    """Return the plan in words, one topic a line."""
    work, positives, sizes = plan.work, [fold.positive for fold in plan.folds], Counter(plan.work.sizes)
    (common, _), count = sizes.most_common(1)[0], len(sizes)
    others = f" and {count - 1} other sizes" if count > 1 else ""
    classes = ", ".join(f"{plan.labels[label]} {label}" for label in sorted(plan.labels))
    ratios = ", ".join(map(ratio_text, config.ratios))
    training = f"{work.models} networks ({config.training.model}, {work.input_shape[0]} × {work.input_shape[1]} pixels)"
    packages = environment()["packages"]
    topics = {
        "images": f"{len(work.sizes)} of {plan.patients} patients, {common.rows} × {common.columns} pixels{others}; "
        f"{config.check} checked",
        "classes": f"{classes}; target: {config.units.target}",
        "folds": f"{config.folds}, each with {_span(positives)} positive and "
        f"{_span([fold.negative for fold in plan.folds])} negative patients",
        "compress": f"to {len(config.ratios)} ratios ({ratios}) with {config.codec}",
        "train": f"{training}, at most {config.training.epochs} epochs each, and {work.tests} tests",
        **plan.needs.topics(),
        "devices": devices_text(),
        "versions": ", ".join(f"{name} {packages[name]}" for name in ("mammo-jax", "jax", "flax", "numpy")),
    }
    lines = [f"  {topic:<9} {text}" for topic, text in topics.items()]
    return [f"plan for {config.out}", *lines, *(f"warning: {warning}" for warning in plan.warnings)]


def _span(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def plan_event(plan: Plan) -> dict[str, Any]:
    """Return what the run's log has of a plan."""
    return {
        "images": len(plan.work.sizes),
        "patients": plan.patients,
        "labels": plan.labels,
        "folds": [{"negative": fold.negative, "positive": fold.positive} for fold in plan.folds],
        "trainings": plan.work.models,
        "tests": plan.work.tests,
        "devices": devices_text(),
        "warnings": plan.warnings,
        **plan.needs.numbers(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(_start, partial(parse, job="plan"), arguments, networks=True)


def _start(config: StudyConfig, _flags: list[str]) -> None:
    if config.distributed:
        raise UserError("distributed is for training; plan the study without it")
    print("\n".join(plan_lines(make_plan(config), config)))
