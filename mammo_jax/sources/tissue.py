"""Simulated breasts without lesions: outline and parenchyma.

Lengths are in millimetres. Intensities are in *log exposure*: the natural logarithm of the attenuation relative to fat
of the same thickness. So fat is 0, dense tissue is positive and air strongly negative. Coordinates start at the top
(row) and at the chest wall (column); a right breast is mirrored at the end.

If a number has a source, it is cited next to it; every other number is this project's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import scipy.fft
from scipy.spatial import cKDTree

AIR = -20.0
"""Log exposure of air: far below the range of a display."""

GLAND_OVER_FAT = 0.035
"""Attenuation of fibroglandular tissue above that of fat, per mm, for a mean energy near 20 keV (our choice). Carroll
et al., Invest Radiol 1994;29:266 measured cancers 67 % above fat and 11 % above normal tissue at 14–18 keV."""

MAX_DEPTH = 30.0
"""Depth in mm beyond which the distance to the skin has no influence."""

COARSE_STEP = 1.12
"""Step in mm of the grid for the smooth parts (distance to the skin, envelopes)."""

FINE_STEP = 0.28
"""Step in mm of the grid for the parenchyma: above 1.8 cycles/mm a 1/f³ spectrum is below the quantum noise."""


@dataclass(frozen=True)
class Breast:
    """One breast in one view; lengths in mm.

    Attributes
    ----------
    depth : float
        Chest wall to nipple.
    upper, lower : float
        Extent above and below the nipple.
    nipple : float
        Row of the nipple.
    tail : float
        Width of the outline at its top as a share of the depth (axillary tail of MLO; 0 for CC).
    muscle_width, muscle_length : float
        Legs of the pectoral muscle's triangle along the top edge and along the chest wall (0 for CC).
    thickness : float
        Compressed thickness.
    density : float
        Volumetric share of fibroglandular tissue.
    """

    depth: float
    upper: float
    lower: float
    nipple: float
    tail: float
    muscle_width: float
    muscle_length: float
    thickness: float
    density: float


def draw_breast(patient: np.random.Generator, image: np.random.Generator, view: str, height: float) -> Breast:
    """Draw a breast: size, thickness and density from the patient's stream, variations of the view from the image's.

    Thickness 59 ± 16 mm and a density of 14–26 % on average, 95 % of women below 45 %: Yaffe et al., Med Phys
    2009;36:5437. Sizes are our choice, for a detector of about 230 x 180 mm.

    Parameters
    ----------
    patient, image : numpy.random.Generator
        The patient's stream must be in the same state for all views of a patient.
    view : {"CC", "MLO"}
    height : float
        Height of the detector in mm.
    """
    depth = patient.uniform(68, 112)
    thickness = float(np.clip(patient.normal(59, 16), 30, 90))
    density = float(np.clip(0.19 * np.exp(patient.normal(0, 0.5)), 0.06, 0.6))
    half = depth * patient.uniform(0.8, 1.0)
    depth *= image.uniform(0.95, 1.05)
    density *= image.uniform(0.9, 1.1)
    upper, lower = half * image.uniform(0.9, 1.1), half * image.uniform(0.9, 1.1)
    if view == "CC":
        nipple = height / 2 + image.uniform(-12, 12)
        return Breast(depth, upper, lower, nipple, 0.0, 0.0, 0.0, thickness, density)
    nipple = height * image.uniform(0.50, 0.60)
    tail = image.uniform(0.50, 0.62)
    width, length = tail * depth * image.uniform(0.5, 0.85), image.uniform(90, 140)
    return Breast(depth, nipple * 1.1, 0.85 * lower, nipple, tail, width, length, thickness, density)


def _skin_column(breast: Breast, row: np.ndarray) -> np.ndarray:
    """Return the column of the skin (mm from the chest wall) at rows in mm; 0 where there is no breast."""
    above, below = (breast.nipple - row) / breast.upper, (row - breast.nipple) / breast.lower
    round_part = np.clip(1 - np.abs(np.maximum(above, below)) ** 2.2, 0, None) ** (1 / 2.0)
    if breast.tail:
        slope = breast.tail + (1 - breast.tail) * np.cos(np.clip(above, 0, 1) * np.pi / 2) ** 1.6
        round_part = np.where(above > 0, slope, round_part)
    return breast.depth * round_part


def distance_to_skin(breast: Breast, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the depth below the skin in mm, negative in air, on the grid of rows and columns (mm).

    It is the distance to a densely sampled outline, so that interpolation is smooth, limited to MAX_DEPTH. float32
    [rows, columns].
    """
    line = np.linspace(rows[0] - 5, rows[-1] + 5, 1000)
    skin = _resampled(np.stack([line, _skin_column(breast, line)], axis=1), 0.25)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 60)
    tip = np.array([breast.nipple, breast.depth - 1.5])
    nipple = tip + np.stack([4.5 * np.sin(turn), 5.5 * np.cos(turn)], axis=1)
    skin = skin[(skin[:, 1] > 0) & ~_in_nipple(skin, tip)]
    nipple = nipple[nipple[:, 1] > _skin_column(breast, nipple[:, 0])]
    near = columns[columns < breast.depth + 10]  # beyond is air, where the distance does not matter
    grid = np.stack(np.meshgrid(rows, near, indexing="ij"), axis=-1).reshape(-1, 2)
    distance, _ = cKDTree(np.concatenate([skin, nipple])).query(grid, distance_upper_bound=MAX_DEPTH)
    inside = (grid[:, 1] < _skin_column(breast, grid[:, 0])) | _in_nipple(grid, tip)
    out = np.full((len(rows), len(columns)), -MAX_DEPTH, np.float32)
    out[:, : len(near)] = np.where(inside, 1, -1).reshape(len(rows), -1) * np.minimum(distance, MAX_DEPTH).reshape(
        len(rows), -1
    )
    return out


def _resampled(line: np.ndarray, step: float) -> np.ndarray:
    """Return points at intervals of `step` along a line through points [n, 2]."""
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    along = np.arange(0, length[-1], step)
    return np.stack([np.interp(along, length, line[:, axis]) for axis in (0, 1)], axis=1)


def _in_nipple(points: np.ndarray, tip: np.ndarray) -> np.ndarray:
    return (((points - tip) / (4.5, 5.5)) ** 2).sum(axis=1) < 1


def distance_to_muscle(breast: Breast, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the depth in mm in the pectoral muscle, negative outside, float32 [rows, columns]; without one -1000."""
    if not breast.muscle_width:
        return np.full((len(rows), len(columns)), -1000, np.float32)
    across, along = columns / breast.muscle_width, rows / breast.muscle_length
    inside = 1 - across[None, :] - along[:, None] ** 1.15
    return (inside / np.hypot(1 / breast.muscle_width, 1 / breast.muscle_length)).astype(np.float32)


def power_law_field(rng: np.random.Generator, shape: tuple[int, int], beta: float) -> np.ndarray:
    """Draw a Gaussian random field with the isotropic power spectrum 1/f**beta, mean 0, variance 1; float32, periodic.

    Mammographic backgrounds have beta from 1.5 to 3.5, mean about 2.8 (Burgess & Judy, Proc SPIE 2003;5034 and J Opt
    Soc Am A 2007;24:B52); 3 is the usual model (Burgess, Jacobson & Judy, Med Phys 2001;28:419).
    """
    rows, columns = shape
    half = columns // 2 + 1
    frequency = scipy.fft.rfftfreq(columns).astype(np.float32)[None, :] ** 2
    frequency = frequency + scipy.fft.fftfreq(rows).astype(np.float32)[:, None] ** 2
    frequency[0, 0] = np.inf
    amplitude = frequency ** np.float32(-beta / 4)
    normal = rng.standard_normal((rows, half, 2), dtype=np.float32).view(np.complex64)[..., 0]
    normal *= amplitude
    field = scipy.fft.irfft2(normal, s=shape, workers=1)
    field /= field.std()
    return field


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _bilinear(grid, row, column):  # pragma: no cover - compiled
    """Interpolate a grid at a fractional position; the border is repeated outside."""
    row = min(max(row, 0.0), grid.shape[0] - 1.001)
    column = min(max(column, 0.0), grid.shape[1] - 1.001)
    i, j = int(row), int(column)
    a, b = row - i, column - j
    top = grid[i, j] + b * (grid[i, j + 1] - grid[i, j])
    bottom = grid[i + 1, j] + b * (grid[i + 1, j + 1] - grid[i + 1, j])
    return top + a * (bottom - top)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _compose(lobes, strands, texture, skin, envelope, muscle, step, nipple, depth, gland):  # pragma: no cover
    """Compute the log exposure of the parenchyma on the fine grid; all weights are our choice, by visual impression.

    It has glandular lobes inside the envelope, strands (ducts, Cooper's ligaments) that run towards a point in front of
    the nipple, a texture everywhere, and the pectoral muscle.
    """
    rows, columns = texture.shape
    out = np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            y, x = i * step, j * step
            if _bilinear(skin, y / COARSE_STEP, x / COARSE_STEP) < -2.0:
                continue
            wall = _bilinear(envelope, y / COARSE_STEP, x / COARSE_STEP)
            lobe = 1.0 / (1.0 + np.exp(-1.8 * (lobes[i, j] + 2.8 * wall - 1.2)))
            # The field of the strands is sampled in polar coordinates around that point, stretched along the radius.
            radius = np.hypot(y - nipple, x - depth - 15.0)
            turn = np.arctan2(y - nipple, depth + 15.0 - x)
            across = (turn + 1.6) * 90.0 / step + 0.5 * texture[i, j]
            field = _bilinear(strands, across % (strands.shape[0] - 2), 0.4 * radius / step % (strands.shape[1] - 2))
            strand = np.exp(-abs(field) * 12.0) * min(max(0.6 + 0.5 * lobes[i, j], 0.0), 1.5)
            value = lobe * wall * gland * (1.0 + 0.25 * texture[i, j])
            value += 0.04 * texture[i, j] + strand * (0.06 + 0.10 * wall)
            bright = 1.0 / (1.0 + np.exp(-1.2 * _bilinear(muscle, y / COARSE_STEP, x / COARSE_STEP)))
            out[i, j] = value * (1.0 - 0.75 * bright) + bright * (0.62 + 0.03 * texture[i, j])
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _interpolate(tissue, skin, rows, columns, pitch, step, air):  # pragma: no cover - compiled
    """Interpolate the log exposure to the image grid, with less tissue towards the skin and air outside."""
    out = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            y, x = i * pitch, j * pitch
            distance = _bilinear(skin, y / COARSE_STEP, x / COARSE_STEP)
            if distance <= 0.0:
                out[i, j] = air
                continue
            value = _bilinear(tissue, y / step, x / step)
            if distance < MAX_DEPTH - 1.0:
                value += -0.55 * np.exp(-distance / 3.5) + 0.10 * np.exp(-(((distance - 0.9) / 0.8) ** 2))
            out[i, j] = value
    return out


@dataclass(frozen=True)
class Geometry:
    """Distances to a breast's skin and muscle on the coarse grid.

    Attributes
    ----------
    skin : float32 array [coarse rows, coarse columns]
        Depth below the skin in mm, negative in air.
    muscle : float32 array [coarse rows, coarse columns]
        Depth inside the pectoral muscle in mm, negative outside.
    """

    skin: np.ndarray
    muscle: np.ndarray


def geometry(breast: Breast, height: float, width: float) -> Geometry:
    """Compute the distances to skin and muscle for a detector of height x width mm."""
    rows, columns = (np.arange(int(np.ceil(side / COARSE_STEP)) + 2) * COARSE_STEP for side in (height, width))
    return Geometry(distance_to_skin(breast, rows, columns), distance_to_muscle(breast, rows, columns))


def _envelope(breast: Breast, skin: np.ndarray) -> np.ndarray:
    """Return the share of fibroglandular tissue along the beam: 0 under the skin, largest behind the nipple."""
    y, x = (np.arange(n, dtype=np.float32) * COARSE_STEP for n in skin.shape)
    across = (y[:, None] - breast.nipple) / (0.55 * (breast.upper + breast.lower) / 1.6)
    along = (x[None, :] - 0.62 * breast.depth) / (0.42 * breast.depth)
    cone = np.exp(-(across**2 + along**2))
    under = np.clip((skin - 4) / 14, 0, 1)
    share = min(0.9, 1.1 * breast.density**0.6)
    return (share * cone * under * under * (3 - 2 * under)).astype(np.float32)


def log_exposure(
    breast: Breast, distances: Geometry, rng: np.random.Generator, shape: tuple[int, int], pitch: float, beta: float
) -> np.ndarray:
    """Compute the noise-free log exposure of a left breast, float32 [rows, columns]; AIR outside.

    Parameters
    ----------
    distances : Geometry
        Of the same breast and detector.
    shape, pitch : tuple of int, float
        Size of the image in pixels and of a pixel in mm.
    beta : float
        Exponent of the parenchyma's power spectrum.
    """
    step = max(FINE_STEP, pitch)
    size = [int(np.ceil(side * pitch / step)) + 2 for side in shape]
    padded = [scipy.fft.next_fast_len(int(1.15 * side), real=True) for side in size]
    lobes, strands, texture = (power_law_field(rng, (padded[0], padded[1]), beta) for _ in range(3))
    rows, columns = size
    tissue = _compose(
        lobes[:rows, :columns], strands, texture[:rows, :columns], distances.skin, _envelope(breast, distances.skin),
        distances.muscle, step, breast.nipple, breast.depth, GLAND_OVER_FAT * breast.thickness,
    )  # fmt: skip
    return _interpolate(tissue, distances.skin, *shape, pitch, step, AIR)
