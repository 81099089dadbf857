"""The MIAS MiniMammographic Database: 322 digitised screening films of 161 women.

Suckling J et al. The Mammographic Image Analysis Society Digital Mammogram Database. Excerpta Medica, International
Congress Series 1069 (1994) 375–378. The database is for research only; it is read where the user put it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mammo_jax.sources.image_files import read_image
from mammo_jax.sources.mammogram import LABELS, Label, Lesion, Mammogram, SourceError
from mammo_jax.sources.tables import Row, read_table

PIXEL_PITCH = 0.2  # mm: digitised at 0.05 mm, reduced fourfold by MIAS
SEVERITIES: dict[str, Label] = {"N": "normal", "B": "benign", "M": "malignant"}
DENSITIES = {"F": "fatty", "G": "fatty-glandular", "D": "dense-glandular"}
KINDS = {
    "CALC": "calcifications",
    "CIRC": "well-defined mass",
    "SPIC": "spiculated mass",
    "MISC": "ill-defined mass",
    "ARCH": "architectural distortion",
    "ASYM": "asymmetry",
}
_FIELDS = ("image", "patient", "severity", "x", "row_from_top", "radius")


class Mias:
    """A source of the mini-MIAS mammograms.

    The folder must have ``labels.csv`` (image, patient, severity N/B/M, x, row_from_top, radius; one row per
    lesion) and ``images/<image>.png``. Optional are tissue (F/G/D) and abnormality (`KINDS`), for subgroups. The
    label of an image is its most severe one. Ids are public and stay unchanged.

    Four abnormal images (mdb059, 216, 233, 245) have no position, so they have a label and no lesion. The published
    circles of mdb212 and mdb214 are outside the breast; they are used as published.

    Parameters
    ----------
    directory : path of the folder with ``labels.csv``

    Raises
    ------
    SourceError
        A file or column is missing, or a cell has an invalid value.
    """

    def __init__(self, directory: Path | str):
        self.directory = Path(directory)
        images: dict[str, list[Row]] = {}
        for row in read_table(self.directory / "labels.csv", _FIELDS):
            images.setdefault(row.required("image"), []).append(row)
        if not (self.directory / "images").is_dir():
            raise SourceError(f"{self.directory / 'images'}: is missing; put the PNG files of mini-MIAS there")
        self._image_ids = sorted(images)
        self._patients = [_patient(images[image_id]) for image_id in self._image_ids]
        self._labels = [
            max((_label(row) for row in images[image_id]), key=LABELS.index) for image_id in self._image_ids
        ]
        self._lesions = [
            tuple(lesion for row in images[image_id] if (lesion := _lesion(row))) for image_id in self._image_ids
        ]
        self._densities = [DENSITIES.get(images[image_id][0].text("tissue")) for image_id in self._image_ids]
        self._lateralities = [_laterality(images[image_id][0]) for image_id in self._image_ids]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._image_ids)

    def __getitem__(self, index: int) -> Mammogram:
        """Read one image; SourceError if its file is missing, damaged or not 8 bit."""
        image_id = self._image_ids[index]
        path = self._image_path(image_id)
        pixels = read_image(path).pixels
        if pixels.itemsize != 1:
            raise SourceError(f"{path}: has {pixels.dtype} pixels; mini-MIAS has 8 bits, put the original file there")
        for lesion in self._lesions[index]:
            if not (0 <= lesion.row < pixels.shape[0] and 0 <= lesion.column < pixels.shape[1]):
                raise SourceError(
                    f"{self.directory / 'labels.csv'}: {image_id} has a lesion outside its image; "
                    "correct x or row_from_top"
                )
        return Mammogram(
            pixels=pixels,
            bits_stored=8,
            image_id=image_id,
            patient_id=self._patients[index],
            label=self._labels[index],
            pixel_pitch=PIXEL_PITCH,
            laterality=self._lateralities[index],
            view="MLO",
            lesions=self._lesions[index],
            density=self._densities[index],
        )

    def patients(self) -> list[str]:
        """Return the patient id of every image."""
        return list(self._patients)

    def labels(self) -> list[Label]:
        """Return the label of every image."""
        return list(self._labels)

    def table(self) -> list[dict[str, Any]]:
        """Return one row per image; see `Source.table`."""
        columns = zip(self._image_ids, self._patients, self._labels, self._lesions)
        return [
            {
                "image_id": image_id,
                "patient_id": patient,
                "label": label,
                "files": [str(self._image_path(image_id)), str(self.directory / "labels.csv")],
                "lesions": [[lesion.row, lesion.column, lesion.radius, lesion.label] for lesion in lesions],
            }
            for image_id, patient, label, lesions in columns
        ]

    def _image_path(self, image_id: str) -> Path:
        return self.directory / "images" / f"{image_id}.png"


def _label(row: Row) -> Label:
    row.required("severity")
    return SEVERITIES[row.choice("severity", tuple(SEVERITIES))]


def _patient(rows: list[Row]) -> str:
    patients = {row.required("patient") for row in rows}
    if len(patients) > 1:
        raise rows[0].error("patient", f"{rows[0].text('image')} belongs to several: {', '.join(sorted(patients))}")
    patient = patients.pop()
    if not patient.isdecimal():
        raise rows[0].error("patient", f"{patient!r} is not a whole number")
    return f"{int(patient):03d}"


def _laterality(row: Row) -> Literal["L", "R"]:
    """Return the side by the image number: even is left, odd is right (Info.txt, note 1)."""
    digits = row.required("image").removeprefix("mdb")
    if not digits.isdecimal():
        raise row.error("image", f"{row.text('image')!r} is not an id of mini-MIAS such as mdb001")
    return "L" if int(digits) % 2 == 0 else "R"


def _lesion(row: Row) -> Lesion | None:
    column, line, radius = (row.number(field) for field in ("x", "row_from_top", "radius"))
    label = _label(row)
    if column is None and line is None and radius is None:
        return None
    if column is None or line is None or radius is None or radius <= 0:
        raise row.error("radius", "x, row_from_top and a radius above 0 belong together; give all three or none")
    if label == "normal":
        raise row.error("severity", "a normal image has no lesion; leave x, row_from_top and radius empty")
    return Lesion(line, column, radius, label, kind=KINDS.get(row.text("abnormality")))
