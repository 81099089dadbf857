"""INbreast: 410 digital mammograms of 108 women, with outlines of every finding and a BI-RADS category.

Moreira IC et al. INbreast: toward a full-field digital mammographic database. Acad Radiol 2012;19:236–248. On request
from the authors (Breast Research Group, INESC TEC, Porto), for research only.

Layout: the folder "INbreast Release 1.0" with INbreast.csv (semicolons), AllDICOMs/ID_PATIENT_MG_SIDE_VIEW_ANON.dcm and
AllXML/ID.xml, property lists of OsiriX. Checked against itzortzis/INBreast_XML_parser and
KP-AROB/AROB-Inbreast-Dataset-Preparation. The table's patients are "removed"; the file names have them.
"""

from __future__ import annotations

import plistlib
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from mammo_jax.sources.datasets.layout import find
from mammo_jax.sources.datasets.published import Dataset, Entry, PublishedConfig
from mammo_jax.sources.mammogram import Label, SourceError
from mammo_jax.sources.regions import Outline, Region
from mammo_jax.sources.tables import Row, read_table

_FIELDS = ("Laterality", "View", "File Name", "ACR", "Bi-Rads")
KINDS = {
    "mass": "mass",
    "cluster": "calcifications",
    "calcification": "calcifications",
    "calcifications": "calcifications",
    "distortion": "architectural distortion",
    "asymmetry": "asymmetry",
    "assymetry": "asymmetry",  # as published
    "spiculated region": "spiculated region",
    "espiculated region": "spiculated region",  # as published
}
SINGLE = ("calcification", "calcifications")
"""Names of marks that are single calcifications, up to hundreds in an image."""
GROUP_REACH = 10 / 0.07
"""Pixels of 0.07 mm in 1 cm: calcifications nearer than that are one group (ACR BI-RADS: five within 1 cm)."""
GROUP_SIZE = 5


def read(directory: Path, config: PublishedConfig) -> list[Entry]:
    """Make one entry for each image; the label of image and lesions is that of the image's BI-RADS category."""
    table = find(directory, "INbreast.csv")
    images = {path.name.split("_")[0]: path for path in sorted((table.parent / "AllDICOMs").glob("*.dcm"))}
    rows = [row for row in read_table(table, _FIELDS, delimiter=";") if row.text("File Name")]
    return [_entry(row, images, config) for row in rows]


def _entry(row: Row, images: dict[str, Path], config: PublishedConfig) -> Entry:
    name = row.name("File Name")
    path = images.get(name, row.table.parent / "AllDICOMs" / f"{name}.dcm")
    parts = path.stem.split("_")
    if name in images and len(parts) < 2:
        raise row.error("File Name", f"{path.name} is not named ID_PATIENT_MG_SIDE_VIEW_ANON.dcm; it has the patient")
    label = config.label(row.required("Bi-Rads"))
    marks = row.table.parent / "AllXML" / f"{name}.xml"
    return Entry(
        path=path,
        image_id=name,
        patient_id=parts[1] if len(parts) > 1 else name,
        label=label,
        table=row.table,
        laterality="L" if row.choice("Laterality", ("L", "R")) == "L" else "R",
        view=row.text("View") or None,
        density=row.text("ACR") or None,
        regions=_regions(marks, label) if label in ("benign", "malignant") and marks.is_file() else (),
    )


def _regions(path: Path, label: Label) -> tuple[Region, ...]:
    """Return the outlined findings, and the groups of single calcifications that are outside of them."""
    marks = _marks(path)
    outlined = [mark for mark in marks if mark[0] not in SINGLE and len(mark[1]) > 2]
    single = [outline for name, outline in marks if name in SINGLE and not _inside(outline, outlined)]
    regions = [Region(label, KINDS.get(name), (outline,)) for name, outline in outlined]
    return (*regions, *(Region(label, "calcifications", group) for group in _groups(single)))


def _marks(path: Path) -> list[tuple[str, Outline]]:
    """Read name and points (row, column) of each region of interest of an OsiriX property list."""
    try:
        with path.open("rb") as stream:
            images = plistlib.load(stream, fmt=plistlib.FMT_XML)["Images"]
        return [
            (str(roi["Name"]).strip().lower(), tuple(map(_point, roi["Point_px"])))
            for image in images
            for roi in image["ROIs"]
            if roi["Point_px"]
        ]
    except (plistlib.InvalidFileException, ExpatError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path}: is not a property list of regions ({error}); download it again") from error


def _point(text: str) -> tuple[float, float]:
    x, y = (float(number) for number in text.strip("() ").split(","))
    return y, x


def _inside(outline: Outline, regions: list[tuple[str, Outline]]) -> bool:
    """Whether the centre of an outline lies in the bounding box of a region."""
    centre = np.mean(outline, axis=0)
    corners = [np.array(region) for _, region in regions]
    return any(bool((c.min(axis=0) <= centre).all() and (centre <= c.max(axis=0)).all()) for c in corners)


def _groups(single: list[Outline]) -> list[tuple[Outline, ...]]:
    """Return the groups of at least five calcifications, each within 1 cm of another of its group."""
    if len(single) < GROUP_SIZE:
        return []
    centres = np.array([np.mean(outline, axis=0) for outline in single])
    numbers = fcluster(linkage(centres, "single"), GROUP_REACH, "distance")
    groups = [
        tuple(outline for outline, number in zip(single, numbers) if number == group) for group in np.unique(numbers)
    ]
    return [group for group in groups if len(group) >= GROUP_SIZE]


INBREAST = Dataset(
    title="digital mammograms of INbreast",
    citation="Moreira et al., Acad Radiol 2012;19:236–248",
    reference="The radiologists' BI-RADS category of each image; no biopsy results are published.",
    read=read,
    by_birads=True,
)
