"""The table that a finished model fills in: a row for each compressed image at each ratio, without the scores.

The ids are those of sizes.csv, so that they are the same at every ratio, and the labels are joined once.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.plan import CompressionPlan, identifier
from mammo_jax.files import atomic_path, read_json
from mammo_jax.ratios import ratio_text
from mammo_jax.sources import SourceError
from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.tables import Row, in_our_words, read_table

COLUMNS = ("patient_id", "image_id", "breast", "ratio", "label", "score", "file", "layer", "sop_instance_uid")
KEYS = ("image_id", "path", "sop_instance_uid")
"""By which a table of labels is joined; the first that it has counts."""
POSITIVE = {"malignant": ("malignant",), "abnormal": ("benign", "malignant")}
"""Labels that are 1, for each target."""
_NEEDED = ("image_id", "path", "patient_id", "sop_instance_uid", "new_sop_instance_uid", "ratio", "layer")


@dataclass(frozen=True)
class Template:
    """The rows of the table, and what is missing in them.

    Attributes
    ----------
    rows : list of dict
        The columns of `COLUMNS`.
    images, ratios : int
        Ratio 1 is counted too.
    without_label, without_patient : int
        Images whose cells are empty.
    unused_labels : int
        Rows of the table of labels that are of no compressed image.
    """

    rows: list[dict[str, str]]
    images: int
    ratios: int
    without_label: int
    without_patient: int
    unused_labels: int


def make_template(compressed: Path, labels: Path | None, *, target: str, key: bytes | None) -> Template:
    """Read sizes.csv, join the labels, and lay out the rows.

    Parameters
    ----------
    compressed : Path
        Folder that `mammo-jax compress` wrote.
    labels : Path or None
        CSV file with one of `KEYS`, and ``label``: 0 and 1, or normal, benign and malignant. Optional are
        ``patient_id``, for images whose files have none, and ``laterality`` or ``breast``.
    target : {"malignant", "abnormal"}
        Which of the three words are 1.
    key : bytes or None
        Key of the hashed ids, if the folder's tables have such.

    Raises
    ------
    CompressionError, SourceError
        The folder has no sizes.csv of this version, the key is another, or the labels cannot be used.
    """
    sizes, plan = _sizes(compressed), _plan(compressed, key)
    of_image: dict[str, list[Row]] = {}
    for row in sizes:
        if row.text("ratio"):  # a lossless result is the image at ratio 1
            of_image.setdefault(row.required("image_id"), []).append(row)
    if not of_image:
        raise CompressionError(f"{compressed}: has lossless results alone, which score as the uncompressed images")
    joined = _labels_by_key(labels, plan) if labels else (KEYS[0], {})
    rows, used = [], set()
    for image_id, results in of_image.items():
        known = joined[1].get(results[0].text(joined[0]))
        if known is not None:
            used.add(results[0].text(joined[0]))
        image = {"image_id": image_id} | _of_image(results[0], known, target, plan.key)
        first = {"ratio": "1", "file": results[0].text("path"), "sop_instance_uid": results[0].text("sop_instance_uid")}
        rows.append(dict.fromkeys(COLUMNS, "") | image | first)
        for result in sorted(results, key=lambda result: float(result.text("ratio"))):
            rows.append(dict.fromkeys(COLUMNS, "") | image | _of_result(result, plan))
    firsts = [row for row in rows if row["ratio"] == "1"]
    return Template(
        rows=rows,
        images=len(of_image),
        ratios=len({row["ratio"] for row in rows}),
        without_label=sum(not row["label"] for row in firsts),
        without_patient=sum(not row["patient_id"] for row in firsts),
        unused_labels=len(joined[1]) - len(used),
    )


def write_template(path: Path, template: Template) -> None:
    """Write the rows as a CSV file, atomically; a file that is there already stays.

    Raises
    ------
    CompressionError
        There is a file of this name, which may have scores already.
    """
    if path.exists():
        raise CompressionError(f"{path}: is there already, and may have scores; choose another --out")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(template.rows)


def _sizes(compressed: Path) -> list[Row]:
    path = compressed / "sizes.csv"
    if not path.is_file():
        raise CompressionError(f"{path}: is missing; give the folder that `mammo-jax compress --out` wrote")
    return read_table(path, _NEEDED)


def _plan(compressed: Path, key: bytes | None) -> CompressionPlan:
    """Return how the folder was made, with the key only where its ids are hashed; it must be theirs."""
    settings = read_json(compressed / "settings.json")
    stored = settings["id_key"]
    if stored is not None and (key is None or keyed_hash("", key, "key") != stored):
        raise CompressionError(f"{compressed}: its ids were hashed with another key; give that one with --id-key")
    known = {field.name: settings[field.name] for field in fields(CompressionPlan) if field.name in settings}
    known |= {"ratios": tuple(settings["ratios"]), "key": None if stored is None else key}
    return CompressionPlan(out=compressed, **known)


def _labels_by_key(path: Path, plan: CompressionPlan) -> tuple[str, dict[str, Row]]:
    """Return the column to join by, and the row of each of its values, hashed where those of sizes.csv are."""
    rows = in_our_words(read_table(path, ("label",)), ("label",))
    column = next((name for name in KEYS if name in rows[0].cells), None)
    if column is None:
        raise SourceError(f"{path}: lacks a column to join by; give it one of {', '.join(KEYS)}, as in sizes.csv")
    kind = {"path": "image", "sop_instance_uid": "uid"}.get(column) if plan.hashed_names else None
    found: dict[str, Row] = {}
    for row in rows:
        value = row.required(column)
        if kind:
            value = identifier(value, plan.key, kind)
        if value in found and row.text("label") != found[value].text("label"):
            raise row.error(column, "has another label in an earlier line; give the image one")
        found[value] = row
    return column, found


def _of_image(result: Row, known: Row | None, target: str, key: bytes | None) -> dict[str, str]:
    """Return patient, breast and label, which are the same at every ratio."""
    patient = result.text("patient_id")
    if known is None:
        return {"patient_id": patient}
    if not patient and (own := known.text("patient_id")):
        patient = own if key is None else keyed_hash(own, key, "patient")
    known.choice("label", ("0", "1", *POSITIVE["abnormal"], "normal"))
    label = known.required("label")
    if label not in ("0", "1"):
        label = str(int(label in POSITIVE[target]))
    return {"patient_id": patient, "breast": known.text("breast") or known.text("laterality"), "label": label}


def _of_result(result: Row, plan: CompressionPlan) -> dict[str, str]:
    """Return ratio, file, layer and UID of one result; the file is not known where names are hashed."""
    number = result.number("ratio")
    assert number is not None  # the lossless ones are left out
    name = PurePosixPath(result.text("path"))
    if not result.text("new_sop_instance_uid"):
        name = name.with_suffix(plan.extension)
    folder = plan.folders[None if None in plan.folders else number]
    return {
        "ratio": ratio_text(number),
        "file": "" if plan.hashed_names else (folder.relative_to(plan.out) / name).as_posix(),
        "layer": result.text("layer"),
        "sop_instance_uid": result.text("new_sop_instance_uid"),
    }
