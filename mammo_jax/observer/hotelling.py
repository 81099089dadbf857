"""The Hotelling observer: the linear score that separates two classes best if both have the same covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HotellingTemplate:
    """A trained observer.

    Attributes
    ----------
    weights : float64 [features]
    shrinkage : float
        Share of the correlations that was taken away, 0 … 1.
    """

    weights: np.ndarray
    shrinkage: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the score of each row of `features` [n, features], float64 [n]; higher is more positive."""
        return features @ self.weights


def train_template(features: np.ndarray, targets: np.ndarray) -> HotellingTemplate:
    """Train the Hotelling template w = S⁻¹ (mean of positives − mean of negatives).

    S is the covariance within the classes, pooled. There are about as many channels as positive patches, so S is
    regularised: the features are scaled to a variance of 1 and their correlations are shrunk towards 0, by the share
    that Ledoit & Wolf (J Multivar Anal 2004;88:365) compute from the training patches. Nothing is tuned.

    Parameters
    ----------
    features : float64 [n, features]
        Outputs of channels, or any numbers. One that is the same for all patches gets no weight.
    targets : int [n]
        0 or 1; both occur.

    Returns
    -------
    HotellingTemplate
        For unscaled features.
    """
    means = np.stack([features[targets == target].mean(axis=0) for target in (0, 1)])
    within = features - means[targets]
    deviations = within.std(axis=0)
    size = np.abs(features).max(axis=0)
    varies = deviations > 1e-12 * size  # else rounding errors of a constant would be scaled up
    scale = np.where(varies, deviations, 1.0)
    scaled = within[:, varies] / scale[varies]
    share = ledoit_wolf_share(scaled)
    covariance = (1 - share) * scaled.T @ scaled / len(scaled) + share * np.eye(scaled.shape[1])
    weights = np.zeros(features.shape[1])
    difference = (means[1] - means[0])[varies] / scale[varies]
    weights[varies] = np.linalg.lstsq(covariance, difference, rcond=None)[0] / scale[varies]
    return HotellingTemplate(weights, share)


def ledoit_wolf_share(scaled: np.ndarray) -> float:
    """Return by how much a covariance is shrunk towards the identity (Ledoit & Wolf 2004, lemma 3.2 ff.).

    It is the share of the expected squared error of the sample covariance in its squared distance from the identity.

    Parameters
    ----------
    scaled : float64 [n, features]
        With mean 0 and variance 1 in each feature.

    Returns
    -------
    float
        0 … 1; 0 for a single feature.
    """
    count, features = scaled.shape
    covariance = scaled.T @ scaled / count
    distance = np.sum((covariance - np.eye(features)) ** 2)
    if features < 2 or distance == 0:
        return 0.0
    squared = scaled**2
    error = (np.sum(squared.T @ squared) / count - np.sum(covariance**2)) / count
    return float(min(error, distance) / distance)
