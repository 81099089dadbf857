"""The study's units, one per example: a whole view, a patch around one site, or an image that is a patch already.

The positions of units are determined on the uncompressed image and are the same for every reconstruction. So a patch is
cropped AFTER its whole image was compressed and decompressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mammo_jax.preprocess import Framing, breast_mask, find_framing, patch_view, to_record, whole_view
from mammo_jax.sources import LABELS, Label, Mammogram, SourceError

UnitKind = Literal["whole", "patch", "frame"]
Target = Literal["malignant", "abnormal", "lesion"]


@dataclass(frozen=True)
class UnitConfig:
    """Settings of the study's units: what is cropped from an image, and which label is the target.

    Attributes
    ----------
    unit : {"whole", "patch", "frame"}
        A whole view: the breast's bounding box, chest wall on the left. A patch around each site of a whole view. Or
        the frame: the image is a patch already, so all of it is taken as it is, with no breast looked for.
    target : {"malignant", "abnormal", "lesion"}
        Malignant against the rest; abnormal against normal images; or, for patches, lesion against normal patch
        (then normal patches may also come from abnormal images, away from the lesions).
    input_rows, input_columns : int
        Size of the model's input in pixels.
    input_pitch : float or None
        Whole views and frames: mm per model pixel, the same scale for every image; None fits each to the canvas.
    patch_mm : float
        Side of a patch in mm.
    pixel_pitch : float or None
        mm per pixel, for images that do not state it.
    normals_per_lesion : int
        Matched normal patches for each lesion patch, if the source has no null sites. With 0, lesions are compared with
        each other: malignant with benign ones.
    """

    unit: UnitKind = "patch"
    target: Target = "lesion"
    input_rows: int = 64
    input_columns: int = 64
    input_pitch: float | None = None
    patch_mm: float = 36.0
    pixel_pitch: float | None = None
    normals_per_lesion: int = 3

    def __post_init__(self) -> None:
        """Raise ValueError for combinations that make no sense."""
        if self.unit != "patch" and self.target == "lesion":
            raise ValueError("target 'lesion' is for unit 'patch': use 'abnormal' or 'malignant'")
        if self.unit == "patch" and self.input_rows != self.input_columns:
            raise ValueError("patches are square: input_rows and input_columns must be equal")


@dataclass(frozen=True)
class Site:
    """The centre of a patch in pixels of the whole image, with its label and name."""

    row: float
    column: float
    label: Label
    name: str


@dataclass(frozen=True)
class Unit:
    """One example: its id, label and target, and how to crop it from any reconstruction of its image.

    Attributes
    ----------
    unit_id : str
    label : {"normal", "benign", "malignant"}
    target : int
        1 for a positive, 0 for a negative.
    """

    unit_id: str
    label: Label
    target: int
    framing: Framing
    shape: tuple[int, int]
    site: Site | None
    side: float | None
    zoom: float | None

    @property
    def pixels_per_model_pixel(self) -> float:
        """Side of one pixel of the model's input in pixels of the image."""
        if self.side is not None:
            return self.side / self.shape[0]
        box = self.framing.bottom - self.framing.top, self.framing.right - self.framing.left
        fitting = max(box[0] / self.shape[0], box[1] / self.shape[1])
        return fitting if self.zoom is None else max(1 / self.zoom, fitting)

    def view(self, pixels: np.ndarray) -> np.ndarray:
        """Crop and resample this unit from a whole image [rows, columns]; float32 [input_rows, input_columns]."""
        if self.site is None or self.side is None:
            return whole_view(pixels, self.framing, self.shape, self.zoom)
        return patch_view(pixels, self.site.row, self.site.column, self.side, self.shape[0], self.framing.mirrored)

    def record_image(self, pixels: np.ndarray, bits_stored: int) -> np.ndarray:
        """Crop this unit and scale its grey levels for a record; uint16 [input_rows, input_columns]."""
        return to_record(self.view(pixels), bits_stored)

    def record_mask(self, lesions: np.ndarray) -> np.ndarray:
        """Crop this unit from a lesion mask [rows, columns]; uint8, 255 if at least half of the pixel is lesion."""
        return np.where(self.view(lesions) >= 0.5, 255, 0).astype(np.uint8)


def pitch_of(mammogram: Mammogram, config: UnitConfig) -> float:
    """Return the pixel pitch in mm, from the image or else from the config; SourceError if neither has it."""
    pitch = mammogram.pixel_pitch or config.pixel_pitch
    if pitch is None:
        raise SourceError(
            f"{mammogram.image_id}: pixel_pitch is unknown, but sizes are in mm; give it with --pixel-pitch"
        )
    return pitch


def patch_side(mammogram: Mammogram, config: UnitConfig) -> float:
    """Return the side of a patch in pixels of the image; SourceError if it is unknown or larger than the image."""
    side = config.patch_mm / pitch_of(mammogram, config)
    if side > min(mammogram.pixels.shape):
        raise SourceError(
            f"{mammogram.image_id}: a patch of {config.patch_mm} mm is {side:.0f} pixels, larger than the image "
            f"{mammogram.pixels.shape}; give a smaller --patch-mm"
        )
    return side


def tissue_mask(pixels: np.ndarray, config: UnitConfig) -> np.ndarray:
    """Return where an image [rows, columns] shows the breast: bool, and everywhere where the image is a patch."""
    return np.ones(pixels.shape, bool) if config.unit == "frame" else breast_mask(pixels)


def lay_out(
    mammogram: Mammogram, breast: np.ndarray, config: UnitConfig, normal_sites: Sequence[tuple[float, float]] = ()
) -> list[Unit]:
    """List the units of one image.

    Parameters
    ----------
    mammogram : Mammogram
    breast : bool array [rows, columns]
        Its breast mask, from `tissue_mask`.
    config : UnitConfig
    normal_sites : sequence of (row, column)
        Matched centres of normal patches, for sources without null sites.
    """
    whole_frame = Framing(0, 0, breast.shape[0], breast.shape[1], mirrored=False)
    framing = whole_frame if config.unit == "frame" else find_framing(breast)
    shape = (config.input_rows, config.input_columns)
    if config.unit != "patch":
        zoom = None if config.input_pitch is None else pitch_of(mammogram, config) / config.input_pitch
        target = is_positive(mammogram.label, config.target)
        return [Unit(mammogram.image_id, mammogram.label, target, framing, shape, None, None, zoom)]
    side = patch_side(mammogram, config)
    sites = lesion_sites(mammogram, breast) + [
        Site(row, column, "normal", f"normal{number}")
        for number, (row, column) in enumerate((*mammogram.null_sites, *normal_sites))
    ]
    return [
        Unit(
            f"{mammogram.image_id}.{site.name}",
            site.label,
            is_positive(site.label, config.target),
            framing,
            shape,
            site,
            side,
            None,
        )
        for site in sites
    ]


def lesion_sites(mammogram: Mammogram, breast: np.ndarray) -> list[Site]:
    """Return one site for each marked lesion whose centre is inside the breast mask [rows, columns].

    A mark outside is an error in the table (mini-MIAS has two), and its patch would show background.
    """
    return [
        Site(lesion.row, lesion.column, lesion.label, f"lesion{number}")
        for number, lesion in enumerate(mammogram.lesions)
        if 0 <= lesion.row < breast.shape[0]
        and 0 <= lesion.column < breast.shape[1]
        and breast[int(lesion.row), int(lesion.column)]
    ]


def is_positive(label: Label, target: Target) -> int:
    """Return 1 if a unit with this label is a positive for the target, else 0."""
    return int(label == "malignant" if target == "malignant" else label != "normal")


def label_number(label: Label) -> int:
    """Return 0 for normal, 1 for benign, 2 for malignant."""
    return LABELS.index(label)
