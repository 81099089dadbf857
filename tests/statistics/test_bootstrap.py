import numpy as np
import pytest
from MLstatkit import Delong_test
from prediction_tables import predictions_table
from sklearn.metrics import average_precision_score, roc_auc_score

from mammo_jax.statistics.bootstrap import estimates, resample_patients
from mammo_jax.statistics.prediction_grid import Fold, PredictionGrid, StatisticsError, prediction_grid

BOTH = {("1", 1.0): 0.0, ("1", 100.0): 1.0}


def fold_of(labels: list[int], patients: list[int]) -> Fold:
    label, patient = np.array(labels, bool), np.array(patients)
    positive = np.zeros(patient.max() + 1, bool)
    positive[patient[label]] = True
    return Fold(0, label, patient, positive)


def test_values_are_means_of_within_fold_areas():
    table = predictions_table(BOTH, seeds=2, seed_noise=0.5)
    cells, _ = estimates(prediction_grid(table), 100, 0)
    for (train, test), cell in cells.items():
        rows = table[(table["train_ratio"] == train) & (table["test_ratio"] == test)]
        areas = [
            [roc_auc_score(part["label"], part["score"]), average_precision_score(part["label"], part["score"])]
            for _, part in rows.groupby(["seed", "fold"])
        ]
        auroc, auprc = np.mean(areas, axis=0)
        assert cell.auroc.value == pytest.approx(auroc, abs=1e-12)
        assert cell.auprc.value == pytest.approx(auprc, abs=1e-12)
        np.testing.assert_allclose(cell.auroc_by_fold.ravel(), np.array(areas)[:, 0], atol=1e-12)
        np.testing.assert_allclose(cell.auprc_by_fold.ravel(), np.array(areas)[:, 1], atol=1e-12)


def test_pooling_the_folds_would_give_another_auroc():
    """If the scores have another scale in each fold, the ranking is perfect within folds, but not in the pool."""
    table = predictions_table({("1", 1.0): 0.0}, separation=9.0)
    table["score"] += 20 * table["fold"]
    cells, _ = estimates(prediction_grid(table), 100, 0)
    assert cells["1", 1.0].auroc.value == 1
    assert roc_auc_score(table["label"], table["score"]) < 0.8


def test_variance_agrees_with_delong_where_each_patient_has_one_image():
    resamples = 8000
    table = predictions_table(BOTH, patients=240, images_per_patient=1, folds=1)
    cells, _ = estimates(prediction_grid(table), resamples, 1)
    uncompressed, compressed = (table[table["test_ratio"] == ratio] for ratio in (1.0, 100.0))
    z, _, low_high, _, auroc, other, info = Delong_test(
        uncompressed["label"], uncompressed["score"], compressed["score"], return_ci=True, return_auc=True
    )
    assert info["method"] == "delong"
    reference, cell = cells["1", 1.0].auroc, cells["1", 100.0].auroc
    assert (reference.value, cell.value) == pytest.approx((auroc, other), abs=1e-12)
    # The standard error of a variance from n resamples is about sqrt(2 / n) of it: 1.6 %; four of them are allowed.
    tolerance = 4 * np.sqrt(2 / resamples)
    assert (cell - reference).replicates.var(ddof=1) == pytest.approx(info["var_diff"], rel=tolerance)
    delong_error = (low_high[1] - low_high[0]) / (2 * 1.959964)
    assert reference.replicates.var(ddof=1) == pytest.approx(delong_error**2, rel=tolerance)
    assert (z > 0) == (cell.value > reference.value)


def test_patients_are_resampled_not_images():
    """Ten identical images of a patient are no more evidence than one."""
    one = predictions_table({("1", 1.0): 0.0}, images_per_patient=1, folds=2)
    ten = one.loc[one.index.repeat(10)].reset_index(drop=True)
    ten["image_id"] += [f" copy {index}" for index in range(len(ten))]
    single, _ = estimates(prediction_grid(one), 500, 0)
    copied, _ = estimates(prediction_grid(ten), 500, 0)
    np.testing.assert_allclose(copied["1", 1.0].auroc.replicates, single["1", 1.0].auroc.replicates, atol=1e-12)


def test_equal_scores_at_two_ratios_differ_by_nothing_in_every_resample():
    cells, _ = estimates(prediction_grid(predictions_table({("1", 1.0): 0.0, ("1", 15.0): 0.0}, seeds=3)), 300, 0)
    difference = cells["1", 15.0].auroc - cells["1", 1.0].auroc
    assert cells["1", 1.0].auroc.replicates.std() > 0.005
    np.testing.assert_array_equal(difference.replicates, 0)


def test_seed_noise_widens_the_interval_by_its_variance():
    """With fixed patients the variance is that of a mean of three seeds, s²/3, without the bias of n draws."""
    grid = prediction_grid(predictions_table({("1", 1.0): 0.0}, seeds=3, seed_noise=1.5, folds=1))
    cell = estimates(grid, 6000, 0)[0]["1", 1.0]
    single_seeds = [
        estimates(PredictionGrid(grid.folds, (0,), {("1", 1.0): (grid.scores["1", 1.0][0][[row]],)}), 6000, 0)[0]
        for row in range(3)
    ]
    by_seed = np.array([cells["1", 1.0].auroc.replicates for cells in single_seeds])
    patient_variance = by_seed.mean(axis=0).var()
    seed_variance = by_seed.var(axis=0, ddof=1).mean() / 3
    assert cell.auroc.replicates.var() == pytest.approx(patient_variance + seed_variance, rel=0.1)
    assert seed_variance > 0.1 * patient_variance


def test_strata_keep_their_size_and_draw_one_fewer():
    fold = fold_of([1, 0, 1, 0, 0, 0, 0], [0, 0, 1, 2, 3, 4, 5])
    counts, redrawn = resample_patients(fold, 4000, np.random.default_rng(0))
    np.testing.assert_array_equal(counts[:2].sum(axis=0), 1)
    np.testing.assert_array_equal(counts[2:].sum(axis=0), 3)
    assert redrawn == 0
    assert counts[2:].mean(axis=1) == pytest.approx(np.full(4, 0.75), abs=0.05)


def test_resamples_without_a_class_are_drawn_again_and_counted():
    """Three positive patients, one of whom has the only negative image."""
    fold = fold_of([1, 1, 1, 0], [0, 1, 2, 2])
    counts, redrawn = resample_patients(fold, 1000, np.random.default_rng(0))
    assert (counts[2] > 0).all()
    assert redrawn == pytest.approx(1000 * (4 / 9) / (5 / 9), rel=0.2)


def test_a_fold_that_cannot_be_resampled_is_named():
    fold = Fold(7, np.array([True, False]), np.array([0, 1]), np.array([True, True]))
    with pytest.raises(StatisticsError, match="fold 7"):
        resample_patients(fold, 10, np.random.default_rng(0))


def test_same_seed_same_replicates_whatever_the_order_of_rows():
    table = predictions_table(BOTH, seeds=2)
    first, _ = estimates(prediction_grid(table), 200, 5)
    again, _ = estimates(prediction_grid(table.sample(frac=1, random_state=1)), 200, 5)
    other, _ = estimates(prediction_grid(table), 200, 6)
    np.testing.assert_array_equal(first["1", 100.0].auroc.replicates, again["1", 100.0].auroc.replicates)
    assert (first["1", 100.0].auroc.replicates != other["1", 100.0].auroc.replicates).any()


def test_chunks_change_nothing(monkeypatch):
    grid = prediction_grid(predictions_table(BOTH))
    whole, _ = estimates(grid, 200, 0)
    monkeypatch.setattr("mammo_jax.statistics.bootstrap.MAX_WEIGHTS", 1000)
    parts, _ = estimates(grid, 200, 0)
    whole_auprc, parts_auprc = whole["1", 1.0].auprc, parts["1", 1.0].auprc
    np.testing.assert_allclose(whole_auprc.replicates, parts_auprc.replicates, atol=1e-14)
    np.testing.assert_allclose(np.concatenate(whole_auprc.left_out), np.concatenate(parts_auprc.left_out), atol=1e-14)


def test_intervals_cover_at_about_their_level():
    """For clustered data with a known AUROC, the 95 % interval and the one-sided bound have about that coverage."""
    rng = np.random.default_rng(11)
    trials, truth = 300, 0.7602499389  # Φ(1 / √2): signal 1 against noise of variance 2 between two images
    inside = above = 0
    for trial in range(trials):
        positive = np.arange(120) < 40
        patients = np.repeat(np.arange(120), 2)
        label = positive[patients]
        noise = np.sqrt(0.5) * (rng.normal(size=120)[patients] + rng.normal(size=240))
        folds, scores = [], []
        for number in range(2):
            members = patients % 2 == number
            folds.append(Fold(number, label[members], patients[members] // 2, positive[number::2]))
            scores.append((label + noise)[members][None])
        grid = PredictionGrid(tuple(folds), (0,), {("1", 1.0): tuple(scores)})
        auroc = estimates(grid, 300, trial)[0]["1", 1.0].auroc
        low, high = auroc.interval()
        inside += low <= truth <= high
        above += auroc.lower_bound(0.05) <= truth
    # Binomial standard error at 300 trials: 1.3 %; some more for the approximation.
    assert 0.91 <= inside / trials <= 0.99
    assert 0.91 <= above / trials <= 0.99
