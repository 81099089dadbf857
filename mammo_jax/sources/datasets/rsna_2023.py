"""RSNA 2023: 54 706 digital screening mammograms of 11 913 women; cancers are proven, and not marked.

Carr C et al. RSNA Screening Mammography Breast Cancer Detection. Kaggle 2022–2023,
https://www.kaggle.com/competitions/rsna-breast-cancer-detection, under the rules of the competition (not commercial).

Layout: train.csv and train_images/PATIENT/IMAGE.dcm. Checked against neuro-ml/amid (amid/rsna_bc). The test images have
no labels and are not read. A breast without cancer that was biopsied is benign, any other is normal.
"""

from __future__ import annotations

from pathlib import Path

from mammo_jax.sources.datasets.layout import find
from mammo_jax.sources.datasets.published import Dataset, Entry, PublishedConfig
from mammo_jax.sources.mammogram import Label
from mammo_jax.sources.tables import Row, read_table

_FIELDS = ("patient_id", "image_id", "laterality", "view", "cancer", "biopsy", "density")


def read(directory: Path, _config: PublishedConfig) -> list[Entry]:
    """Make one entry for each training image."""
    return [_entry(row) for row in read_table(find(directory, "train.csv"), _FIELDS)]


def _entry(row: Row) -> Entry:
    patient, image = row.required("patient_id"), row.required("image_id")
    return Entry(
        path=row.table.parent / "train_images" / patient / f"{image}.dcm",
        image_id=image,
        patient_id=patient,
        label=_label(row),
        table=row.table,
        laterality="L" if row.choice("laterality", ("L", "R")) == "L" else "R",
        view=row.text("view") or None,
        density=row.text("density") or None,
    )


def _label(row: Row) -> Label:
    for field in ("cancer", "biopsy"):
        row.required(field)
        row.choice(field, ("0", "1"))
    if row.text("cancer") == "1":
        return "malignant"
    return "benign" if row.text("biopsy") == "1" else "normal"


RSNA_2023 = Dataset(
    title="digital screening mammograms of the RSNA 2023 challenge",
    citation="Carr et al., kaggle.com/competitions/rsna-breast-cancer-detection",
    reference="Cancer proven by biopsy; a breast without cancer that was biopsied is benign, any other normal.",
    read=read,
    marks_lesions=False,
)
