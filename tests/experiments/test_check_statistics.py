import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from experiments import check_statistics
from experiments.statistics_check import training_trials
from experiments.statistics_check.areas import bootstrap_draws, study_estimates
from experiments.statistics_check.scenarios import ENOUGH, FEW, TRAININGS, WOMEN
from experiments.statistics_check.studies import Scenario, predictions_table, simulated_scores
from experiments.statistics_check.table import percentage, upper_limit
from experiments.statistics_check.training_trials import BCA, READERS, reader_areas, safe_trainings
from experiments.statistics_check.trials import STUDIES_PER_TRIAL, Trial, safe_studies
from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.analysis_levels import AnalysisLevels
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.matched import MatchedArea
from mammo_jax.statistics.rule import MIN_POSITIVE_PATIENTS, Rule
from mammo_jax.statistics.verdict import verdict

RESAMPLES = 150


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(70, 20, harm="drowning"),
        Scenario(100, 84, folds=5, auroc=0.85),
        Scenario(90, 75, folds=2, seeds=3, moving_seeds=0.02, moving_sets=0.02),
        Scenario(100, 84, folds=2, seeds=2, harm="drowning", level="woman"),
    ],
)
def test_a_simulated_study_is_judged_as_evaluate_judges_it(scenario):
    draws = bootstrap_draws(scenario, RESAMPLES, 7)
    patients = [(fold.positives, len(fold.women) - fold.positives) for fold in draws.folds]
    for scores in simulated_scores(scenario, 0.02, 2, np.random.default_rng(1)):
        levels = AnalysisLevels(primary=scenario.level)
        table = predictions_table(scenario, scores)
        theirs = evaluate(table, levels=levels, resamples=RESAMPLES, seed=7)["verdict"]
        auroc = study_estimates(scenario.judged(scores), draws)
        harms = {step["ratio"]: step["harms"] for step in theirs["steps"]}  # the trials are about AUROC alone
        ours = verdict("transfer", auroc, seeds=scenario.seeds, patients=patients, rule=Rule(), harms=harms)
        for name in ("outcome", "ratio", "first_failed", "reason", "missing_positive_patients"):
            assert ours[name] == theirs[name]
        assert ours["auroc_uncompressed"] == pytest.approx(theirs["auroc_uncompressed"], abs=1e-12)
        for name in ("difference", "lower_bound", "lower_bound_at_other_alpha"):
            assert ours["steps"][0][name] == pytest.approx(theirs["steps"][0][name], abs=1e-12)


@pytest.mark.parametrize("harm", ["fading", "drowning"])
def test_women_have_the_auroc_of_their_scenario(harm):
    scenario = Scenario(300, 150, auroc=0.85, harm=harm, level="woman")
    scores = simulated_scores(scenario, 0.05, 60, np.random.default_rng(5))
    draws = bootstrap_draws(scenario, 2, 0)
    areas = [study_estimates(scenario.judged(of_study), draws) for of_study in scores]
    for ratio, auroc in ((1.0, 0.85), (100.0, 0.80)):
        values = [estimates[ratio].value for estimates in areas]
        assert np.mean(values) == pytest.approx(auroc, abs=4 * np.std(values) / np.sqrt(len(values)))
        assert np.std(values) / np.sqrt(len(values)) < 0.005


def test_simulated_trainings_are_judged_as_evaluate_judges_matched_ones():
    scenario = Scenario(90, 75, folds=2, seeds=5, moving_seeds=0.02, harm="drowning")
    draws = bootstrap_draws(scenario, RESAMPLES, 7)
    patients = [(fold.positives, len(fold.women) - fold.positives) for fold in draws.folds]
    (scores,) = simulated_scores(scenario, 0.02, 1, np.random.default_rng(4))
    table = predictions_table(scenario, scores)
    table["train_ratio"] = [ratio_text(ratio) for ratio in table["test_ratio"]]
    (model,) = evaluate(table, resamples=RESAMPLES, seed=7)["models"]
    bootstrap, readers = study_estimates(scores, draws), reader_areas(scenario, scores)
    matched = {ratio: MatchedArea(bootstrap[ratio], readers[ratio]) for ratio in bootstrap}
    ours, theirs = (
        verdict("matched", matched, seeds=5, patients=patients, rule=Rule()),
        model["verdicts"]["matched"],
    )
    for name in ("outcome", "ratio", "first_failed", "reason"):
        assert ours[name] == theirs[name]
    assert ours["auroc_uncompressed"] == pytest.approx(theirs["auroc_uncompressed"], abs=1e-12)
    for name in ("difference", "lower_bound", "lower_bound_at_other_alpha"):
        assert ours["steps"][0][name] == pytest.approx(theirs["steps"][0][name], abs=1e-12)
    (row,) = model["matched_readers"]
    difference = readers[100.0] - readers[1.0]
    assert row["standard_error"] == pytest.approx(difference.standard_error, abs=1e-12)
    assert row["low"] == pytest.approx(difference.lower_bound(0.025), abs=1e-12)


def test_a_small_part_of_the_evidence_for_trainings(monkeypatch):
    """The matched verdict needs both bounds, so it is given no more often than either alone."""
    monkeypatch.setattr(training_trials, "STUDIES_PER_TRIAL", 20)
    trial = Trial(Scenario(120, 80, seeds=5, moving_seeds=0.01), 0.5, 0, 100)
    safe = safe_trainings(trial)
    assert 0 < safe["matched"] <= min(safe[BCA], safe[READERS[0]])
    assert safe[READERS[0]] <= safe[READERS[1]]
    four = safe_trainings(Trial(Scenario(120, 80, seeds=4), 0.0, 0, 100))
    assert four["matched"] == 0 < four["transfer"], "five trainings are needed"


@pytest.mark.parametrize("harm", ["fading", "drowning"])
def test_the_loss_and_the_correlation_are_those_asked_for(harm):
    scenario = Scenario(6000, 3000, auroc=0.9, correlation=0.8, harm=harm)
    ((first,), (second,)) = simulated_scores(scenario, 0.07, 1, np.random.default_rng(2))[0]
    label = np.zeros(first.shape, bool)
    label[:3000, :2] = True
    # The standard error of an AUROC of 0.9 with 6000 positive and 18 000 negative images, clustered, is 0.003.
    assert roc_auc_score(label.ravel(), first.ravel()) == pytest.approx(0.9, abs=0.009)
    assert roc_auc_score(label.ravel(), second.ravel()) == pytest.approx(0.83, abs=0.012)
    assert np.corrcoef(first[~label], second[~label])[0, 1] == pytest.approx(0.8, abs=0.02)
    assert np.corrcoef(first[3000:, 0], first[3000:, 1])[0, 1] == pytest.approx(0.3, abs=0.06)


def test_drowned_lesions_are_gone_in_both_views_and_the_others_are_whole():
    scenario = Scenario(6000, 3000, auroc=0.9, correlation=1.0, harm="drowning")
    ((first,), (second,)) = simulated_scores(scenario, 0.1, 1, np.random.default_rng(3))[0]
    lost = (first - second)[:3000, :2]
    drowned = lost[:, 0] > 0.01
    np.testing.assert_allclose(lost[drowned], lost[drowned].max(), atol=1e-12)
    np.testing.assert_allclose(lost[~drowned], 0, atol=1e-12)
    assert drowned.mean() == pytest.approx(0.1 / 0.4, abs=0.03)


def test_a_small_part_of_the_evidence():
    """With 80 positive women a loss of one margin is called safe rarely, and none at all mostly; with 20 never."""
    shown = {margins: safe_studies(Trial(Scenario(120, 80), margins, 0, 300)) for margins in (1.0, 0.0)}
    wrong = binomtest(shown[1.0]["verdict"], STUDIES_PER_TRIAL).proportion_ci(0.99)
    assert wrong.low <= 0.025 <= wrong.high
    assert shown[0.0]["verdict"] > 0.8 * STUDIES_PER_TRIAL
    few = safe_studies(Trial(Scenario(60, 20, auroc=0.97, harm="drowning"), 1.0, 0, 300))
    assert few["verdict"] == 0
    assert few["percentile 0.05"] > 0.1 * STUDIES_PER_TRIAL, "why there is a floor"


def test_the_scenarios_are_those_that_the_verdict_has_to_stand():
    scenarios = (*FEW, *ENOUGH, *WOMEN, *TRAININGS)
    assert len(set(scenarios)) == len(scenarios) >= 24
    assert all(scenario.positives < MIN_POSITIVE_PATIENTS for scenario in FEW)
    assert all(scenario.positives >= MIN_POSITIVE_PATIENTS for scenario in (*ENOUGH, *WOMEN))


def test_an_interrupted_run_goes_on_and_gives_the_same_table(tmp_path, monkeypatch, without_processes):
    few = (Scenario(24, 6), Scenario(24, 6, harm="drowning"))
    monkeypatch.setattr(check_statistics, "FEW", few)
    for name in ("ENOUGH", "WOMEN"):
        monkeypatch.setattr(check_statistics, name, ())
    monkeypatch.setattr(check_statistics, "TRAININGS", (Scenario(24, 6, seeds=2),))
    flags = ["--out", str(tmp_path), "--at-margin", "500", "--elsewhere", "250", "--resamples", "100", "--workers", "1"]
    check_statistics.main(flags)
    table, rows = (tmp_path / "evidence.md").read_bytes(), (tmp_path / "trials.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * (2 + 1 + 1)
    trainings = (tmp_path / "trainings.csv").read_text().splitlines()
    assert len(trainings) == 1 + 2 + 1 + 1
    (tmp_path / "trials.csv").write_text("\n".join(rows[:4]) + "\nScenario(")
    (tmp_path / "trainings.csv").write_text("\n".join(trainings[:3]) + "\n")
    check_statistics.main(flags)
    assert (tmp_path / "evidence.md").read_bytes() == table
    monkeypatch.setattr(check_statistics, "LARGEST_RATE", 0.0)
    with pytest.raises(SystemExit, match=r"exceeds its level in:\nScenario\(women=24"):
        check_statistics.main(flags)


def test_percentages_have_exact_binomial_intervals():
    assert percentage(0, 4) == "0.0 (0.0–0.4)"  # 1 − 0.025^(1/1000)
    assert upper_limit(0, 4) == pytest.approx(1 - 0.025 ** (1 / 1000))
    assert percentage(0, 0) == "–"
