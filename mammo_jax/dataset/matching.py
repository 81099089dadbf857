"""Normal patches that differ from lesion patches in nothing but the lesion.

Where a source plants no null sites, normal centres are drawn inside the breast and those are taken whose position in
the breast, mean grey level and share of breast are nearest to the lesions'. Otherwise a classifier could tell lesion
patches by where they lie or how bright the tissue is there.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from mammo_jax.dataset.units import Target, UnitConfig, lesion_sites, patch_side
from mammo_jax.preprocess import Framing, breast_mask, find_framing, patch_corner
from mammo_jax.sources import Mammogram, SourceError

DRAWS = 200  # centres tried in an image; those nearer than half a patch to an earlier one are dropped
MIN_BREAST = 0.5  # share of a normal patch that must be breast
MAX_PAIRS = 1 << 26  # of a wanted and a candidate site, whose distances are held at once: 512 MiB


@dataclass(frozen=True)
class Survey:
    """Lesion sites and candidate normal sites of one image.

    Attributes
    ----------
    image_id : str
    lesions, candidates : float64 arrays [sites, 4]
        Position along and away from the chest wall (0 … 1 in the breast box), mean grey level (0 … 1), breast share.
    centres : float64 array [candidates, 2]
        Row and column of each candidate in whole-image pixels.
    """

    image_id: str
    lesions: np.ndarray
    candidates: np.ndarray
    centres: np.ndarray


def survey_image(mammogram: Mammogram, config: UnitConfig, seed: int) -> Survey:
    """Describe an image's lesions and candidate normal sites; the draw depends on the seed and the image id alone."""
    side = patch_side(mammogram, config)
    breast = breast_mask(mammogram.pixels)
    framing = find_framing(breast)
    describe = _Describer(mammogram, breast, framing, side)
    lesions = [describe(site.row, site.column) for site in lesion_sites(mammogram, breast)]
    centres = _draw_centres(mammogram, breast, side, config.target, seed)
    described = np.array([describe(*centre) for centre in centres]).reshape(-1, 4)
    inside = described[:, 3] >= MIN_BREAST
    return Survey(
        mammogram.image_id,
        np.array(lesions).reshape(-1, 4),
        described[inside],
        np.array(centres).reshape(-1, 2)[inside],
    )


class _Describer:
    """Mean grey level and breast share of a square, from summed-area tables of one image."""

    def __init__(self, mammogram: Mammogram, breast: np.ndarray, framing: Framing, side: float):
        self.framing, self.side, self.shape = framing, round(side), mammogram.pixels.shape
        white = (1 << mammogram.bits_stored) - 1
        self.level = _summed_area(mammogram.pixels / white)
        self.share = _summed_area(breast)

    def __call__(self, row: float, column: float) -> tuple[float, float, float, float]:
        top, left = (int(edge) for edge in patch_corner(self.shape, row, column, self.side))
        bottom, right = top + self.side, left + self.side
        level, share = (
            float(table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left])
            for table in (self.level, self.share)
        )
        return (*self.framing.position(row, column), level / self.side**2, share / self.side**2)


def _summed_area(image: np.ndarray) -> np.ndarray:
    return np.pad(image.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _draw_centres(
    mammogram: Mammogram, breast: np.ndarray, side: float, target: Target, seed: int
) -> list[tuple[float, float]]:
    """Draw candidate centres inside the breast, at least half a patch apart and clear of every lesion."""
    unmarked = mammogram.label != "normal" and not mammogram.lesions
    if unmarked or (mammogram.label != "normal" and target != "lesion"):
        return []
    digest = hashlib.sha256(f"{seed}/{mammogram.image_id}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    inside = np.flatnonzero(breast)
    rows, columns = np.unravel_index(generator.choice(inside, DRAWS), breast.shape)
    taken: list[tuple[float, float]] = []
    for row, column in zip(rows.astype(float), columns.astype(float)):
        clear = all(
            np.hypot(row - lesion.row, column - lesion.column) > lesion.radius + side / np.sqrt(2)
            for lesion in mammogram.lesions
        )
        if clear and all(np.hypot(row - other, column - across) >= side / 2 for other, across in taken):
            taken.append((row, column))
    return taken


def match_normals(surveys: list[Survey], per_lesion: int) -> dict[str, list[tuple[float, float]]]:
    """Choose `per_lesion` normal sites for each lesion so that the summed distance of their descriptions is least.

    In large studies lesions and candidates are dealt out at random into groups of equal size, and the sum is the least
    within each: memory stays bounded, and a group's candidates are as varied as all of them.

    Parameters
    ----------
    surveys : list of Survey
    per_lesion : int

    Returns
    -------
    dict
        Image id → centres (row, column) of its normal patches.

    Raises
    ------
    SourceError
        No lesion has a position, or there are fewer candidates than lesions.
    """
    lesions = np.concatenate([survey.lesions for survey in surveys])
    candidates = np.concatenate([survey.candidates for survey in surveys])
    if len(lesions) == 0:
        raise SourceError("no image has a lesion with a position, so there are no lesion patches; use unit 'whole'")
    per_lesion = min(per_lesion, len(candidates) // len(lesions))
    if per_lesion == 0:
        raise SourceError(
            f"{len(candidates)} normal sites for {len(lesions)} lesions are too few; ask for smaller --patch-mm"
        )
    scale = np.maximum(lesions.std(0), 1e-6)
    wanted = np.repeat(lesions / scale, per_lesion, axis=0)
    chosen = _assign(wanted, candidates / scale, MAX_PAIRS)
    owners = [survey.image_id for survey in surveys for _ in range(len(survey.candidates))]
    centres = np.concatenate([survey.centres for survey in surveys])
    sites: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for index in sorted(chosen):
        sites[owners[index]].append((float(centres[index, 0]), float(centres[index, 1])))
    return dict(sites)


def _assign(wanted: np.ndarray, offered: np.ndarray, max_pairs: int) -> np.ndarray:
    """Indices of `offered` [candidates, 4] assigned to the rows of `wanted` [n, 4], one each, n of them in no order."""
    groups = int(np.ceil(np.sqrt(len(wanted) * len(offered) / max_pairs)))
    deal = np.random.default_rng(0).permutation if groups > 1 else np.arange
    chosen = [
        offer[linear_sum_assignment(cdist(wanted[want], offered[offer], "sqeuclidean"))[1]]
        for want, offer in zip(
            np.array_split(deal(len(wanted)), groups), np.array_split(deal(len(offered)), groups), strict=True
        )
    ]
    return np.concatenate(chosen)
