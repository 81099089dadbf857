"""Cross-validation folds by patient: divided once, stored, and the same for every ratio and model."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from mammo_jax.errors import UserError
from mammo_jax.files import write_text

FIELDS = ("patient_id", "fold", "units", "positives")


class FoldError(UserError):
    """Folds that cannot be made or used; the message names the patients or the file and what to do."""


def make_folds(
    patients: Sequence[str], targets: Sequence[int] | np.ndarray, *, n_folds: int = 5, seed: int = 0
) -> np.ndarray:
    """Divide units into folds so that no patient is in two and each fold has about the same share of every target.

    The result depends on the patients' ids, targets and the seed, not on the order of the units.

    Parameters
    ----------
    patients : sequence of str [units]
    targets : sequence of int [units]
        The class of each unit; usually 0 and 1.
    n_folds : int, at least 2
    seed : int

    Returns
    -------
    int64 array [units]
        Fold of each unit, 0 … n_folds − 1.

    Raises
    ------
    FoldError
        A target has fewer patients than folds, or is missing from a fold.
    """
    targets = np.asarray(targets)
    names = np.asarray(patients, dtype=str)
    if n_folds < 2 or len(names) != len(targets) or len(names) == 0:
        raise FoldError(f"{n_folds} folds of {len(names)} patients' ids and {len(targets)} targets cannot be made")
    classes = np.unique(targets)
    if len(classes) < 2:
        raise FoldError(
            f"all images are {_kind(classes[0])}; a study needs positive and negative ones: check labels and --target"
        )
    for value in classes:
        count = len(np.unique(names[targets == value]))
        if count < n_folds:
            raise FoldError(
                f"only {count} patients have {_kind(value)} images, too few for {n_folds} folds; "
                "use fewer folds or add patients"
            )
    order = np.lexsort((targets, names))
    splitter = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    folds = np.empty(len(names), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(order, targets[order], names[order])):
        folds[order[held_out]] = fold
    for fold in range(n_folds):
        missing = np.setdiff1d(classes, targets[folds == fold])
        if len(missing):
            raise FoldError(f"fold {fold} has no {_kind(missing[0])} image; use fewer folds or another --fold-seed")
    return folds


def _kind(target: int) -> str:
    return {0: "negative", 1: "positive"}.get(int(target), f"class {target}")


def stored_folds(
    path: Path | str,
    patients: Sequence[str],
    targets: Sequence[int] | np.ndarray,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Read the folds stored at `path`, or divide the units into new folds and store them there.

    Parameters and result are those of `make_folds`. If the file exists, every unit gets its patient's stored fold,
    whatever the seed. Patients in the file without a unit are allowed, so that a subset keeps its folds.

    Raises
    ------
    FoldError
        The file is damaged, has another number of folds, or lacks one of the patients.
    """
    path = Path(path)
    if not path.exists():
        folds = make_folds(patients, targets, n_folds=n_folds, seed=seed)
        write_folds(path, patients, targets, folds)
        return folds
    by_patient = read_folds(path)
    if set(by_patient.values()) != set(range(n_folds)):
        stored = len(set(by_patient.values()))
        raise FoldError(f"{path}: has {stored} folds, not {n_folds}; use another run folder or remove it")
    unknown = sorted(set(patients) - by_patient.keys())
    if unknown:
        raise FoldError(
            f"{path}: lacks {len(unknown)} patients, first {unknown[0]}: it belongs to other images; "
            "use another run folder or remove it"
        )
    return np.array([by_patient[patient] for patient in patients], dtype=np.int64)


def write_folds(
    path: Path | str, patients: Sequence[str], targets: Sequence[int] | np.ndarray, folds: np.ndarray
) -> None:
    """Store one line per patient (patient_id, fold, units, positives), atomically.

    Raises
    ------
    FoldError
        A patient is in two folds.
    """
    lines: dict[str, list[int]] = {}
    for patient, target, fold in zip(patients, targets, folds):
        line = lines.setdefault(patient, [int(fold), 0, 0])
        if line[0] != fold:
            raise FoldError(f"patient {patient} is in the folds {line[0]} and {fold}; a patient belongs to one")
        line[1] += 1
        line[2] += int(target != 0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows([patient, *lines[patient]] for patient in sorted(lines))
    write_text(path, text.getvalue())


def read_folds(path: Path | str) -> dict[str, int]:
    """Read the fold of each patient id from a file of `write_folds`; FoldError if it is damaged."""
    folds: dict[str, int] = {}
    with Path(path).open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != list(FIELDS):
            raise FoldError(f"{path}: the header is not {','.join(FIELDS)}; remove the file to make new folds")
        for row in reader:
            patient, fold = row["patient_id"], row["fold"]
            if not patient or not (fold or "").isdecimal():
                raise FoldError(
                    f"{path}, line {reader.line_num}: no patient and fold; remove the file to make new folds"
                )
            if folds.setdefault(patient, int(fold)) != int(fold):
                raise FoldError(f"{path}, line {reader.line_num}: patient {patient} is in two folds; remove the file")
    return folds


def hash_pixels(pixels: np.ndarray) -> str:
    """Return the SHA-256 of an image's size and grey levels, the same for 8 or 16 bits and either byte order."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<u2").tobytes())
    return digest.hexdigest()


def check_duplicates(image_ids: Sequence[str], patients: Sequence[str], hashes: Sequence[str]) -> list[tuple[str, ...]]:
    """Find images with equal pixels.

    Parameters
    ----------
    image_ids, patients : sequences of str [images]
    hashes : sequence of str [images]
        From `hash_pixels`.

    Returns
    -------
    list of tuple of str
        Image ids of each set of equal images of one patient; a patient is in one fold, so they do no harm.

    Raises
    ------
    FoldError
        Two patients have equal pixels: the image could be in the training and in the test data.
    """
    groups = defaultdict(list)
    for image_id, patient, pixel_hash in zip(image_ids, patients, hashes):
        groups[pixel_hash].append((image_id, patient))
    equal = [group for group in groups.values() if len(group) > 1]
    across_patients = [group for group in equal if len({patient for _, patient in group}) > 1]
    if across_patients:
        listed = "; ".join(
            " = ".join(f"{image} (patient {patient})" for image, patient in group) for group in across_patients[:5]
        )
        raise FoldError(
            f"{len(across_patients)} images have the same pixels under different patients: {listed}. "
            "Give them one patient id or leave one out; otherwise training data could contain test images"
        )
    return [tuple(image for image, _ in group) for group in equal]
