"""Phantom mammograms with simulated lesions: any number of images, with known truth, without download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mammo_jax.sources.detector import detect
from mammo_jax.sources.lesions import draw_lesion, label_at, plant
from mammo_jax.sources.mammogram import Label, Mammogram, SourceError
from mammo_jax.sources.tissue import (
    COARSE_STEP,
    Geometry,
    draw_breast,
    geometry,
    log_exposure,
)

VIEWS: tuple[tuple[Literal["L", "R"], str], ...] = (("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO"))
"""The images of a patient in their order."""

SKIN_MARGIN = 20.0
"""Minimum distance in mm of a site from the skin, so that a mass is inside the breast."""

EDGE_MARGIN = 18.0
"""Minimum distance in mm of a site from the image's border: half a patch of 36 mm."""

BITS_STORED = 12

# Separate random streams, so that the background of an image does not depend on its lesion.
_PATIENT, _SIDE, _IMAGE, _TISSUE, _NOISE, _SITE, _KIND, _FORM = range(8)


@dataclass(frozen=True)
class Phantom:
    """A source of phantom mammograms, four views per patient; image i depends only on seed and i.

    A patient has at most one lesion, in one breast, visible in both views of that breast. The lesion's site is drawn
    for every breast, independently of the label; without a lesion it is a null site. Overall exposure and display
    contrast vary between images.

    Attributes
    ----------
    images : int
        Number of images.
    seed : int
        Not negative.
    rows, columns : int
        Size in pixels; with the pitch at least 150 x 130 mm.
    pixel_pitch : float
        Size of a pixel in mm.
    benign, malignant : float
        Share of the images with such a lesion; at most 0.5 together. The default is that of Jo et al., Sci Rep
        2021;11:7924.
    contrast : float
        Contrast of the lesions; 1 is realistic (see `lesions`), smaller is harder.
    calcification_share : float
        Share of the lesions that are clusters of microcalcifications.
    beta : float
        Exponent of the parenchyma's power spectrum (see `tissue.power_law_field`).
    """

    images: int
    seed: int = 0
    rows: int = 1664
    columns: int = 1280
    pixel_pitch: float = 0.14
    benign: float = 0.19
    malignant: float = 0.19
    contrast: float = 1.0
    calcification_share: float = 0.25
    beta: float = 3.0

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.images < 1 or self.seed < 0:
            raise SourceError(f"phantom: images={self.images}, seed={self.seed}; at least 1 and 0 are needed")
        if self.rows * self.pixel_pitch < 150 or self.columns * self.pixel_pitch < 130:
            raise SourceError(
                f"phantom: {self.rows} x {self.columns} pixels of {self.pixel_pitch} mm are too small for a breast; "
                "150 x 130 mm are needed (a larger pixel_pitch gives small images)"
            )
        if min(self.benign, self.malignant) < 0 or self.benign + self.malignant > 0.5:
            raise SourceError("phantom: benign and malignant are shares of the images, together at most 0.5")
        if self.contrast < 0 or not 0 <= self.calcification_share <= 1 or not 0 <= self.beta <= 4:
            raise SourceError("phantom: contrast >= 0, calcification_share in [0, 1] and beta in [0, 4] are needed")

    def __len__(self) -> int:
        """Return the number of images."""
        return self.images

    def patients(self) -> list[str]:
        """Return the patient id of every image."""
        return [self._patient_id(index // len(VIEWS)) for index in range(self.images)]

    def labels(self) -> list[Label]:
        """Return the label of every image."""
        return [self._label(index) for index in range(self.images)]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per image; see `Source.table`."""
        return [
            {"image_id": self._image_id(index), "patient_id": patient, "label": label, "files": []}
            for index, (patient, label) in enumerate(zip(self.patients(), self.labels()))
        ]

    def __getitem__(self, index: int) -> Mammogram:
        """Generate one image."""
        if not 0 <= index < self.images:
            raise IndexError(f"phantom: image {index} of {self.images}")
        patient, (laterality, view) = index // len(VIEWS), VIEWS[index % len(VIEWS)]
        pitch, height, width = self.pixel_pitch, self.rows * self.pixel_pitch, self.columns * self.pixel_pitch
        breast = draw_breast(self._stream(_PATIENT, patient), self._stream(_IMAGE, index), view, height)
        distances = geometry(breast, height, width)
        shape = self.rows, self.columns
        exposure = log_exposure(breast, distances, self._stream(_TISSUE, index), shape, pitch, self.beta)
        row, column = self._site(index, distances)
        if laterality == "R":
            exposure, column = np.ascontiguousarray(exposure[:, ::-1]), self.columns - 1 - column
        kind, form, label = self._stream(_KIND, self._breast(index)), self._stream(_FORM, index), self._label(index)
        stamp = draw_lesion(kind, form, label, pitch, self.contrast, self.calcification_share)
        lesion = plant(exposure, stamp, row, column)
        noise = self._stream(_NOISE, index)
        offset, gain = noise.uniform(700, 1100), noise.uniform(1300, 1800)
        return Mammogram(
            pixels=detect(exposure, noise, pitch, offset, gain, BITS_STORED),
            bits_stored=BITS_STORED,
            image_id=self._image_id(index),
            patient_id=self._patient_id(patient),
            label=label,
            pixel_pitch=pitch,
            laterality=laterality,
            view=view,
            lesions=() if lesion is None else (lesion,),
            null_sites=((float(row), float(column)),) if lesion is None else (),
        )

    def _stream(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, number])

    def _image_id(self, index: int) -> str:
        return f"{self._patient_id(index // len(VIEWS))}-{''.join(VIEWS[index % len(VIEWS)])}"

    def _patient_id(self, patient: int) -> str:
        return f"phantom-{self.seed}-{patient}"

    def _breast(self, index: int) -> int:
        """Return the number of the breast that an image shows."""
        return 2 * (index // len(VIEWS)) + (VIEWS[index % len(VIEWS)][0] == "R")

    def _label(self, index: int) -> Label:
        """Return the label of an image: the patient's if the lesion is in this breast, else normal.

        A patient's lesion is in two of four images, hence the factor of two.
        """
        patient = index // len(VIEWS)
        if self._breast(index) % 2 != self._stream(_SIDE, patient).integers(2):
            return "normal"
        return label_at(self.seed, patient, 2 * self.benign, 2 * self.malignant)

    def _site(self, index: int, distances: Geometry) -> tuple[int, int]:
        """Draw the pixel of the lesion or null site, in the coordinates of a left breast.

        The relative depth towards the nipple is nearly the same in both views of a breast; the other coordinate is
        independent.
        """
        inward = self._stream(_SITE, self._breast(index)).uniform()
        rng = np.random.default_rng([self.seed, _SITE, self._breast(index), index])
        inward = np.clip(inward + rng.normal(0, 0.04), 0, 1)
        border = int(np.ceil(EDGE_MARGIN / COARSE_STEP))
        allowed = (distances.skin >= SKIN_MARGIN) & (distances.muscle <= -5)
        allowed[:border] = allowed[:, :border] = False
        allowed[int((self.rows * self.pixel_pitch - EDGE_MARGIN) / COARSE_STEP) :] = False
        columns = np.flatnonzero(allowed.any(axis=0))
        if not len(columns):
            raise SourceError(f"phantom: no room for a lesion in image {index}; please report seed {self.seed}")
        column = columns[round(inward * (len(columns) - 1))]
        row = rng.choice(np.flatnonzero(allowed[:, column]))
        site = (np.array([row, column]) + rng.uniform(-0.5, 0.5, 2)) * COARSE_STEP / self.pixel_pitch
        return int(site[0]), int(site[1])
