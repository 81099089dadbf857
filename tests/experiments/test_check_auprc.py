import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score

from experiments import check_auprc
from experiments.statistics_check.auprc_trials import (
    STUDIES_PER_TRIAL,
    AuprcTrial,
    covered_studies,
    fold_weights,
    study_auprc,
    true_auprc,
)
from experiments.statistics_check.studies import Scenario, predictions_table, simulated_scores
from mammo_jax.statistics.auprc import population_auprc
from mammo_jax.statistics.evaluation import evaluate

SMALL = Scenario(60, 20, folds=5, auroc=0.75)


def test_the_true_auprc_is_that_of_very_many_women():
    scenario = Scenario(40_000, 16_000, auroc=0.85)
    (((scores,), _),) = simulated_scores(scenario, 0.0, 1, np.random.default_rng(4))
    label = np.zeros(scores.shape, bool)
    label[:16_000, :2] = True
    # Its standard error, with 16 000 clusters of two positive images, is about 0.002.
    assert average_precision_score(label.ravel(), scores.ravel()) == pytest.approx(true_auprc(scenario), abs=0.006)
    assert true_auprc(Scenario(100, 20, auroc=0.5)) == pytest.approx(0.1, abs=1e-9)


def test_a_simulated_study_gets_the_interval_that_evaluate_gives():
    (scores,) = simulated_scores(SMALL, 0.0, 1, np.random.default_rng(0))
    table = predictions_table(SMALL, scores)
    (result,) = evaluate(table[table["test_ratio"] == 1], resamples=100, seed=3)["models"][0]["results"]
    draws = fold_weights(SMALL, 100, 3)
    ours = study_auprc(SMALL, scores[0, 0], draws, 100)
    found = population_auprc(ours, [fold.patients_by_class for fold, _ in draws])
    assert ours.value == pytest.approx(result["auprc"]["mean"], abs=1e-12)
    for name in ("corrected", "low", "high"):
        assert getattr(found, name) == pytest.approx(result["auprc"][name], abs=1e-12)


def test_a_small_part_of_the_evidence():
    """Folds of four positive women: the mean over them is too high, the bootstrap misses, the interval does not."""
    sums, truth = covered_studies(AuprcTrial(SMALL, 0, 100)), true_auprc(SMALL)
    assert sums["studies"] == sums["intervals"] == STUDIES_PER_TRIAL
    bias, left = sums["mean"] / sums["studies"] - truth, sums["corrected"] / sums["intervals"] - truth
    assert bias > 0.05
    assert abs(left) < 0.6 * bias
    missed = sums["BCa below"] + sums["BCa above"]
    assert missed > 0.15 * STUDIES_PER_TRIAL
    covered = round(STUDIES_PER_TRIAL - sums["below"] - sums["above"])
    interval = binomtest(covered, STUDIES_PER_TRIAL).proportion_ci(0.99)
    assert interval.low <= 0.95 <= interval.high


def test_an_interrupted_run_goes_on_and_gives_the_same_table(tmp_path, monkeypatch):
    scenarios = (Scenario(24, 12, folds=1), Scenario(24, 8, folds=1))
    monkeypatch.setattr(check_auprc, "SCENARIOS", scenarios)
    flags = ["--out", str(tmp_path), "--studies", "500", "--resamples", "100"]
    check_auprc.main(flags)
    table, rows = (tmp_path / "auprc.md").read_bytes(), (tmp_path / "auprc.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2
    assert table.decode().splitlines()[-1].endswith("| **–** | – |"), "too few positive women for an interval"
    (tmp_path / "auprc.csv").write_text("\n".join(rows[:3]) + "\nScenario(")
    check_auprc.main(flags)
    assert (tmp_path / "auprc.md").read_bytes() == table
    monkeypatch.setattr(check_auprc, "COVERAGE", (0.999, 1.0))
    with pytest.raises(SystemExit, match=r"does not cover what it says in:\nScenario\(women=24, positives=12"):
        check_auprc.main(flags)
