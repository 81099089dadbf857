import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import average_precision_score

from mammo_jax.statistics.auprc import MIN_PATIENTS, population_auprc
from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.statistics.bootstrap import Estimate, estimates
from mammo_jax.statistics.prediction_grid import Fold, PredictionGrid

CELL = ("1", 1.0)


def study(folds: int = 2, positive: int = 9, negative: int = 14, seeds: int = 1, seed: int = 0) -> PredictionGrid:
    """Two images a woman, the first positive where she is."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(positive + negative), 2)
    labels = (patients < positive) & (np.arange(len(patients)) % 2 == 0)
    woman = np.arange(positive + negative) < positive
    scores = [rng.normal(size=(seeds, len(patients))) + 1.2 * labels for _ in range(folds)]
    return PredictionGrid(
        tuple(Fold(n, labels, patients, woman) for n in range(folds)), tuple(range(seeds)), {CELL: tuple(scores)}
    )


def auprc_of(grid: PredictionGrid) -> Estimate:
    return estimates(grid, 100, 0)[0][CELL].auprc


def at_prevalence(labels: np.ndarray, scores: np.ndarray, prevalence: float) -> float:
    """Average precision with the classes weighted to a prevalence."""
    weights = np.where(labels, prevalence / labels.mean(), (1 - prevalence) / (1 - labels.mean()))
    return float(average_precision_score(labels, scores, sample_weight=weights))


def test_average_precision_at_another_prevalence_is_scikit_learns_with_weights():
    labels, scores = np.arange(30) % 3 == 0, np.random.default_rng(1).integers(0, 9, 30).astype(float)
    ones = np.ones((30, 1))
    assert auroc_and_auprc(labels, scores, ones)[1][0] == pytest.approx(average_precision_score(labels, scores))
    for prevalence in (0.05, 1 / 3, 0.8):
        found = auroc_and_auprc(labels, scores, ones, prevalence)
        assert found[1][0] == pytest.approx(at_prevalence(labels, scores, prevalence), abs=1e-12)
        assert found[0][0] == auroc_and_auprc(labels, scores, ones)[0][0]


def test_the_interval_is_the_jackknifes_written_down_naively():
    grid = study()
    estimate = auprc_of(grid)
    changes = []
    for fold, (scores,) in zip(grid.folds, grid.scores[CELL]):
        whole = average_precision_score(fold.labels, scores)
        without = np.array(
            [
                at_prevalence(fold.labels[kept], scores[kept], fold.labels.mean())
                for kept in (fold.patients != patient for patient in range(len(fold.positive_patients)))
            ]
        )
        changes += [(without - whole)[fold.positive_patients] / 2, (without - whole)[~fold.positive_patients] / 2]
    bias = sum((len(change) - 1) * change.mean() for change in changes)
    parts = [(len(c) - 1) / len(c) * ((c - c.mean()) ** 2).sum() for c in changes]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(c) - 1) for part, c in zip(parts, changes))
    found = population_auprc(estimate, [fold.patients_by_class for fold in grid.folds])
    assert found.corrected == pytest.approx(estimate.value - bias, abs=1e-12)
    odds = found.corrected / (1 - found.corrected)
    half = student.ppf(0.975, min(freedom, 18 - 2)) * np.sqrt(sum(parts) + bias**2 / 2)
    factor = np.exp(half / (found.corrected * (1 - found.corrected)))
    assert found.low == pytest.approx(odds / factor / (1 + odds / factor), abs=1e-12)
    assert found.high == pytest.approx(odds * factor / (1 + odds * factor), abs=1e-12)


def test_training_seeds_widen_the_interval_and_correct_nothing():
    one = study(seeds=1)
    twice = PredictionGrid(one.folds, (0, 1), {CELL: tuple(np.repeat(s, 2, axis=0) for s in one.scores[CELL])})
    patients = [fold.patients_by_class for fold in one.folds]
    alike, single = population_auprc(auprc_of(twice), patients), population_auprc(auprc_of(one), patients)
    assert alike[:3] == pytest.approx(single[:3], abs=1e-12)
    estimate = auprc_of(twice)
    moved = Estimate(
        estimate.value, estimate.replicates, (*estimate.left_out[:-1], estimate.value + np.array([0.1, -0.1]))
    )
    wider = population_auprc(moved, patients)
    assert wider.corrected == pytest.approx(single.corrected, abs=1e-12)
    assert wider.high - wider.low > 1.2 * (single.high - single.low)


def test_no_interval_where_none_is_shown_to_hold():
    few = study(folds=1, positive=MIN_PATIENTS - 1)
    found = population_auprc(auprc_of(few), [few.folds[0].patients_by_class])
    assert found == (None, None, None, f"it needs {MIN_PATIENTS} positive patients, and there are {MIN_PATIENTS - 1}")
    alone = study(folds=2, negative=2)
    assert (
        "every fold, and one has 2; use fewer folds"
        in population_auprc(auprc_of(alone), [fold.patients_by_class for fold in alone.folds])[3]
    )
    perfect = study(folds=1, positive=20)
    scores = (perfect.folds[0].labels * 1.0)[None]
    still = auprc_of(PredictionGrid(perfect.folds, (0,), {CELL: (scores,)}))
    assert still.value == 1
    assert "same without any one" in population_auprc(still, [perfect.folds[0].patients_by_class])[3]
