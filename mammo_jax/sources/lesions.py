"""Simulated lesions with known masks: masses and clusters of microcalcifications, benign and malignant.

A lesion is a `Stamp`: extra log exposure that is added to a breast, and its mask. Benign and malignant lesions have the
same distributions of size and contrast and the same share of calcifications. They differ in the BI-RADS descriptors
(ACR BI-RADS Atlas, 5th ed., 2013): margin and shape of a mass, form and distribution of calcifications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull

from mammo_jax.sources.detector import BLUR
from mammo_jax.sources.mammogram import Label, Lesion

MASS_RADIUS = (5.0, 15.0)
"""Radius of a mass in mm. Invasive cancers found by screening have median diameters of 12–15 mm by density (Symposium
Mammographicum 2004, Breast Cancer Res 2004;6(Suppl 1):P14); below 5 mm they are rarely visible. The upper end is our
choice."""

MASS_MEDIAN = 8.0
"""Median radius of a mass in mm, log-normal between the bounds of MASS_RADIUS (our choice)."""

MASS_CONTRAST = (0.08, 0.18)
"""Mean extra log exposure of a mass over its disc, at contrast 1. Our choice: some 10 mm of cancer (0.035 to 0.04 per
mm over fat, nearly nothing over gland, see `tissue`) replace a mixture of the two."""

CALCIUM = 1.0
"""Extra log exposure of a calcification per mm (our choice, for porous calcium salts at about 20 keV)."""

GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Stamp:
    """The image of a lesion around its centre.

    Attributes
    ----------
    exposure : float32 array [side, side], side odd
        Extra log exposure; 0 outside the mask.
    mask : bool array [side, side]
        The lesion: a mass with its spicules, or the hull of a cluster.
    label : {"normal", "benign", "malignant"}
        "normal" for a null lesion, whose exposure is 0 and whose mask is empty.
    kind : {"mass", "calcifications"}
    """

    exposure: np.ndarray
    mask: np.ndarray
    label: Label
    kind: str


def label_at(seed: int, number: int, benign: float, malignant: float) -> Label:
    """Return the label of a patient or image, which depends only on seed and number.

    Labels come from a golden-ratio sequence with a random start, so that among any n consecutive numbers the shares of
    benign and malignant ones are nearly as requested.
    """
    position = (np.random.default_rng(seed).uniform() + number * GOLDEN_RATIO) % 1
    if position < malignant:
        return "malignant"
    return "benign" if position < malignant + benign else "normal"


def draw_lesion(
    kind: np.random.Generator,
    form: np.random.Generator,
    label: Label,
    pitch: float,
    contrast: float,
    calcification_share: float,
) -> Stamp:
    """Draw a lesion as seen in one view; for a normal image a null lesion, drawn in the same way with contrast 0.

    Parameters
    ----------
    kind : numpy.random.Generator
        Random stream of the type (mass or cluster), size and contrast; in the same state for all views of a lesion.
    form : numpy.random.Generator
        Random stream of the outline, the spicules and the grains.
    label : {"normal", "benign", "malignant"}
    pitch : float
        Size of a pixel in mm.
    contrast : float
        Scale of the extra exposure; 1 is realistic, see MASS_CONTRAST and CALCIUM.
    calcification_share : float
        Probability of a cluster of calcifications; otherwise it is a mass.
    """
    name, draw = ("calcifications", _cluster) if kind.uniform() < calcification_share else ("mass", _mass)
    exposure, mask = draw(kind, form, label, pitch)
    if label == "normal":
        contrast, mask = 0.0, np.zeros_like(mask)
    return Stamp(np.where(mask, np.float32(contrast) * exposure, np.float32(0)), mask, label, name)


def _mass(
    kind: np.random.Generator, form: np.random.Generator, label: Label, pitch: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a mass: malignant with a rough margin and spicules, benign smooth and round or oval.

    The profile (1 − r²)**v, r relative to the margin in that direction, is Burgess's "designer nodule" (the exponents
    are ours). The malignant margin is a random harmonic series with spicules, a two-dimensional version of the Gaussian
    random sphere with spicules of de Sisternes et al., Med Phys 2015;42:1098, without branching. The total extra
    exposure does not depend on the label.
    """
    radius = float(np.clip(MASS_MEDIAN * np.exp(kind.normal(0, 0.35)), *MASS_RADIUS))
    mean = kind.uniform(*MASS_CONTRAST)
    malignant = label == "malignant"
    y, x = _grid(int(np.ceil((2.25 if malignant else 1.35) * radius / pitch)), pitch)
    distance, angle = np.hypot(y, x), np.arctan2(y, x)
    if malignant:
        profile = (1 - (distance / _margin(form, angle, radius, 0.2, 10)) ** 2).clip(0) ** 1.1
        profile = np.maximum(profile, _spicules(distance, angle, radius, *_draw_spicules(form, radius)))
    else:
        oval = 1 / np.sqrt(1 + form.uniform(0, 0.7) * np.sin(angle - form.uniform(0, np.pi)) ** 2)
        profile = (1 - (distance / (oval * _margin(form, angle, radius, 0.025, 4))) ** 2).clip(0) ** 0.6
    profile = gaussian_filter(profile, BLUR / pitch)
    profile *= mean * np.pi * radius**2 / (profile.sum() * pitch**2)
    return profile, profile > 0.02 * profile.max()


def _margin(rng: np.random.Generator, angle: np.ndarray, radius: float, rough: float, orders: int) -> np.ndarray:
    """Return the radius in mm by direction: a circle times a random harmonic series of relative deviation `rough`."""
    order = np.arange(2, orders + 1, dtype=np.float32)
    weight = rng.normal(0, 1, (2, len(order))) / order
    turn = np.linspace(-np.pi, np.pi, 721, dtype=np.float32)
    wave = weight[0] @ np.cos(np.outer(order, turn)) + weight[1] @ np.sin(np.outer(order, turn))
    wave *= rough / wave.std()
    return np.interp(angle, turn, radius * np.exp(wave)).astype(np.float32)


def _draw_spicules(rng: np.random.Generator, radius: float) -> tuple[np.ndarray, ...]:
    """Draw direction, bend, reach (mm), half width (mm) and strength of each spicule; the numbers are our choice."""
    count = int(rng.integers(16, 31))
    spicules = (
        rng.uniform(-np.pi, np.pi, count),
        rng.normal(0, 0.18, count),
        radius * rng.uniform(1.2, 2.1, count),
        rng.uniform(0.4, 1.0, count),
        rng.uniform(0.4, 0.9, count),
    )
    return tuple(column.astype(np.float32) for column in spicules)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _spicules(distance, angle, radius, direction, bend, reach, width, strength):  # pragma: no cover - compiled
    """Draw curved lines that taper outwards; where they cross, the maximum counts."""
    out = np.zeros(distance.shape, np.float32)
    for i in range(distance.shape[0]):
        for j in range(distance.shape[1]):
            r = distance[i, j]
            if r < 0.4 * radius:
                continue
            for k in range(len(direction)):
                if r >= reach[k]:
                    continue
                turn = angle[i, j] - direction[k] - bend[k] * (r / radius - 1.0)
                turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
                if abs(turn) > 0.6:
                    continue
                taper = 1.0 - (r - 0.4 * radius) / (reach[k] - 0.4 * radius)
                across = r * np.sin(turn) / (width[k] * (0.4 + 0.6 * taper))
                if abs(across) < 3.0:
                    out[i, j] = max(out[i, j], strength[k] * np.sqrt(taper) * np.exp(-across * across))
    return out


def _cluster(
    kind: np.random.Generator, form: np.random.Generator, label: Label, pitch: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a cluster of calcifications over 5–15 mm: benign few, coarse and round; malignant many, fine and linear.

    BI-RADS: a group is five or more within 1 cm, at most 2 cm across. Fine pleomorphic and fine linear ones are below
    0.5 mm and suspicious; coarse and round ones are typically benign. Here all are 0.1–1 mm.
    """
    extent = kind.uniform(7, 15)
    if label == "malignant":
        count, size, long = int(form.integers(14, 32)), (0.18, 0.5), (1.0, 4.0)
        spread = np.array([0.5, form.uniform(0.12, 0.3)])
    else:
        count, size, long = int(form.integers(6, 14)), (0.55, 1.0), (1.0, 1.25)
        spread = np.array([0.5, form.uniform(0.35, 0.5)])
    reach, polar = np.sqrt(form.uniform(0, 1, count)), form.uniform(0, 2 * np.pi, count)
    axis = form.uniform(0, np.pi)
    rotation = np.array([[np.cos(axis), -np.sin(axis)], [np.sin(axis), np.cos(axis)]])
    centre = extent * (reach * spread[:, None] * np.stack([np.cos(polar), np.sin(polar)])).T @ rotation.T
    centre -= (centre.min(axis=0) + centre.max(axis=0)) / 2
    diameter, ratio = form.uniform(*size, count), form.uniform(*long, count)
    tilt = axis + form.normal(0, 0.6, count)
    half = int(np.ceil((0.75 * extent + 1.5) / pitch))
    exposure = _grains(half, pitch, centre, diameter, ratio, tilt, CALCIUM)
    return gaussian_filter(exposure, BLUR / pitch), _hull(centre, half, pitch)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _grains(half, pitch, centre, diameter, ratio, tilt, calcium):  # pragma: no cover - compiled
    """Average the projected thickness of ellipsoids, times the exposure per mm, over each pixel by supersampling."""
    side = 2 * half + 1
    out = np.zeros((side, side), np.float32)
    fine = max(3, int(np.ceil(pitch / 0.04)))
    for k in range(len(diameter)):
        long, short = 0.5 * diameter[k] * np.sqrt(ratio[k]), 0.5 * diameter[k] / np.sqrt(ratio[k])
        cosine, sine = np.cos(tilt[k]), np.sin(tilt[k])
        first_i, last_i = int((centre[k, 0] - long) / pitch) + half - 1, int((centre[k, 0] + long) / pitch) + half + 1
        first_j, last_j = int((centre[k, 1] - long) / pitch) + half - 1, int((centre[k, 1] + long) / pitch) + half + 1
        for i in range(max(first_i, 0), min(last_i + 1, side)):
            for j in range(max(first_j, 0), min(last_j + 1, side)):
                total = 0.0
                for a in range(fine):
                    for b in range(fine):
                        y = (i - half + (a + 0.5) / fine - 0.5) * pitch - centre[k, 0]
                        x = (j - half + (b + 0.5) / fine - 0.5) * pitch - centre[k, 1]
                        u, v = (y * cosine + x * sine) / long, (x * cosine - y * sine) / short
                        if u * u + v * v < 1.0:
                            total += np.sqrt(1.0 - u * u - v * v)
                out[i, j] += calcium * diameter[k] * total / (fine * fine)
    return out


def _hull(centre: np.ndarray, half: int, pitch: float) -> np.ndarray:
    """Return the convex hull of the grains' centres with a border of 1 mm, as bool [2 half + 1, 2 half + 1]."""
    y, x = _grid(half, pitch)
    planes = ConvexHull(centre).equations
    outside = planes[:, 0, None, None] * y + planes[:, 1, None, None] * x + planes[:, 2, None, None]
    return outside.max(axis=0) <= 1.0


def _grid(half: int, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [n, 1] and columns [1, n] in mm from the centre, n = 2 half + 1."""
    line = np.arange(-half, half + 1, dtype=np.float32) * np.float32(pitch)
    return line[:, None], line[None, :]


def plant(image: np.ndarray, stamp: Stamp, row: int, column: int, scale: float = 1.0) -> Lesion | None:
    """Add a stamp to a float image in place, centred on a pixel, and return the lesion; None for a null lesion.

    Parameters
    ----------
    image : float32 array [rows, columns]
        Log exposure, or grey levels.
    stamp : Stamp
    row, column : int
        The centre, inside the image.
    scale : float
        Units of the image for one unit of log exposure.
    """
    half = stamp.mask.shape[0] // 2
    top, left = max(row - half, 0), max(column - half, 0)
    bottom, right = min(row + half + 1, image.shape[0]), min(column + half + 1, image.shape[1])
    part = slice(top - row + half, bottom - row + half), slice(left - column + half, right - column + half)
    image[top:bottom, left:right] += np.float32(scale) * stamp.exposure[part]
    if stamp.label == "normal":
        return None
    mask = np.zeros(image.shape, bool)
    mask[top:bottom, left:right] = stamp.mask[part]
    y, x = np.nonzero(mask)
    radius = float(np.hypot(y - row, x - column).max()) + 0.5
    return Lesion(float(row), float(column), radius, stamp.label, mask, stamp.kind)
