"""Simulated studies: the scores of screened women at two compression ratios, with a known loss of AUROC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from experiments.statistics_check.woman_signal import woman_separation
from mammo_jax.statistics.power import Harm, separation

VIEWS = 4
LESION_VIEWS = 2
"""A lesion shows in both views of one breast."""
WOMAN_VARIANCE = 0.3
IMAGE_VARIANCE = 0.7
UNCOMPRESSED, COMPRESSED = 0, 1
RATIOS = (1.0, 100.0)


@dataclass(frozen=True)
class Scenario:
    """What the simulated studies have in common.

    The scores have a variance of 1 in each class, shared by the woman (0.3) and the image (0.7), so that positives and
    negatives √2 Φ⁻¹(AUROC) apart have this AUROC.

    Attributes
    ----------
    women, positives : int
        Women, and how many of them have a lesion.
    folds : int
    auroc : float
        Without compression, at the analysis level.
    correlation : float
        Between an image's scores at the two ratios, given the class.
    harm : {"fading", "drowning"}
        What compression does: every lesion loses some of its contrast, or some women's lesions all of it.
    seeds : int
        Training seeds.
    moving_seeds, moving_sets : float
        Standard deviation of the loss of AUROC between training seeds, and between the training sets of a fold.
    level : {"image", "woman"}
        Analysis level. A woman's score is the maximum over her views, as `evaluate` pools them.
    """

    women: int
    positives: int
    folds: int = 1
    auroc: float = 0.85
    correlation: float = 0.9
    harm: Harm = "fading"
    seeds: int = 1
    moving_seeds: float = 0.0
    moving_sets: float = 0.0
    level: Literal["image", "woman"] = "image"

    @property
    def judged_views(self) -> int:
        """Scores of a woman at the analysis level."""
        return 1 if self.level == "woman" else VIEWS

    @property
    def judged_lesion_views(self) -> int:
        """How many of these are positive, if she has a lesion."""
        return 1 if self.level == "woman" else LESION_VIEWS

    def judged(self, scores: np.ndarray) -> np.ndarray:
        """Reduce scores, float64 [..., views], to those at the analysis level, float64 [..., judged views]."""
        return scores.max(axis=-1, keepdims=True) if self.level == "woman" else scores

    def signal(self, auroc: np.ndarray | float) -> np.ndarray:
        """Return what a lesion adds to the scores of its views for this AUROC at the analysis level."""
        if self.level == "image":
            return separation(auroc)
        return woman_separation(
            auroc,
            views=VIEWS,
            lesion_views=LESION_VIEWS,
            woman_variance=WOMAN_VARIANCE,
            image_variance=IMAGE_VARIANCE,
        )

    @property
    def fold_of(self) -> np.ndarray:
        """The fold of each woman, int64 [women]; the women with a lesion come first, and both are dealt in turns."""
        return np.concatenate([np.arange(self.positives), np.arange(self.women - self.positives)]) % self.folds


def simulated_scores(scenario: Scenario, loss: float, studies: int, rng: np.random.Generator) -> np.ndarray:
    """Draw studies in which the compressed images have an AUROC smaller by `loss`.

    Returns
    -------
    float64 [studies, 2 ratios, seeds, women, views]
        The lesions of the first `scenario.positives` women are in their first `LESION_VIEWS` views.
    """
    shape = (studies, scenario.seeds, scenario.women)
    first = _noise(shape, rng)
    kept = scenario.correlation
    second = kept * first + np.sqrt(1 - kept**2) * _noise(shape, rng)
    scores = np.stack([first, second], axis=1)
    lesions = scores[:, :, :, : scenario.positives, :LESION_VIEWS]
    lesions[:, UNCOMPRESSED] += scenario.signal(scenario.auroc)
    lesions[:, COMPRESSED] += _compressed_signal(scenario, loss, studies, rng)[..., None]
    return scores


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Scores without a lesion, float64 [studies, seeds, women, views]; the women are the same for all seeds."""
    woman = np.sqrt(WOMAN_VARIANCE) * rng.standard_normal((shape[0], 1, shape[2], 1))
    return woman + np.sqrt(IMAGE_VARIANCE) * rng.standard_normal((*shape, VIEWS))


def _compressed_signal(scenario: Scenario, loss: float, studies: int, rng: np.random.Generator) -> np.ndarray:
    """What a lesion adds to the scores of compressed images, float64 [studies, seeds, positive women]."""
    by_seed = scenario.moving_seeds * rng.standard_normal((studies, scenario.seeds, 1))
    by_set = scenario.moving_sets * rng.standard_normal((studies, 1, scenario.folds))
    losses = (loss + by_seed + by_set)[:, :, scenario.fold_of[: scenario.positives]]
    if scenario.harm == "fading":
        return scenario.signal(np.clip(scenario.auroc - losses, 0.01, 0.99))
    share = losses / (scenario.auroc - 0.5)
    drowned = rng.random((studies, 1, scenario.positives)) < share
    return np.where(drowned, 0.0, scenario.signal(scenario.auroc))


def predictions_table(scenario: Scenario, scores: np.ndarray) -> pd.DataFrame:
    """Return one study as a predictions table; each fold has a scale of its own, as another network would.

    Parameters
    ----------
    scenario : Scenario
    scores : float64 [2 ratios, seeds, women, views]
    """
    ratio, seed, woman, view = (axis.ravel() for axis in np.indices(scores.shape))
    fold = scenario.fold_of[woman]
    return pd.DataFrame(
        {
            "model": "simulated",
            "train_ratio": "1",
            "test_ratio": np.array(RATIOS)[ratio],
            "fold": fold,
            "seed": seed,
            "patient_id": [f"woman {number:04d}" for number in woman],
            "image_id": [f"woman {number:04d} view {letter}" for number, letter in zip(woman, view)],
            "label": ((woman < scenario.positives) & (view < LESION_VIEWS)).astype(int),
            "score": scores.ravel() * (1 + fold) + 3 * fold,
        }
    )
