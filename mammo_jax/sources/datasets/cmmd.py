"""CMMD: digital mammograms of 1775 Chinese women with a biopsied benign or malignant lesion, without its place.

Cui C et al. The Chinese Mammography Database (CMMD), version 1. The Cancer Imaging Archive 2021,
doi:10.7937/tcia.eqde-4b16, CC BY 4.0.

Layout: CMMD_clinicaldata_revision.xlsx beside or above the folder CMMD/PATIENT/STUDY/SERIES/1-N.dcm of the NBIA Data
Retriever. Checked against BiomedSciAI/fuse-med-ml (fuseimg/datasets/cmmd.py). The table has one row for each biopsied
breast; side and view of an image are in its DICOM header. Images of the other breast have no label and are left out.
"""

from __future__ import annotations

import logging
from pathlib import Path

from mammo_jax.sources.datasets.layout import find
from mammo_jax.sources.datasets.published import Dataset, Entry, PublishedConfig
from mammo_jax.sources.dicom import read_side
from mammo_jax.sources.mammogram import Label
from mammo_jax.sources.spreadsheets import read_sheet

logger = logging.getLogger(__name__)

CLASSES: dict[str, Label] = {"Benign": "benign", "Malignant": "malignant"}
TABLE = "CMMD_clinicaldata_revision.xlsx"


def read(directory: Path, _config: PublishedConfig) -> list[Entry]:
    """Make one entry for each image of a breast in the table; the headers of all images are read."""
    collection = find(directory, "CMMD")
    table = find(directory.parent if collection == directory else directory, TABLE)
    labels: dict[tuple[str, str], Label] = {}
    for row in read_sheet(table, ("ID1", "LeftRight", "classification")):
        row.choice("LeftRight", ("L", "R"))
        name = row.choice("classification", tuple(CLASSES))
        labels[row.name("ID1"), row.required("LeftRight")] = CLASSES[name or row.required("classification")]
    entries, others = [], 0
    for patient in sorted({patient for patient, _ in labels}):
        for path in sorted((collection / patient).glob("*/*/*.dcm")):
            laterality, view = read_side(path)
            if laterality is None or (patient, laterality) not in labels:
                others += 1
                continue
            name = f"{patient}_{laterality}_{view or ''}_{path.stem}"
            label = labels[patient, laterality]
            entries.append(Entry(path, name, patient, label, table, laterality=laterality, view=view))
    if others:
        logger.warning("%s: %d images are left out: their breast is not in %s", directory, others, TABLE)
    return entries


CMMD = Dataset(
    title="digital mammograms of CMMD",
    citation="Cui et al., TCIA 2021, doi:10.7937/tcia.eqde-4b16",
    reference="Biopsy of the breast.",
    read=read,
    marks_lesions=False,
)
