"""Miniature published data sets, generated in the layout in which each is downloaded."""

from __future__ import annotations

import csv
import json
import plistlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import imagecodecs
import numpy as np
from dicom_files import dataset, write
from pydicom.dataset import Dataset
from workbooks import workbook

from mammo_jax.sources.datasets import DATASETS, PublishedConfig, PublishedSource

SHAPE = (40, 30)
UID = "1.3.6.1.4.1.9590.100.1.2."
VIEWS = {"CC": "399162004", "MLO": "399368009"}


def pixels(seed: int, *, white: int = 4095) -> np.ndarray:
    dtype = np.uint8 if white < 256 else np.uint16
    return np.random.default_rng(seed).integers(1, white + 1, SHAPE).astype(dtype)


def dicom(path: Path, image: np.ndarray, **elements: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bits = 8 if image.itemsize == 1 else 12
    return write(path, dataset(image, bits_stored=bits, **elements))


def table(path: Path, rows: Iterable[Sequence[object]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    return path


def view_code(view: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = VIEWS[view], "SCT", view
    return [item]


# --- CBIS-DDSM -------------------------------------------------------------------------------------------------------

CBIS_MASSES = (
    "patient_id", "breast_density", "left or right breast", "image view", "abnormality id", "abnormality type",
    "mass shape", "mass margins", "assessment", "pathology", "subtlety", "image file path", "cropped image file path",
    "ROI mask file path",
)  # fmt: skip
CBIS_CALCIFICATIONS = (
    "patient_id", "breast density", "left or right breast", "image view", "abnormality id", "abnormality type",
    "calc type", "calc distribution", *CBIS_MASSES[8:],
)  # fmt: skip


def cbis_mask(number: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[5 * number : 5 * number + 4, 8:14] = 255
    return mask


def cbis_ddsm(root: Path, *, classic: bool = False) -> Path:
    """CBIS-DDSM as the NBIA Data Retriever lays it out, by descriptive names or by UIDs ("classic").

    P_00001 has a benign mass in both views, and a malignant one in one of them; P_00002 a mass (training) and
    calcifications (test) in the same view.
    """
    manifest = root / "manifest-1542731172463"
    rows: dict[str, list[list[object]]] = {"Mass-Training": [], "Mass-Test": [], "Calc-Training": [], "Calc-Test": []}
    cases = [
        ("Mass-Training", "P_00001", "LEFT", "CC", 1, "BENIGN"),
        ("Mass-Training", "P_00001", "LEFT", "MLO", 1, "BENIGN"),
        ("Mass-Training", "P_00001", "LEFT", "MLO", 2, "MALIGNANT"),
        ("Mass-Training", "P_00002", "RIGHT", "CC", 1, "BENIGN_WITHOUT_CALLBACK"),
        ("Calc-Test", "P_00002", "RIGHT", "CC", 1, "MALIGNANT"),
        ("Calc-Test", "P_00003", "LEFT", "CC", 1, "BENIGN"),
        ("Mass-Test", "P_00004", "LEFT", "CC", 1, "MALIGNANT"),
        ("Calc-Training", "P_00005", "LEFT", "CC", 1, "BENIGN"),
    ]
    for number, (part, patient, side, view, abnormality, pathology) in enumerate(cases):
        case = f"{part}_{patient}_{side}_{view}"
        image = pixels(sum(map(ord, patient + side + view)))
        full = _cbis_series(manifest, case, "full mammogram images", sum(map(ord, case)), classic)
        dicom(manifest / full[1] / "1-1.dcm", image, PatientID=case, ImagerPixelSpacing=None)
        lesion = _cbis_series(manifest, f"{case}_{abnormality}", "ROI mask images", 7000 + number, classic)
        mask, crop = cbis_mask(abnormality + 2 * part.startswith("Calc")), image[10:20, 10:20]
        # The two are exchanged in some cases, and so are their names in the tables.
        for name, content in zip(("1-1.dcm", "1-2.dcm"), (crop, mask) if number % 2 else (mask, crop)):
            dicom(manifest / lesion[1] / name, content, PatientID=f"{case}_{abnormality}", ImagerPixelSpacing=None)
        kind = ("mass", "OVAL", "SPICULATED") if part.startswith("Mass") else ("calcification", "PUNCTATE", "CLUSTERED")
        files = (f"{full[0]}/000000.dcm", f"{lesion[0]}/000000.dcm", f"{lesion[0]}/000001.dcm\n")
        rows[part].append([patient, 3, side, view, abnormality, *kind, 4, pathology, 4, *files])
    for part, name in (("Training", "train"), ("Test", "test")):
        table(root / f"mass_case_description_{name}_set.csv", [CBIS_MASSES, *rows[f"Mass-{part}"]])
        table(root / f"calc_case_description_{name}_set.csv", [CBIS_CALCIFICATIONS, *rows[f"Calc-{part}"]])
    return root


def _cbis_series(manifest: Path, case: str, series: str, number: int, classic: bool) -> tuple[str, Path]:
    """The path of a series in the tables, and that of its folder on the disk."""
    study_uid, series_uid = f"{UID}4221{number:05d}", f"{UID}3423{number + 50000:05d}"
    described = (f"07-20-2016-DDSM-NA-{study_uid[-5:]}", f"1.000000-{series}-{series_uid[-5:]}")
    folder = Path("CBIS-DDSM", case, *((study_uid, series_uid) if classic else described))
    return f"{case}/{study_uid}/{series_uid}", folder


# --- INbreast --------------------------------------------------------------------------------------------------------


def inbreast(root: Path) -> Path:
    release = root / "INbreast Release 1.0"
    images = [
        ("20586908", "6c613a14b80a8591", "R", "CC", "2", "1"),
        ("20586934", "6c613a14b80a8591", "L", "MLO", "2", "5"),
        ("20587054", "b6a4f750c6df4f90", "R", "CC", "     ", "4a"),
        ("20587080", "b6a4f750c6df4f90", "R", "MLO", "3", "2"),
        ("20587148", "fd746d25eb40b3dc", "R", "CC", "1", "0"),
    ]
    header = ("Patient ID", "Patient age", "Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads")
    lines = [
        ["removed", "removed", side, view, "201001", name, acr, birads] for name, _, side, view, acr, birads in images
    ]
    table(release / "INbreast.csv", [header, *lines], delimiter=";")
    for number, (name, patient, side, view, _, _) in enumerate(images):
        short = "ML" if view == "MLO" else view
        dicom(
            release / "AllDICOMs" / f"{name}_{patient}_MG_{side}_{short}_ANON.dcm", pixels(number), PatientID="removed"
        )
    square = [(5.0, 10.0), (15.0, 10.0), (15.0, 20.0), (5.0, 20.0)]  # x from 5 to 15, y from 10 to 20
    points = [[(float(x), float(x))] for x in (20, 21, 22, 23, 24)]
    _osirix(release / "AllXML" / "20586934.xml", [("Mass", square), ("Calcification", [(7.0, 12.0)])])
    _osirix(release / "AllXML" / "20587054.xml", [("Calcification", point) for point in points])
    _osirix(release / "AllXML" / "20587080.xml", [("Calcification", point) for point in points[:4]])
    return root


def _osirix(path: Path, regions: Sequence[tuple[str, list[tuple[float, float]]]]) -> None:
    rois = [
        {
            "Area": 0.5, "Center": "(0.0, 0.0, 0.0)", "Dev": 0.0, "IndexInImage": index, "Max": 1.0, "Mean": 1.0,
            "Min": 0.0, "Name": name, "NumberOfPoints": len(corners), "Point_mm": [],
            "Point_px": [f"({x:f}, {y:f})" for x, y in corners], "Total": 1.0, "Type": 15,
        }
        for index, (name, corners) in enumerate(regions)
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}))


# --- VinDr-Mammo -----------------------------------------------------------------------------------------------------


def vindr_mammo(root: Path) -> Path:
    breasts = ("study_id", "series_id", "image_id", "laterality", "view_position", "height", "width", "breast_birads")
    breasts = (*breasts, "breast_density")
    images = [
        ("s1", "i1", "L", "CC", "BI-RADS 4", "DENSITY C", "training"),
        ("s1", "i2", "L", "MLO", "BI-RADS 4", "DENSITY C", "training"),
        ("s1", "i3", "R", "CC", "BI-RADS 1", "DENSITY C", "training"),
        ("s2", "i4", "R", "MLO", "BI-RADS 3", "DENSITY B", "test"),
    ]
    rows = [
        [s, f"{s}-series", i, side, view, *SHAPE, birads, density] for s, i, side, view, birads, density, _ in images
    ]
    splits = [image[-1] for image in images]
    table(root / "breast-level_annotations.csv", [(*breasts, "split"), *([*row, s] for row, s in zip(rows, splits))])
    none = ("['No Finding']", "", "", "", "", "")
    findings = [
        [*rows[0], "['Mass']", "BI-RADS 4", 5.5, 10.5, 15.5, 20.5, splits[0]],
        [*rows[0], "['Suspicious Calcification', 'Mass']", "BI-RADS 3", 20, 25, 24, 30, splits[0]],
        [*rows[1], "['Skin Thickening']", "", 1, 2, 3, 4, splits[1]],
        [*rows[2], *none, splits[2]],
        [*rows[3], *none, splits[3]],
    ]
    corners = ("finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax", "split")
    table(root / "finding_annotations.csv", [(*breasts, *corners), *findings])
    for number, (study, image, *_) in enumerate(images):
        dicom(root / "images" / study / f"{image}.dicom", pixels(number), PatientID="removed")
    return root


# --- CMMD ------------------------------------------------------------------------------------------------------------


def cmmd(root: Path) -> Path:
    header = ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
    rows = [
        ("D1-0001", "R", 44, 2, "calcification", "Benign", ""),
        ("D2-0002", "L", 51, 4, "mass", "Malignant", "Luminal A"),
        ("D2-0002", "R", 51, 4, "both", "Benign", ""),
    ]
    root.mkdir(parents=True, exist_ok=True)
    workbook(root / "CMMD_clinicaldata_revision.xlsx", {"Sheet1": [header, *rows]})
    for patient, sides in (("D1-0001", "LR"), ("D2-0002", "LR")):
        series = root / "manifest-1616439774456" / "CMMD" / patient / "07-18-2010-NA-NA-79377" / "1.000000-NA-70244"
        for number, (side, view) in enumerate(((side, view) for side in sides for view in VIEWS), 1):
            codes = {"ImageLaterality": side, "ViewCodeSequence": view_code(view), "PatientID": patient}
            dicom(series / f"1-{number}.dcm", pixels(number, white=255), **codes)
    return root


# --- RSNA 2023 -------------------------------------------------------------------------------------------------------


def rsna_2023(root: Path) -> Path:
    header = "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
    rows = [
        (2, 10006, 462822612, "L", "CC", 61.0, 0, 0, 0, "", 0, "", 29, False),
        (2, 10006, 1459541791, "R", "MLO", 61.0, 1, 1, 1, "0.0", 0, "C", 29, False),
        (1, 10011, 220375232, "L", "CC", 55.0, 0, 1, 0, "1.0", 0, "B", 21, True),
    ]
    table(root / "train.csv", [(header + "difficult_negative_case").split(","), *rows])
    table(root / "test.csv", [header.split(",")[:6], (2, 10008, 736471439, "L", "CC", 81)])
    for number, row in enumerate(rows):
        dicom(root / "train_images" / str(row[1]) / f"{row[2]}.dcm", pixels(number), PatientID=str(row[1]))
    return root


# --- CDD-CESM --------------------------------------------------------------------------------------------------------


def cdd_cesm(root: Path) -> Path:
    header = ("Image_name", "Patient_ID", "Side", "Type", "Age", "Breast density (ACR)", "BIRADS", "Findings", "View")
    header = (*header, "Tags", "Machine", "Pathology Classification/ Follow up")
    images = [
        ("P1_L_DM_MLO", 1, "L", "DM", "MLO", "4", "Malignant"),
        ("P1_L_CM_MLO", 1, "L", "CESM", "MLO", "4", "Malignant"),
        ("P1_R_DM_CC", 1, "R", "DM", "CC", "1", "Normal"),
        ("P2_R_DM_CC", 2, "R", "DM", "CC", "3$2", "Benign"),
    ]
    rows = [(n, p, side, kind, 45, "C", b, "Mass", view, "", 1, name) for n, p, side, kind, view, b, name in images]
    (root / "Low energy images of CDD-CESM").mkdir(parents=True)
    (root / "Subtracted images of CDD-CESM").mkdir()
    workbook(
        root / "Radiology-manual-annotations.xlsx", {"all": [header, *rows], "mass_description": [("Mass shape",)]}
    )
    for number, (name, _, _, kind, *_) in enumerate(images):
        folder = root / ("Low energy images of CDD-CESM" if kind == "DM" else "Subtracted images of CDD-CESM")
        grey = pixels(number, white=255)
        blank = " " if name == "P2_R_DM_CC" else ""
        coloured = np.repeat(grey[..., None], 3, axis=2) if number == 0 else grey
        (folder / f"{name}{blank}.jpg").write_bytes(imagecodecs.jpeg8_encode(coloured, level=95))
    polygon = {"name": "polygon", "all_points_x": [5, 15, 15, 5], "all_points_y": [10, 10, 20, 20]}
    circle = {"name": "circle", "cx": 12, "cy": 25, "r": 3}
    ellipse = {"name": "ellipse", "cx": 12, "cy": 20, "rx": 3, "ry": 6}
    shapes = [("P1_L_DM_MLO.jpg", 0, polygon), ("P1_L_DM_MLO.jpg", 1, circle), ("P2_R_DM_CC .jpg", 0, ellipse)]
    fields = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    lines = [(name, 1, "{}", 2, number, json.dumps(shape), "{}") for name, number, shape in shapes]
    table(root / "Radiology_hand_drawn_segmentations_v2.csv", [fields.split(","), *lines])
    return root


TREES = {
    "cbis-ddsm": cbis_ddsm,
    "inbreast": inbreast,
    "vindr-mammo": vindr_mammo,
    "cmmd": cmmd,
    "rsna-2023": rsna_2023,
    "cdd-cesm": cdd_cesm,
}


def opened(name, tmp_path, **config):
    return PublishedSource(DATASETS[name], TREES[name](tmp_path / name), PublishedConfig(**config))


def summary(source):
    return {
        row["image_id"]: (row["patient_id"], row["label"], row["laterality"], row["view"]) for row in source.table()
    }


def rectangle(rows, columns):
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask
