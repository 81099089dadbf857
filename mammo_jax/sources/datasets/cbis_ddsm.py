"""CBIS-DDSM: 3103 digitised films of 1566 women with masses or calcifications, labelled by biopsy or follow-up.

Lee RS et al. A curated mammography data set for use in computer-aided detection and diagnosis research. Sci Data
2017;4:170177. From The Cancer Imaging Archive, doi:10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0.

Layout: the folder CBIS-DDSM, as the NBIA Data Retriever writes it, and the four case description tables beside it or
above it. Checked against the reader of TensorFlow Datasets (image_classification/cbis_ddsm.py) and, for the names of
folders, against sposso/CBIS-DDSM-DATASET.

PatientID in the files is that of a view ("Mass-Training_P_00001_LEFT_CC"). The woman is the case number, P_00001; she
may have masses and calcifications, in different tables and even in both published parts.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from mammo_jax.sources.datasets.layout import find, series_folder
from mammo_jax.sources.datasets.published import Dataset, Entry, PublishedConfig, worst
from mammo_jax.sources.mammogram import Label, SourceError
from mammo_jax.sources.regions import Region
from mammo_jax.sources.tables import Row, read_table

TABLES = {
    "mass_case_description_train_set.csv": "train",
    "calc_case_description_train_set.csv": "train",
    "mass_case_description_test_set.csv": "test",
    "calc_case_description_test_set.csv": "test",
}
PATHOLOGY: dict[str, Label] = {"BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign", "MALIGNANT": "malignant"}
KINDS = {"mass": "mass", "calcification": "calcifications"}
_PATHS = ("image file path", "cropped image file path", "ROI mask file path")
_FIELDS = ("patient_id", "left or right breast", "image view", "abnormality type", "pathology", *_PATHS)


def read(directory: Path, _config: PublishedConfig) -> list[Entry]:
    """Make one entry for each view of a breast, with all abnormalities that any table has of it."""
    collection = find(directory, "CBIS-DDSM")
    views: dict[str, list[tuple[Row, str]]] = defaultdict(list)
    for table, split in _tables(directory).items():
        for row in read_table(table, _FIELDS):
            row.choice("pathology", tuple(PATHOLOGY))
            row.choice("left or right breast", ("LEFT", "RIGHT"))
            name = "_".join(row.required(field) for field in ("patient_id", "left or right breast", "image view"))
            views[name].append((row, split))
    return [_entry(collection, name, views[name]) for name in sorted(views)]


def _tables(directory: Path) -> dict[Path, str]:
    """Return the tables that are there with their part; masses and calcifications can be downloaded separately."""
    found: dict[Path, str] = {}
    for name, split in TABLES.items():
        for folder in (directory, *([directory.parent] if directory.name == "CBIS-DDSM" else [])):
            found |= {path: split for depth in ("", "*/") for path in sorted(folder.glob(depth + name))[:1]}
    if not found:
        raise SourceError(f"{directory}: {next(iter(TABLES))} is missing; put the case description tables there")
    return found


def _entry(collection: Path, name: str, rows: list[tuple[Row, str]]) -> Entry:
    first = rows[0][0]
    folder = _folder(collection, first, "image file path")
    files = sorted(folder.glob("*.dcm")) if folder else []
    wanted = collection / first.required("image file path")
    return Entry(
        path=files[0] if files else wanted,
        image_id=name,
        patient_id=first.required("patient_id"),
        label=worst([PATHOLOGY[row.required("pathology")] for row, _ in rows]),
        table=first.table,
        laterality="L" if first.text("left or right breast") == "LEFT" else "R",
        view=first.text("image view"),
        density=first.text("breast_density") or first.text("breast density") or None,
        split="train" if any(split == "train" for _, split in rows) else "test",
        regions=tuple(region for row, _ in rows if (region := _region(collection, row))),
    )


def _folder(collection: Path, row: Row, field: str) -> Path | None:
    parts = PurePosixPath(row.text(field)).parts
    if len(parts) < 4 or not {"..", "/"}.isdisjoint(parts):
        raise row.error(field, "is not CASE/STUDY/SERIES/FILE; download the table again")
    return series_folder(collection, *parts[:3])


def _region(collection: Path, row: Row) -> Region | None:
    """Return the region of a lesion; None where the masks were not downloaded.

    Mask and cropped lesion lie in one folder or in two, under names that the tables exchange in places; the mask is the
    one that has the size of the mammogram.
    """
    folders = {_folder(collection, row, field) for field in _PATHS[1:]} - {None}
    files = tuple(path for folder in sorted(filter(None, folders)) for path in sorted(folder.glob("*.dcm")))
    if not files:
        return None
    return Region(PATHOLOGY[row.text("pathology")], KINDS.get(row.text("abnormality type")), mask_files=files)


CBIS_DDSM = Dataset(
    title="film mammograms of CBIS-DDSM",
    citation="Lee et al., Sci Data 2017;4:170177; TCIA, doi:10.7937/K9/TCIA.2016.7O02S9CY",
    reference="Biopsy, or for some benign findings follow-up, of each abnormality.",
    read=read,
    splits=("train", "test"),
)
