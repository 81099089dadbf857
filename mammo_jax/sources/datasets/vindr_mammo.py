"""VinDr-Mammo: 20 000 digital mammograms of 5000 examinations, with a BI-RADS category and boxes around findings.

Nguyen HT et al. VinDr-Mammo: a large-scale benchmark dataset for computer-aided diagnosis in full-field digital
mammography. Sci Data 2023;10:277. From PhysioNet, doi:10.13026/br2v-7517, under its Restricted Health Data License
1.5.0 after a data use agreement.

Layout: breast-level_annotations.csv, finding_annotations.csv and images/STUDY/IMAGE.dicom. Checked against the
publisher's vinbigdata-medical/vindr-mammo and against KP-AROB/AROB-VINDR. There are no patients in the tables: an
examination stands for one.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from mammo_jax.sources.datasets.layout import find
from mammo_jax.sources.datasets.published import Dataset, Entry, PublishedConfig, worst
from mammo_jax.sources.mammogram import Label
from mammo_jax.sources.regions import Region, box
from mammo_jax.sources.tables import Row, read_table

SPLITS = {"training": "train", "test": "test"}
KINDS = {"suspicious calcification": "calcifications", "mass": "mass"}
_IMAGE = ("study_id", "image_id")
_BREAST = (*_IMAGE, "laterality", "view_position", "breast_birads", "breast_density", "split")
_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_FINDING = (*_IMAGE, "finding_categories", "finding_birads", *_CORNERS)


def read(directory: Path, config: PublishedConfig) -> list[Entry]:
    """Make one entry for each image, labelled by its breast's category, or by a worse one of a finding."""
    table = find(directory, "breast-level_annotations.csv")
    findings: dict[str, list[Row]] = defaultdict(list)
    for row in read_table(find(directory, "finding_annotations.csv"), _FINDING):
        if row.text("xmin"):  # "No Finding" has no box
            findings[row.required("image_id")].append(row)
    return [_entry(row, findings[row.required("image_id")], config) for row in read_table(table, _BREAST)]


def _entry(row: Row, findings: list[Row], config: PublishedConfig) -> Entry:
    study, image = row.required("study_id"), row.required("image_id")
    breast = config.label(row.required("breast_birads"))
    regions = tuple(region for finding in findings if (region := _region(finding, breast, config)))
    return Entry(
        path=row.table.parent / "images" / study / f"{image}.dicom",
        image_id=image,
        patient_id=study,
        label=breast and worst([breast, *(region.label for region in regions)]),
        table=row.table,
        laterality="L" if row.choice("laterality", ("L", "R")) == "L" else "R",
        view=row.text("view_position") or None,
        density=row.text("breast_density") or None,
        split=SPLITS.get(row.choice("split", tuple(SPLITS))),
        regions=regions,
    )


def _region(finding: Row, breast: Label | None, config: PublishedConfig) -> Region | None:
    """Return the box of a finding, or None if it is normal; one without a category has that of the breast."""
    birads = finding.text("finding_birads")
    label = config.label(birads) if birads else breast
    if label is None or label == "normal":
        return None
    corners = [finding.number(field) for field in _CORNERS]
    if any(corner is None for corner in corners):
        raise finding.error("xmin", "a box needs xmin, ymin, xmax and ymax; download the table again")
    return Region(label, _kind(finding), (box(*(corner for corner in corners if corner is not None)),))


def _kind(finding: Row) -> str | None:
    """Return the first category of a list as "['Mass', 'Skin Thickening']"."""
    try:
        names = [str(name).lower() for name in ast.literal_eval(finding.required("finding_categories"))]
    except (ValueError, SyntaxError, TypeError) as error:
        raise finding.error("finding_categories", "is not a list of names; download the table again") from error
    return next((KINDS.get(name, name) for name in names), None)


VINDR_MAMMO = Dataset(
    title="digital mammograms of VinDr-Mammo",
    citation="Nguyen et al., Sci Data 2023;10:277; PhysioNet, doi:10.13026/br2v-7517",
    reference="The radiologists' BI-RADS category of each breast and finding; no biopsy results are published.",
    read=read,
    by_birads=True,
    splits=("train", "test"),
)
