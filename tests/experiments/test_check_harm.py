from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from experiments import check_harm
from experiments.statistics_check.harm_trials import CONDITIONS, SOURCES, HarmTrial, passing_studies, shift_that_loses
from experiments.statistics_check.studies import Scenario

SMALL = Scenario(120, 60)


def test_a_shift_loses_the_sensitivity_that_it_says():
    """A normal class with a threshold at its 10 % quantile, moved down."""
    scores = np.random.default_rng(0).normal(size=200_000)
    threshold = np.quantile(scores, 0.1)
    assert (scores - shift_that_loses(0.05) >= threshold).mean() == pytest.approx(0.85, abs=0.004)
    assert shift_that_loses(0.05) == pytest.approx(norm.ppf(0.9) - norm.ppf(0.85))


def test_a_small_part_of_the_evidence():
    """AUROC does not see a shift and harm does; without a loss it forbids little."""
    still = HarmTrial(replace(SMALL, correlation=0.99), 0.0, 0.0, 30, 200)
    unharmed = passing_studies(still)
    shifted = passing_studies(replace(still, shift=shift_that_loses(0.15)))
    assert unharmed["AUROC"] == shifted["AUROC"] == 30
    for source in SOURCES:
        assert unharmed[f"both, {source}"] >= 24
        assert shifted[f"sensitivity, {source}"] <= 3
        assert shifted[f"both, {source}"] <= min(shifted["AUROC"], shifted[f"sensitivity, {source}"])


def test_the_table_has_a_row_for_each_loss(capsys, monkeypatch):
    monkeypatch.setattr(check_harm, "SCENARIOS", (SMALL,))
    check_harm.main(["--studies", "2", "--resamples", "100"])
    header, rule, *rows = capsys.readouterr().out.strip().splitlines()
    assert len(rows) == len(check_harm.LOSSES | check_harm.SHIFTED)
    assert all(row.count("|") == header.count("|") == rule.count("|") == 5 + len(CONDITIONS) for row in rows)
    assert all(row.startswith("| 60 of 120 | 0.85 | fading | ") for row in rows)
