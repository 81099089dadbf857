"""Figures of the Van Dyke data: published by MRMCaov with the unbiased covariance, and computed with DeLong's."""

import os
from itertools import product
from pathlib import Path

import naive_covariances
import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution
from scipy.stats import t as student_t

from mammo_jax.statistics.clustered_covariance import clustered_covariance, patient_sums
from mammo_jax.statistics.obuchowski_rockette import Comparison, ReaderAreas, compare_treatments, single_treatment
from mammo_jax.statistics.prediction_grid import Fold


@pytest.fixture(scope="module")
def van_dyke() -> tuple[Fold, list[np.ndarray]]:
    """Return the cases, and the ratings of both treatments, [5 readers, 114 cases] each."""
    root = os.environ.get("MAMMO_SHARED_DATA")
    if not root:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    path = Path(root) / "mrmc" / "vandyke.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    table = pd.read_csv(path)
    ratings = table.pivot(index="case", columns=["treatment", "reader"], values="rating")
    labels = table.groupby("case")["truth"].first().loc[ratings.index].to_numpy() == 1
    fold = Fold(0, labels, np.arange(len(labels)), labels)
    return fold, [ratings[treatment].to_numpy(float).T for treatment in (1, 2)]


def rounded(value: float, printed: str) -> bool:
    """Return whether a value has the digits that are printed."""
    decimals = len(printed.split(".")[1])
    return f"{value:.{decimals}f}" == printed


def check(found: Comparison, printed: dict[str, str]) -> None:
    statistic = (found.value / found.standard_error) ** 2
    low, high = found.interval()
    named = {
        "difference": found.value,
        "se": found.standard_error,
        "low": low,
        "high": high,
        "denominator": found.standard_error**2 * 5 / 2,
        "f": statistic,
        "p": float(f_distribution.sf(statistic, 1, found.degrees_of_freedom)),
        "df": found.degrees_of_freedom,
        "ms_t": found.treatments_mean_square,
        "ms_tr": found.interaction_mean_square,
        "error": found.error,
        "cov1": found.covariance_1,
        "cov2": found.covariance_2,
        "cov3": found.covariance_3,
    }
    assert found.treatments_mean_square / named["denominator"] == pytest.approx(statistic, rel=1e-12)
    wrong = {name: named[name] for name, digits in printed.items() if not rounded(named[name], digits)}
    assert not wrong


def test_the_published_figures_with_the_unbiased_covariance(van_dyke):
    fold, ratings = van_dyke
    areas = [ReaderAreas((patient_sums(fold, part),)) for part in ratings]
    assert rounded(areas[0].value, "0.89704")
    assert rounded(areas[1].value, "0.94084")
    (first, between), (_, second) = (
        [
            np.array([[naive_covariances.unbiased(fold.labels, a, b) for b in theirs] for a in ours])
            for theirs in ratings
        ]
        for ours in ratings
    )
    found = compare_treatments(areas[0].by_reader, areas[1].by_reader, (first, second), between)
    printed = {"difference": "-0.0438", "se": "0.020672", "low": "-0.087852", "high": "0.0002513"}
    printed |= {"ms_t": "0.0047962", "ms_tr": "0.00055103", "denominator": "0.0010683", "f": "4.4896", "df": "15.034"}
    printed |= {"error": "0.00078839", "cov1": "0.00034167", "cov2": "0.00033906", "cov3": "0.00023561"}
    check(found, printed | {"p": "0.051162"})
    alone = single_treatment(areas[0].by_reader, first)
    assert rounded(alone.standard_error, "0.033071")
    assert rounded(alone.degrees_of_freedom, "12.588")


def test_the_figures_with_delongs_covariance_which_the_verdict_uses(van_dyke):
    fold, ratings = van_dyke
    first, second = (ReaderAreas((patient_sums(fold, part),)) for part in ratings)
    printed = {"error": "0.000792132", "cov1": "0.000342009", "cov2": "0.000339527", "cov3": "0.000235850"}
    printed |= {"f": "4.484854", "df": "15.066108", "p": "0.0512330", "se": "0.0206825"}
    check(first - second, printed)


def test_clusters_of_the_cases_change_the_error_and_nothing_else(van_dyke):
    fold, ratings = van_dyke
    paired = Fold(0, fold.labels, fold.patients // 2, np.zeros(57, bool))
    paired.positive_patients[paired.patients[fold.labels]] = True
    alone, pairs = (
        ReaderAreas((patient_sums(each, ratings[0]),)) - ReaderAreas((patient_sums(each, ratings[1]),))
        for each in (fold, paired)
    )
    assert pairs.value == pytest.approx(alone.value, abs=1e-12)
    assert pairs.interaction_mean_square == pytest.approx(alone.interaction_mean_square, abs=1e-12)
    assert abs(pairs.error / alone.error - 1) > 0.01


def areas_of(seed: int, readers: int = 5, folds: int = 2) -> tuple[ReaderAreas, ReaderAreas]:
    rng = np.random.default_rng(seed)
    parts = ([], [])
    for number, part in product(range(folds), (0, 1)):
        labels = np.arange(40) < 15
        fold = Fold(number, labels, np.arange(40) // 2, np.arange(20) < 8)
        common = 2 * labels + rng.normal(size=40)
        parts[part].append(patient_sums(fold, common + 0.3 * rng.normal(size=(readers, 40))))
    return ReaderAreas(tuple(parts[0])), ReaderAreas(tuple(parts[1]))


def test_bounds_are_those_of_students_t():
    first, second = areas_of(5)
    comparison = first - second
    low, high = comparison.interval()
    half = student_t.ppf(0.975, comparison.degrees_of_freedom) * comparison.standard_error
    assert (low, high) == pytest.approx((comparison.value - half, comparison.value + half))
    assert comparison.degrees_of_freedom > 5
    assert comparison.lower_bound(0.025) == pytest.approx(low)
    assert low < comparison.lower_bound(0.05) < comparison.value
    alone = single_treatment(first.by_reader, clustered_covariance(first.folds, first.folds))
    assert first.lower_bound(0.05) == alone.lower_bound(0.05) < first.value


def test_readers_that_do_not_differ_have_no_mean_square_and_infinite_degrees_of_freedom():
    covariance = np.full((3, 3), 0.002)
    alone = single_treatment(np.full(3, 0.75), covariance)
    assert (alone.degrees_of_freedom, alone.standard_error) == (np.inf, pytest.approx(np.sqrt(0.002)))
    assert alone.interval()[0] == pytest.approx(0.75 - 1.959964 * np.sqrt(0.002), abs=1e-6)


def test_a_negative_difference_of_covariances_counts_as_none():
    first, second = np.array([0.8, 0.9, 0.85]), np.array([0.75, 0.8, 0.84])
    within, between = np.full((3, 3), 0.001), np.full((3, 3), 0.002)
    found = compare_treatments(first, second, (within, within), between)
    # What is left is the paired t-test of the readers.
    assert found.degrees_of_freedom == pytest.approx(2)
    assert found.standard_error == pytest.approx(np.std(first - second, ddof=1) / np.sqrt(3))
