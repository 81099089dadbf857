"""The user's own mammograms: image files, and a CSV with patient, label and lesions of each."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from mammo_jax.sources.dicom import FrameChoice, is_dicom, read_dicom, read_patient_id
from mammo_jax.sources.dicom_series import FramesOption, frame_choices
from mammo_jax.sources.identifiers import keyed_hash, load_key
from mammo_jax.sources.image_files import MAX_PIXELS, StoredImage, bits_of, read_image
from mammo_jax.sources.mammogram import LABELS, Label, Lesion, Mammogram, SourceError
from mammo_jax.sources.regions import enclosing_circle
from mammo_jax.sources.stored_pixels import read_pixels
from mammo_jax.sources.tables import Row, in_our_words, read_table

logger = logging.getLogger(__name__)

COLUMNS = (
    "path", "patient_id", "label", "image_id", "laterality", "view", "density", "pixel_pitch", "bits_stored",
    "lesion_row", "lesion_column", "lesion_radius", "lesion_label", "lesion_kind", "lesion_mask",
)  # fmt: skip
_IMAGE_FIELDS = ("patient_id", "image_id", "laterality", "view", "density", "pixel_pitch", "bits_stored")
_LESION_FIELDS = COLUMNS[9:]
_LABEL_FIELDS = ("label", "lesion_label")
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class _Entry:
    """The table's data of one image; lesions are still table rows, because their masks are files."""

    path: Path
    image_id: str
    patient_id: str
    label: Label
    laterality: Literal["L", "R"] | None
    view: str | None
    density: str | None
    pixel_pitch: float | None
    bits_stored: int | None
    lesions: tuple[Row, ...]
    frame: FrameChoice = "central"


class Folder:
    """A source of image files listed in a CSV.

    The CSV has one row per image, or one row per lesion if an image has several. Columns:

    - ``path``: PNG, TIFF, PGM or DICOM file, 8- or 16-bit greyscale; relative to the CSV's folder, or absolute
    - ``patient_id``: may be empty for a DICOM file, whose PatientID is then used
    - ``label``: normal, benign or malignant, also in upper case; the most severe of an image's rows is its label
    - optional ``image_id`` (default: the path), ``laterality`` (L, R, LEFT, RIGHT), ``view``, ``density`` (for
      results in subgroups), ``pixel_pitch`` (mm), ``bits_stored``
    - optional ``lesion_row``, ``lesion_column``, ``lesion_radius`` (pixels from the top left), ``lesion_label``
      (default: the row's label), ``lesion_kind`` (mass, calcification, …, for results in subgroups), ``lesion_mask``
      (image or DICOM file of the same size, non-zero inside the lesion)

    Values in the CSV take precedence over those in a DICOM header, except bits_stored. Ids become keyed hashes.

    Parameters
    ----------
    csv_path : path of the table
    bits_stored : int, optional
        Significant bits of 16-bit PNG and TIFF samples if the table does not have them. Without either they are
        inferred from each image's largest pixel, see `image_files.bits_of`.
    id_key : path of a key file, optional
        See `identifiers.load_key`.
    plain_ids : bool
        Use the table's ids unchanged. Only for ids that do not identify anyone.
    frames : {"central", "mip", "all"}, see `dicom_series.frame_choices`
    max_pixels : int
        Largest rows × columns that is read.

    Raises
    ------
    SourceError
        The table cannot be used. A bad image file raises only when its image is read.
    """

    def __init__(
        self,
        csv_path: Path | str,
        *,
        bits_stored: int | None = None,
        id_key: Path | str | None = None,
        plain_ids: bool = False,
        frames: FramesOption = "central",
        max_pixels: int = MAX_PIXELS,
    ):
        self.csv_path = Path(csv_path)
        self.bits_stored = bits_stored
        self.id_key = id_key
        self.plain_ids = plain_ids
        self.frames = frames
        self.max_pixels = max_pixels
        rows = in_our_words(read_table(self.csv_path, ("path", "patient_id", "label")), _LABEL_FIELDS)
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row.required("path"), []).append(row)
        key = None if plain_ids else load_key(id_key)
        entries = [_entry(group, key) for group in groups.values()]
        self._entries = [
            replace(entry, frame=frame, image_id=entry.image_id + (f"-{number}" if len(of_file) > 1 else ""))
            for entry, of_file in zip(entries, frame_choices((entry.path for entry in entries), frames))
            for number, frame in enumerate(of_file, 1)
        ]
        self._check_unique_ids()
        unknown = [column for column in rows[0].cells if column not in COLUMNS]
        if unknown:
            logger.warning("%s: ignored columns: %s", self.csv_path, ", ".join(unknown))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._entries)

    def __getitem__(self, index: int) -> Mammogram:
        """Read one image; SourceError if its file, its mask or its lesion cannot be used."""
        entry = self._entries[index]
        inferred = False
        if is_dicom(entry.path):
            stored = read_dicom(entry.path, max_pixels=self.max_pixels, frame=entry.frame)
        else:
            stored = read_image(entry.path, max_pixels=self.max_pixels)
            bits, inferred = bits_of(stored, entry.bits_stored or self.bits_stored)
            stored = replace(stored, bits_stored=entry.bits_stored or bits)
        bits_stored = cast(int, stored.bits_stored)
        if int(stored.pixels.max()) >= 2**bits_stored:
            raise SourceError(
                f"{entry.path}: has a pixel of {stored.pixels.max()}, more than bits_stored = {bits_stored} can hold; "
                "correct bits_stored in the table or the option"
            )
        return Mammogram(
            pixels=stored.pixels,
            bits_stored=bits_stored,
            image_id=entry.image_id,
            patient_id=entry.patient_id,
            label=entry.label,
            pixel_pitch=entry.pixel_pitch or stored.pixel_pitch,
            laterality=entry.laterality or stored.laterality,
            view=entry.view or stored.view,
            density=entry.density,
            lesions=tuple(self._lesion(row, stored) for row in entry.lesions),
            already_lossy=stored.already_lossy,
            bits_inferred=inferred,
            padding_range=stored.padding_range,
        )

    def patients(self) -> list[str]:
        """Return the patient id of every image."""
        return [entry.patient_id for entry in self._entries]

    def labels(self) -> list[Label]:
        """Return the label of every image."""
        return [entry.label for entry in self._entries]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per image; see `Source.table`."""
        return [
            {
                "image_id": entry.image_id,
                "patient_id": entry.patient_id,
                "label": entry.label,
                "files": [str(entry.path), *_masks(entry), str(self.csv_path)],
                "laterality": entry.laterality,
                "view": entry.view,
                "density": entry.density,
                "pixel_pitch": entry.pixel_pitch,
                "bits_stored": entry.bits_stored,
                "lesions": [[row.text(field) for field in _LESION_FIELDS] for row in entry.lesions],
            }
            for entry in self._entries
        ]

    def _check_unique_ids(self) -> None:
        counts = Counter(entry.image_id for entry in self._entries)
        repeated = [str(entry.path) for entry in self._entries if counts[entry.image_id] > 1]
        if repeated:
            raise SourceError(
                f"{self.csv_path}, field 'image_id': {repeated[0]} and {repeated[1]} have the same id; "
                "give each image its own"
            )

    def _lesion(self, row: Row, stored: StoredImage) -> Lesion:
        label = _lesion_label(row)
        centre_row, centre_column, radius = _circle(row)
        mask = None
        if row.text("lesion_mask"):
            mask = read_pixels(_path(row, "lesion_mask"), max_pixels=self.max_pixels).pixels > 0
            if mask.shape != stored.pixels.shape or not mask.any():
                raise row.error("lesion_mask", f"must have the image's size {stored.pixels.shape} and a lesion in it")
            if radius is None:
                centre_row, centre_column, radius = enclosing_circle(mask)
        if centre_row is None or centre_column is None or radius is None:
            raise row.error("lesion_radius", "a lesion needs row, column and radius, or a mask")
        if not (0 <= centre_row < stored.pixels.shape[0] and 0 <= centre_column < stored.pixels.shape[1]):
            raise row.error("lesion_row", f"the centre lies outside the image of {stored.pixels.shape} pixels")
        return Lesion(centre_row, centre_column, radius, label, mask, row.text("lesion_kind") or None)


def _entry(rows: list[Row], key: bytes | None) -> _Entry:
    """Merge the rows of one image."""
    first = rows[0]
    for field in _IMAGE_FIELDS:
        if len({row.text(field) for row in rows}) > 1:
            raise rows[-1].error(field, f"differs between the rows of {first.text('path')}; make them equal")
    bits, pitch = first.number("bits_stored"), first.number("pixel_pitch")
    if bits is not None and bits not in range(1, 17):
        raise first.error("bits_stored", f"{bits:g} is not a whole number from 1 to 16")
    if pitch is not None and pitch <= 0:
        raise first.error("pixel_pitch", f"{pitch:g} mm is not above 0; give mm above 0 or leave it empty")
    path = _path(first, "path")
    return _Entry(
        path=path,
        image_id=_identifier(first, "image_id", first.text("image_id") or first.text("path"), "image", key),
        patient_id=_patient_id(first, path, key),
        label=max((_label(row) for row in rows), key=LABELS.index),
        laterality=cast(Literal["L", "R"], first.choice("laterality", ("L", "R"))) or None,
        view=first.text("view") or None,
        density=first.text("density") or None,
        pixel_pitch=pitch,
        bits_stored=None if bits is None else int(bits),
        lesions=tuple(row for row in rows if _has_lesion(row)),
    )


def _path(row: Row, field: str) -> Path:
    """Return the path of a file named in the table; a relative path must stay inside the table's folder."""
    path = Path(row.text(field))
    if path.is_absolute():
        return path
    if Path(os.path.normpath(path)).parts[:1] == ("..",):
        raise row.error(field, f"{path} is outside the table's folder; give an absolute path if that is intended")
    return row.table.parent / path


def _masks(entry: _Entry) -> list[str]:
    """Return the paths of an image's lesion masks, joined and as in the table: an error may name either."""
    masks = [(row.table.parent, row.text("lesion_mask")) for row in entry.lesions if row.text("lesion_mask")]
    return [text for folder, mask in masks for text in (str(folder / mask), mask)]


def _patient_id(row: Row, path: Path, key: bytes | None) -> str:
    if row.text("patient_id"):
        return _identifier(row, "patient_id", row.text("patient_id"), "patient", key)
    if key is None:
        raise row.error("patient_id", "is empty; fill it in (a DICOM file's own PatientID is only used hashed)")
    patient_id = read_patient_id(path, key) if is_dicom(path) else None
    if patient_id is None:
        raise row.error("patient_id", f"is empty, and {path} has no PatientID either; fill it in")
    return patient_id


def _identifier(row: Row, field: str, text: str, kind: str, key: bytes | None) -> str:
    if key is not None:
        return keyed_hash(text, key, kind)
    plain = os.path.splitext(text)[0].replace("/", "_") if not row.text(field) else text
    if not _PLAIN_ID.fullmatch(plain):
        raise row.error(field, f"{plain!r} cannot be used in file names; only letters, digits, '.', '_', '-' can")
    return plain


def _label(row: Row) -> Label:
    row.required("label")
    return cast(Label, row.choice("label", LABELS))


def _has_lesion(row: Row) -> bool:
    """Return whether a row marks a lesion; raise SourceError if its fields contradict each other."""
    circle = _circle(row)
    if all(value is None for value in circle) and not row.text("lesion_mask"):
        for field in ("lesion_label", "lesion_kind"):
            if row.text(field):
                raise row.error(field, "is set without a position; give row, column and radius, or a mask")
        return False
    if any(value is None for value in circle) and not (circle == (None, None, None)):
        raise row.error("lesion_radius", "belongs to lesion_row and lesion_column; give all or none")
    if circle[2] is not None and circle[2] <= 0:
        raise row.error("lesion_radius", f"{circle[2]:g} is not above 0; give pixels above 0")
    _lesion_label(row)
    return True


def _circle(row: Row) -> tuple[float | None, float | None, float | None]:
    return row.number("lesion_row"), row.number("lesion_column"), row.number("lesion_radius")


def _lesion_label(row: Row) -> Label:
    label = row.choice("lesion_label", LABELS[1:]) or _label(row)
    if LABELS.index(_label(row)) < LABELS.index(cast(Label, label)):
        raise row.error("label", f"is {_label(row)}, but its lesion is {label}; label is the most severe finding")
    if label == "normal":
        raise row.error("label", "is normal, but a lesion is marked; correct one of them")
    return cast(Label, label)
