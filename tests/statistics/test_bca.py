import numpy as np
import pytest
import scipy.stats
from prediction_tables import predictions_table

from mammo_jax.statistics.bca import acceleration, bca_bound, bca_p_value
from mammo_jax.statistics.bootstrap import estimates
from mammo_jax.statistics.prediction_grid import prediction_grid

RNG = np.random.default_rng(0)


def without_each(statistic, sample):
    return np.array([statistic(np.delete(sample, place)) for place in range(len(sample))])


@pytest.mark.parametrize("statistic", [np.mean, np.std, np.median, scipy.stats.skew])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_equals_scipy_in_one_stratum(statistic, confidence):
    sample = RNG.exponential(size=24)
    theirs = scipy.stats.bootstrap(
        (sample,), statistic, method="BCa", n_resamples=999, confidence_level=confidence, rng=1, vectorized=True
    )
    left_out = [without_each(statistic, sample)]
    tail = (1 - confidence) / 2
    ours = [
        bca_bound(statistic(sample), theirs.bootstrap_distribution, left_out, probability)
        for probability in (tail, 1 - tail)
    ]
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)


def test_equals_scipy_in_two_strata():
    first, second = RNG.exponential(size=12), RNG.normal(size=30)
    theirs = scipy.stats.bootstrap(
        (first, second), lambda a, b, axis: a.mean(axis) - b.mean(axis), method="BCa", n_resamples=999, rng=2
    )
    value = first.mean() - second.mean()
    left_out = [without_each(np.mean, first) - second.mean(), first.mean() - without_each(np.mean, second)]
    ours = [bca_bound(value, theirs.bootstrap_distribution, left_out, probability) for probability in (0.025, 0.975)]
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)


def test_without_bias_and_skewness_it_is_the_percentile():
    replicates = np.linspace(-1, 1, 1001)
    assert bca_bound(0.0, replicates, [], 0.05) == pytest.approx(np.quantile(replicates, 0.05))


def test_a_long_lower_tail_lowers_both_bounds():
    replicates = np.linspace(-1, 1, 1001)
    skewed = [np.array([1.0] * 9 + [-9.0]) / -90]  # without the tenth member the estimate rises most
    assert acceleration(skewed) < 0
    for probability in (0.025, 0.975):
        assert bca_bound(0.0, replicates, skewed, probability) < np.quantile(replicates, probability) - 0.005


def test_nothing_varies():
    for left_out in ([], [np.full(5, 0.3)], [np.array([0.3])], [np.array([])]):
        assert bca_bound(0.3, np.full(200, 0.3), left_out, 0.025) == 0.3
        assert acceleration(left_out) == 0


def test_no_bound_on_the_wrong_side_of_the_estimate():
    above, below = np.linspace(0.1, 1, 200), np.linspace(-1, -0.1, 200)
    for replicates in (above, below):
        assert bca_bound(0.0, replicates, [], 0.025) <= 0 <= bca_bound(0.0, replicates, [], 0.975)
    assert bca_bound(0.0, below, [], 0.975) == 0.0
    assert bca_bound(0.0, above, [], 0.025) == 0.0


def test_beyond_the_pole_of_the_formula_the_bound_is_the_last_replicate():
    """The formula would give the other end of the replicates."""
    one_decides = [np.array([1.0] + [0.0] * 999)]
    assert acceleration(one_decides) == pytest.approx(-1 / 6, rel=2e-3)
    assert bca_bound(0.0, np.linspace(-1, 1, 2001), one_decides, 1e-10) == -1


def test_the_jackknife_leaves_one_patient_out_of_a_fold_or_one_seed():
    table = predictions_table({("1", 1.0): 0.0}, patients=24, folds=2, seeds=3, seed_noise=0.4)
    grid = prediction_grid(table)
    auroc = estimates(grid, 100, 0)[0]["1", 1.0].auroc

    def value(part):
        return estimates(prediction_grid(part), 100, 0)[0]["1", 1.0].auroc.value

    assert [len(stratum) for stratum in auroc.left_out] == [3, 9, 3, 9, 3]
    positive = set(table.loc[table["label"] == 1, "patient_id"])
    for number, fold in enumerate((0, 1)):
        patients = sorted(table.loc[table["fold"] == fold, "patient_id"].unique())
        for stratum, members in enumerate(
            ([p for p in patients if p in positive], [p for p in patients if p not in positive])
        ):
            expected = [value(table[table["patient_id"] != patient]) for patient in members]
            np.testing.assert_allclose(auroc.left_out[2 * number + stratum], expected, atol=1e-12)
    np.testing.assert_allclose(auroc.left_out[-1], [value(table[table["seed"] != s]) for s in range(3)], atol=1e-12)


def test_a_patient_without_whom_a_class_is_missing_changes_nothing():
    table = predictions_table({("1", 1.0): 0.0}, patients=8, folds=1)
    auroc = estimates(prediction_grid(table), 100, 0)[0]["1", 1.0].auroc
    assert len(auroc.left_out[0]) == 2
    _, *others = table.loc[table["label"] == 1, "patient_id"].unique()
    alone = prediction_grid(table[~table["patient_id"].isin(others)])
    auroc = estimates(alone, 100, 0)[0]["1", 1.0].auroc
    assert auroc.left_out[0] == pytest.approx([auroc.value])
    assert np.isfinite(auroc.left_out[1]).all()


@pytest.mark.parametrize("limit", [0.55, 0.7, 0.8, 0.9])
def test_the_p_value_is_the_level_at_which_scipys_bound_is_the_limit(limit):
    sample = RNG.exponential(size=30)
    made = scipy.stats.bootstrap((sample,), np.mean, method="BCa", n_resamples=1999, rng=3)
    limit = float(np.quantile(made.bootstrap_distribution, 1 - limit))
    p_value = bca_p_value(sample.mean(), made.bootstrap_distribution, [without_each(np.mean, sample)], limit)
    theirs = scipy.stats.bootstrap(
        (sample,), np.mean, method="BCa", n_resamples=0, confidence_level=1 - 2 * p_value, bootstrap_result=made
    )
    assert theirs.confidence_interval.low == pytest.approx(limit, abs=1e-9)


@pytest.mark.parametrize("skew", [-1, 0, 1])
@pytest.mark.parametrize("value", [-0.1, 0.0, 0.1])
def test_a_p_value_is_below_a_level_exactly_where_the_bound_passes(value, skew):
    replicates = RNG.normal(size=999)
    left_out = [skew * (RNG.exponential(size=20) - 1)]
    for limit in np.linspace(-4, 3, 41):
        p_value = bca_p_value(value, replicates, left_out, float(limit))
        for alpha in (0.005, 0.025, 0.05, 0.2):
            passes = bca_bound(value, replicates, left_out, alpha) > limit
            assert passes or p_value >= alpha, (limit, alpha)
            assert p_value < alpha or not passes or limit < np.sort(replicates)[1], (limit, alpha)


def test_no_p_value_is_smaller_than_the_replicates_can_show():
    replicates = np.linspace(-1, 1, 999)
    assert bca_p_value(0.0, replicates, [], -5.0) == pytest.approx(1 / 1000)
    assert bca_p_value(0.0, replicates, [], 5.0) == pytest.approx(999 / 1000, abs=1e-4)
    assert bca_p_value(0.3, np.full(200, 0.3), [], 0.3) >= 0.5
    assert bca_p_value(0.3, np.full(200, 0.3), [], 0.25) < 0.01
