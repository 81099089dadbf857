"""Matching: choice of normal patches that differ from lesion patches only in the lesion.

If a source has no null sites, candidate centres are drawn inside the breast. Those are chosen whose position in the
breast, mean grey level and share of breast are nearest to the lesions'. Otherwise a classifier could recognise lesion
patches by their position or by the brightness of the tissue.
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

DRAWS = 200  # centres drawn per image; those nearer than half a patch to an earlier one are dropped
MIN_BREAST_SHARE = 0.5  # of a normal patch
MAX_PAIRS = 1 << 26  # of a lesion and a candidate, in one distance matrix: 512 MiB


@dataclass(frozen=True)
class Survey:
    """The features of one image's lesion sites and candidate normal sites.

    Attributes
    ----------
    image_id : str
    lesions, candidates : float64 arrays [sites, 4]
        Position along and away from the chest wall (0 … 1 in the breast's bounding box), mean grey level (0 … 1), share
        of breast.
    centres : float64 array [candidates, 2]
        Row and column of each candidate in pixels of the whole image.
    """

    image_id: str
    lesions: np.ndarray
    candidates: np.ndarray
    centres: np.ndarray


def survey_image(mammogram: Mammogram, config: UnitConfig, seed: int) -> Survey:
    """Compute the features of an image's lesions and candidates, which are drawn by seed and image id only."""
    side = patch_side(mammogram, config)
    breast = breast_mask(mammogram.pixels)
    framing = find_framing(breast)
    features = _SiteFeatures(mammogram, breast, framing, side)
    lesions = [features(site.row, site.column) for site in lesion_sites(mammogram, breast)]
    centres = _draw_centres(mammogram, breast, side, config.target, seed)
    candidates = np.array([features(*centre) for centre in centres]).reshape(-1, 4)
    inside = candidates[:, 3] >= MIN_BREAST_SHARE
    return Survey(
        mammogram.image_id,
        np.array(lesions).reshape(-1, 4),
        candidates[inside],
        np.array(centres).reshape(-1, 2)[inside],
    )


class _SiteFeatures:
    """Computes the features of a square from summed-area tables of one image."""

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
    """Draw candidate centres inside the breast, at least half a patch apart and without overlap with a lesion."""
    unmarked = mammogram.label != "normal" and not mammogram.lesions
    if unmarked or (mammogram.label != "normal" and target != "lesion"):
        return []
    digest = hashlib.sha256(f"{seed}/{mammogram.image_id}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    inside = np.flatnonzero(breast)
    rows, columns = np.unravel_index(generator.choice(inside, DRAWS), breast.shape)
    centres: list[tuple[float, float]] = []
    for row, column in zip(rows.astype(float), columns.astype(float)):
        clear = all(
            np.hypot(row - lesion.row, column - lesion.column) > lesion.radius + side / np.sqrt(2)
            for lesion in mammogram.lesions
        )
        if clear and all(np.hypot(row - other[0], column - other[1]) >= side / 2 for other in centres):
            centres.append((row, column))
    return centres


def match_normals(surveys: list[Survey], per_lesion: int) -> dict[str, list[tuple[float, float]]]:
    """Choose `per_lesion` normal sites for each lesion with the smallest sum of feature distances (optimal matching).

    In large studies lesions and candidates are divided at random into groups of equal size, and the sum is minimised
    within each group. This limits the memory, and each group's candidates have the same distribution as all of them.

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
            f"{len(candidates)} normal sites for {len(lesions)} lesions are too few; give a smaller --patch-mm, or "
            "--normals-per-lesion 0 to compare lesions with each other"
        )
    scale = np.maximum(lesions.std(0), 1e-6)
    targets = np.repeat(lesions / scale, per_lesion, axis=0)
    assigned = _assign(targets, candidates / scale, MAX_PAIRS)
    image_ids = [survey.image_id for survey in surveys for _ in range(len(survey.candidates))]
    centres = np.concatenate([survey.centres for survey in surveys])
    sites: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for index in sorted(assigned):
        sites[image_ids[index]].append((float(centres[index, 0]), float(centres[index, 1])))
    return dict(sites)


def _assign(targets: np.ndarray, candidates: np.ndarray, max_pairs: int) -> np.ndarray:
    """Return the indices of the `candidates` [m, 4] assigned to the `targets` [n, 4], n different ones, unordered."""
    groups = int(np.ceil(np.sqrt(len(targets) * len(candidates) / max_pairs)))
    order = np.random.default_rng(0).permutation if groups > 1 else np.arange
    assigned = [
        some_candidates[
            linear_sum_assignment(cdist(targets[some_targets], candidates[some_candidates], "sqeuclidean"))[1]
        ]
        for some_targets, some_candidates in zip(
            np.array_split(order(len(targets)), groups), np.array_split(order(len(candidates)), groups), strict=True
        )
    ]
    return np.concatenate(assigned)
