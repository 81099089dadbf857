"""CDD-CESM: 1003 low-energy images of contrast-enhanced mammography of 326 women, with outlines of findings.

Khaled R et al. Categorized contrast enhanced mammography dataset for diagnostic and artificial intelligence research.
Sci Data 2022;9:122. From The Cancer Imaging Archive, doi:10.7937/29kw-ae92, CC BY 4.0. The images are JPEG files, so
they were compressed lossily before. The subtracted images show contrast agent, are no mammograms, and are not read.

Layout: "Low energy images of CDD-CESM"/PATIENT_SIDE_DM_VIEW.jpg, Radiology-manual-annotations.xlsx (sheet "all") and
Radiology_hand_drawn_segmentations_v2.csv, a table of the VGG Image Annotator. Checked against the authors' own
omar-mohamed/CDD-CESM-Dataset and sarah-antillia/Augmentation-CDD-CESM-Mammogram-Segmentation-Dataset. Some names have a
blank before ".jpg".
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from mammo_jax.sources.datasets.layout import find
from mammo_jax.sources.datasets.published import Dataset, Entry, PublishedConfig, worst
from mammo_jax.sources.mammogram import Label
from mammo_jax.sources.regions import Outline, Region, box, ellipse
from mammo_jax.sources.spreadsheets import read_sheet
from mammo_jax.sources.tables import Row, read_table

FOLDER = "Low energy images of CDD-CESM"
CLASSES: dict[str, Label] = {"Normal": "normal", "Benign": "benign", "Malignant": "malignant"}
_CLASS = "Pathology Classification/ Follow up"
_SHEET = ("Image_name", "Patient_ID", "Side", "Type", "Breast density (ACR)", "View", _CLASS)
_SHAPES = ("#filename", "region_shape_attributes")


def read(directory: Path, _config: PublishedConfig) -> list[Entry]:
    """Make one entry for each low-energy image; its label is the biopsy's or that of the follow-up."""
    folder = find(directory, FOLDER)
    images = {_stem(path.name): path for path in sorted(folder.glob("*.jpg"))}
    shapes: dict[str, list[Outline]] = defaultdict(list)
    for row in read_table(find(directory, "Radiology_hand_drawn_segmentations_v2.csv"), _SHAPES):
        shapes[_stem(row.required("#filename"))].append(_outline(row))
    named: dict[str, list[Row]] = defaultdict(list)
    for row in read_sheet(find(directory, "Radiology-manual-annotations.xlsx"), _SHEET):
        if row.text("Type") == "DM":
            named[_stem(row.required("Image_name"))].append(row)
    return [_entry(name, rows, images.get(name, folder / f"{name}.jpg"), shapes[name]) for name, rows in named.items()]


def _stem(name: str) -> str:
    return name.strip().removesuffix(".jpg").strip()


def _entry(name: str, rows: list[Row], path: Path, shapes: list[Outline]) -> Entry:
    """Merge the rows of an image; it has several where several findings are described."""
    first = rows[0]
    for row in rows:
        row.choice(_CLASS, tuple(CLASSES))
        row.choice("Side", ("L", "R"))
    label = worst([CLASSES[row.required(_CLASS)] for row in rows])
    patient = first.required("Patient_ID")
    return Entry(
        path=path,
        image_id=name,
        patient_id=patient if patient.startswith("P") else f"P{patient}",
        label=label,
        table=first.table,
        laterality="L" if first.required("Side") == "L" else "R",
        view=first.text("View") or None,
        density=first.text("Breast density (ACR)") or None,
        regions=() if label == "normal" else tuple(Region(label, None, (shape,)) for shape in shapes if shape),
    )


def _outline(row: Row) -> Outline:
    """Return the outline of a shape of the VGG Image Annotator; empty for one without an area."""
    try:
        shape = json.loads(row.required("region_shape_attributes"))
        kind = shape.get("name")
        if kind in ("polygon", "polyline"):
            return tuple(zip(map(float, shape["all_points_y"]), map(float, shape["all_points_x"]), strict=True))
        if kind in ("circle", "ellipse"):
            rows = float(shape["r"] if kind == "circle" else shape["ry"])
            columns = float(shape["r"] if kind == "circle" else shape["rx"])
            return ellipse(float(shape["cy"]), float(shape["cx"]), rows, columns)
        if kind == "rect":
            top, left = float(shape["y"]), float(shape["x"])
            return box(top, left, top + float(shape["height"]), left + float(shape["width"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise row.error("region_shape_attributes", "is not a shape; download the table again") from error
    return ()


CDD_CESM = Dataset(
    title="low-energy images of contrast-enhanced mammography in CDD-CESM",
    citation="Khaled et al., Sci Data 2022;9:122; TCIA, doi:10.7937/29kw-ae92",
    reference="Biopsy, or follow-up, of the breast.",
    read=read,
)
