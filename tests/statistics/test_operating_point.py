import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses
from sklearn.metrics import roc_curve

from mammo_jax.statistics.bootstrap import drawn_in_fold
from mammo_jax.statistics.operating_point import (
    OperatingPoint,
    estimated_rates,
    rates,
    threshold_at,
    validated_thresholds,
)
from mammo_jax.statistics.prediction_grid import StatisticsError, prediction_grid

RNG = np.random.default_rng(0)


def naive_threshold(labels, scores, weights, sensitivity):
    """Try every positive score, from the highest."""
    repeated = [score for label, score, weight in zip(labels, scores, weights) if label for _ in range(weight)]
    for threshold in sorted(set(repeated), reverse=True):
        if sum(score >= threshold for score in repeated) >= round(sensitivity * len(repeated), 9):
            return threshold
    return np.nan


def naive_rates(labels, scores, threshold, weights):
    counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for label, score, weight in zip(labels, scores, weights):
        counts[bool(label), bool(score >= threshold)] += weight
    positives, negatives = counts[True, True] + counts[True, False], counts[False, True] + counts[False, False]
    return [counts[True, True] / positives, counts[False, False] / negatives]


@pytest.mark.parametrize("sensitivity", [0.5, 0.9, 0.95])
def test_threshold_and_rates_are_the_naive_ones_with_ties_and_weights(sensitivity):
    labels = RNG.random(60) < 0.4
    scores = np.round(RNG.normal(size=60) + labels, 1)
    weights = RNG.integers(0, 4, (60, 30))
    thresholds = threshold_at(labels, scores, weights, sensitivity)
    found = rates(labels, scores, thresholds, weights)
    for column, threshold in enumerate(thresholds):
        assert threshold == naive_threshold(labels, scores, weights[:, column], sensitivity)
        assert found[:, column] == pytest.approx(naive_rates(labels, scores, threshold, weights[:, column]))


def test_nine_of_ten_are_ninety_percent():
    labels = np.arange(20) < 10
    scores = np.arange(20.0)
    (threshold,) = threshold_at(labels, scores, np.ones((20, 1)), 0.9)
    assert threshold == 1.0, "the second lowest of the ten positives"
    false_alarms, recalled, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    at = list(thresholds).index(threshold)
    assert rates(labels, scores, np.array([threshold]), np.ones((20, 1)))[:, 0] == pytest.approx(
        [recalled[at], 1 - false_alarms[at]]
    )


def test_without_a_class_there_is_no_rate():
    labels, scores = np.array([True, False]), np.array([1.0, 0.0])
    weights = np.array([[1, 0, 1], [1, 1, 0]])
    thresholds = threshold_at(labels, scores, weights, 0.9)
    np.testing.assert_array_equal(thresholds, [1.0, np.nan, 1.0])
    np.testing.assert_array_equal(rates(labels, scores, thresholds, weights), [[1, np.nan, 1], [1, np.nan, np.nan]])


def test_rates_are_means_over_folds_and_seeds_and_replicates_are_those_of_the_drawn_patients():
    """Each replicate is recomputed from a table in which the drawn patients are repeated."""
    table = predictions_table(transfer_losses({1.0: 0.0, 100.0: 1.0}), patients=80, folds=2, seeds=1)
    grid = prediction_grid(table)
    resamples = 40
    for fixed in (None, np.array([[0.3, 1.1]])):
        found, used = estimated_rates(grid, fixed, 0.9, resamples, 5)
        sums = np.zeros((2, 2, 1 + resamples))
        for position, fold in enumerate(grid.folds):
            counts, _ = drawn_in_fold(fold, position, resamples, 5)
            for column in range(1 + resamples):
                weights = counts[fold.patients, column]
                first = grid.scores["1", 1.0][position][0]
                threshold = naive_threshold(fold.labels, first, weights, 0.9) if fixed is None else fixed[0, position]
                if column == 0:
                    assert used[0, position] == threshold
                for row, ratio in enumerate((1.0, 100.0)):
                    scores = grid.scores["1", ratio][position][0]
                    sums[row, :, column] += naive_rates(fold.labels, scores, threshold, weights)
        for row, ratio in enumerate((1.0, 100.0)):
            for measure in range(2):
                estimate = found[ratio][measure]
                assert estimate.value == pytest.approx(sums[row, measure, 0] / 2)
                np.testing.assert_allclose(estimate.replicates, sums[row, measure, 1:] / 2)


def test_left_out_patients_are_left_out_of_the_threshold_too():
    table = predictions_table(transfer_losses({1.0: 0.0, 100.0: 1.0}), patients=40, folds=1)
    grid = prediction_grid(table)
    (fold,) = grid.folds
    found, _ = estimated_rates(grid, None, 0.9, 100, 0)
    for measure in range(2):
        expected = {True: [], False: []}
        for patient, positive in enumerate(fold.positive_patients):
            kept = (fold.patients != patient).astype(int)
            threshold = naive_threshold(fold.labels, grid.scores["1", 1.0][0][0], kept, 0.9)
            value = naive_rates(fold.labels, grid.scores["1", 100.0][0][0], threshold, kept)[measure]
            expected[bool(positive)].append(value)
        ours = found[100.0][measure].left_out
        np.testing.assert_allclose(ours[0], expected[True])
        np.testing.assert_allclose(ours[1], expected[False])


def test_each_model_has_the_threshold_of_its_own_validation_patients():
    grid = prediction_grid(predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.0}), patients=80, folds=2, seeds=2))
    rows = [
        {"fold": fold, "seed": seed, "label": int(n < 10), "score": n + 100 * fold + 1000 * seed}
        for fold in range(2)
        for seed in range(2)
        for n in range(20)
    ]
    validation = pd.DataFrame(rows)
    np.testing.assert_array_equal(validated_thresholds(grid, validation, 0.9), [[1, 101], [1001, 1101]])
    with pytest.raises(StatisticsError, match="no positive image for fold 1, seed 0"):
        validated_thresholds(grid, validation[(validation["fold"] == 0) | (validation["seed"] == 1)], 0.9)


def test_settings_out_of_range_are_refused():
    for name, value in (("sensitivity", 1.0), ("sensitivity", 0.0), ("threshold", np.inf), ("prevalence", 1.0)):
        with pytest.raises(StatisticsError, match=name):
            OperatingPoint(**{name: value})
