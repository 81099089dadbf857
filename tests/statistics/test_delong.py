import numpy as np
import pytest
from MLstatkit import Delong_test
from scipy.stats import norm

from mammo_jax.statistics.delong import delong, placements
from mammo_jax.statistics.prediction_grid import Fold

RNG = np.random.default_rng(0)


def fold_of(positive: int, negative: int, number: int = 0) -> Fold:
    labels = RNG.permutation(np.arange(positive + negative) < positive)
    return Fold(number, labels, np.arange(len(labels)), labels)


def scores_of(fold: Fold, seeds: int = 1, decimals: int = 1) -> np.ndarray:
    """Return scores with ties."""
    return (1.5 * fold.labels + RNG.normal(size=(seeds, len(fold.labels)))).round(decimals)


def naive_kernel(fold: Fold, scores: np.ndarray) -> np.ndarray:
    """Return 1, 1/2 or 0 for each pair, [positives, negatives]."""
    pairs = [[(a > b) + (a == b) / 2 for b in scores[~fold.labels]] for a in scores[fold.labels]]
    return np.array(pairs, float)


@pytest.mark.parametrize("decimals", [1, 12])
def test_one_fold_and_seed_equal_mlstatkit(decimals):
    fold = fold_of(40, 90)
    reference = scores_of(fold, decimals=decimals)
    compressed = (reference + RNG.normal(size=reference.shape)).round(decimals)
    found = delong([fold], [compressed], [reference])
    z, p, _, _, theirs, other, info = Delong_test(
        fold.labels.astype(int), compressed[0], reference[0], return_ci=True, return_auc=True
    )
    assert info["method"] == "delong"
    assert found.difference == pytest.approx(theirs - other, abs=1e-12)
    assert found.standard_error == pytest.approx(np.sqrt(info["var_diff"]), rel=1e-9)
    assert abs(found.difference / found.standard_error) == pytest.approx(abs(z), rel=1e-9)
    assert found.p_value == pytest.approx(p, rel=1e-6)
    half = norm.ppf(0.975) * np.sqrt(info["var_diff"])
    assert (found.low, found.high) == pytest.approx((found.difference - half, found.difference + half), rel=1e-9)


def test_several_folds_and_seeds_equal_the_definition():
    folds = [fold_of(12, 30), fold_of(20, 25, 1)]
    reference = [scores_of(fold, seeds=3) for fold in folds]
    compressed = [scores + RNG.normal(size=scores.shape).round(1) for scores in reference]
    values, variances = [], []
    for fold, ours, theirs in zip(folds, compressed, reference):
        kernel = np.mean([naive_kernel(fold, a) - naive_kernel(fold, b) for a, b in zip(ours, theirs)], axis=0)
        values.append(kernel.mean())
        rows, columns = kernel.mean(axis=1), kernel.mean(axis=0)
        variances.append(np.cov(rows) / len(rows) + np.cov(columns) / len(columns))
    found = delong(folds, compressed, reference)
    assert found.difference == pytest.approx(np.mean(values), abs=1e-12)
    assert found.standard_error == pytest.approx(np.sqrt(sum(variances) / 4), rel=1e-9)


def test_placements_are_shares_of_pairs():
    fold = fold_of(7, 9)
    scores = scores_of(fold, seeds=2)
    kernels = np.stack([naive_kernel(fold, each) for each in scores])
    positives, negatives = placements(fold.labels, scores)
    np.testing.assert_allclose(positives, kernels.mean(axis=2), atol=1e-12)
    np.testing.assert_allclose(negatives, kernels.mean(axis=1), atol=1e-12)


def test_the_same_scores_do_not_differ():
    fold = fold_of(10, 20)
    scores = scores_of(fold)
    assert delong([fold], [scores], [scores + 5]) == (0, 0, 0, 0, 1)
    perfect = np.where(fold.labels, 1.0, 0.0)[None]
    assert delong([fold], [perfect], [-perfect]) == (1, 0, 1, 1, 0)
