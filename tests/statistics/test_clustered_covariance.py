import naive_covariances
import numpy as np
import pytest

from mammo_jax.statistics.clustered_covariance import clustered_covariance, patient_sums
from mammo_jax.statistics.prediction_grid import Fold


def clustered_fold(rng, patients: int = 14, number: int = 0) -> Fold:
    """Return a fold with one to four images a patient, positives and negatives mixed within patients."""
    owners = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    labels = rng.random(len(owners)) < 0.45
    positive = np.zeros(patients, bool)
    positive[owners[labels]] = True
    return Fold(number, labels, owners, positive)


def scores_of(fold: Fold, rng, readers: int) -> np.ndarray:
    """Return scores with ties, alike within a patient."""
    own = rng.normal(size=len(fold.positive_patients))[fold.patients]
    return (fold.labels + own + rng.normal(size=(readers, len(fold.labels)))).round(1)


def test_it_is_obuchowskis_written_down_naively():
    rng = np.random.default_rng(1)
    folds = [clustered_fold(rng), clustered_fold(rng, 11, 1)]
    first, second = ([scores_of(fold, rng, readers) for fold in folds] for readers in (2, 3))
    sums = [[patient_sums(fold, part) for fold, part in zip(folds, scores)] for scores in (first, second)]
    expected = [
        [
            sum(
                naive_covariances.obuchowski(fold.labels, fold.patients, ours[i], theirs[j])
                for fold, ours, theirs in zip(folds, first, second)
            )
            / 4
            for j in range(3)
        ]
        for i in range(2)
    ]
    np.testing.assert_allclose(clustered_covariance(*sums), expected, rtol=1e-10)
    for fold, part, scores in zip(folds, sums[0], first):
        areas = [naive_covariances.kernel(fold.labels, reader).mean() for reader in scores]
        np.testing.assert_allclose(part.auroc, areas, rtol=1e-12)


def test_with_one_image_a_patient_it_is_delongs():
    rng = np.random.default_rng(2)
    labels = rng.random(60) < 0.4
    fold = Fold(0, labels, rng.permutation(60), np.zeros(60, bool))
    fold.positive_patients[fold.patients[labels]] = True
    scores = scores_of(fold, rng, 2)
    sums = [patient_sums(fold, scores)]
    expected = [[naive_covariances.delong(labels, a, b) for b in scores] for a in scores]
    np.testing.assert_allclose(clustered_covariance(sums, sums), expected, rtol=1e-10)


def test_copies_of_every_image_add_nothing_but_patients_do():
    rng = np.random.default_rng(3)
    fold = clustered_fold(rng, 20)
    scores = scores_of(fold, rng, 1)
    twice = Fold(0, np.tile(fold.labels, 2), np.tile(fold.patients, 2), fold.positive_patients)
    more = Fold(0, twice.labels, np.r_[fold.patients, fold.patients + 20], np.tile(fold.positive_patients, 2))
    one, copied, doubled = (
        clustered_covariance(sums, sums)[0, 0]
        for sums in (
            [patient_sums(fold, scores)],
            [patient_sums(twice, np.tile(scores, 2))],
            [patient_sums(more, np.tile(scores, 2))],
        )
    )
    assert copied == pytest.approx(one, rel=1e-12)
    assert 0.4 * one < doubled < 0.5 * one
